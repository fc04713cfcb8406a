//! Files that are cut short, flipped, hostile or of another version: a clear outcome, never a panic, never more memory
//! than the file has bytes for.

use crate::arbitrary::{KINDS, Random};
use crate::{decode, file, file_with_frame, file_with_payload};
use pytrace_format::record::Record;
use pytrace_format::{
    Decoder, Encoder, FILE_HEADER_BYTES, FRAME_HEADER_BYTES, FormatError, MAX_FRAME_BYTES,
    VERSION_MAJOR, file_header,
};

/// A capture of two frames, the records of both, and the offset at which the second frame begins.
fn two_frames() -> (Vec<u8>, Vec<Record>, Vec<Record>, usize) {
    let mut random = Random(3);
    let mut frame = |kinds: core::ops::Range<u64>| {
        let records: Vec<_> = kinds.map(|kind| random.record(kind)).collect();
        let mut encoder = Encoder::new();
        records
            .iter()
            .for_each(|record| encoder.push(record).unwrap());
        (encoder.finish().to_vec(), records)
    };
    let (first_bytes, first) = frame(2..6);
    let (second_bytes, second) = frame(14..KINDS);
    let bytes = [&file_header()[..], &first_bytes, &second_bytes].concat();
    let second_at = FILE_HEADER_BYTES + first_bytes.len();
    (bytes, first, second, second_at)
}

#[test]
fn cut_at_every_byte_it_gives_the_whole_frames_before() {
    let (bytes, first, second, second_at) = two_frames();
    for length in 0..bytes.len() {
        let (read, error) = decode(&bytes[..length]);
        if length < second_at {
            assert!(read.is_empty());
        } else {
            assert_eq!(read, first);
        }
        match error {
            None => assert!(
                length == FILE_HEADER_BYTES || length == second_at,
                "{length}"
            ),
            Some(FormatError::Empty) => assert_eq!(length, 0),
            Some(error) => {
                assert!(error.is_truncation(), "{length}: {error}");
                let FormatError::Truncated {
                    offset,
                    expected_bytes,
                    found_bytes,
                } = error
                else {
                    panic!("{error}");
                };
                assert_eq!(offset + found_bytes, length as u64);
                assert!(expected_bytes > found_bytes);
            }
        }
    }
    assert_eq!(decode(&bytes).0, [first, second].concat());
}

#[test]
fn every_flipped_bit_is_noticed_as_damage() {
    let (bytes, first, ..) = two_frames();
    let whole = decode(&bytes).0;
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let (read, error) = decode(&flipped);
        let error = error.unwrap_or_else(|| panic!("bit {bit} went unnoticed"));
        assert!(!error.is_truncation(), "bit {bit}: {error}");
        assert!(
            read.is_empty() || read == first,
            "bit {bit} gave records that were not written"
        );
        assert!(read.len() < whole.len());
        match error {
            FormatError::NotACapture { .. } => assert!(bit < 64),
            FormatError::Checksum {
                expected, found, ..
            } => assert_ne!(expected, found),
            other => panic!("bit {bit}: {other}"),
        }
    }
}

#[test]
fn foreign_files_are_named() {
    let message = |file: &[u8]| {
        decode(file)
            .1
            .map(|error| error.to_string())
            .unwrap_or_default()
    };
    assert_eq!(
        message(b""),
        "the file is empty: no capture was written to it"
    );
    for foreign in [
        &b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0"[..],
        b"#!",
        &[0; 64],
    ] {
        assert!(
            message(foreign).starts_with("not a pytrace capture: expected it to begin with 89 70")
        );
    }
    assert!(message(b"\x89py").contains("cut short"));
}

#[test]
fn a_later_major_version_is_refused_and_a_later_minor_one_read() {
    let with_version = |major: u16, minor: u16| {
        let mut bytes = file(&[Record::String("x".into())]);
        bytes[8..10].copy_from_slice(&major.to_le_bytes());
        bytes[10..12].copy_from_slice(&minor.to_le_bytes());
        let checksum = crc32fast::hash(&bytes[..12]);
        bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
        decode(&bytes)
    };
    for major in [0, VERSION_MAJOR + 1, u16::MAX] {
        let (read, error) = with_version(major, 0);
        assert!(read.is_empty());
        let message = error.unwrap().to_string();
        assert!(
            message.contains(&format!("format version {major},")),
            "{message}"
        );
    }
    for major in 1..=VERSION_MAJOR {
        let (read, error) = with_version(major, 9);
        assert_eq!(read, [Record::String("x".into())]);
        assert!(error.is_none());
    }
}

#[test]
fn unknown_records_and_longer_bodies_are_skipped() {
    let payload = [
        &[200, 3, 1, 2, 3][..], // a kind of a later version
        &[3, 4, 1, b'x', 9, 9], // a string with a field after it
        &[3, 2, 1, b'y'],
    ]
    .concat();
    let (read, error) = decode(&file_with_payload(&payload));
    assert!(error.is_none(), "{error:?}");
    assert_eq!(
        read,
        [Record::String("x".into()), Record::String("y".into())]
    );
}

#[test]
fn hostile_lengths_are_refused() {
    let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    let payloads: [(Vec<u8>, &str); 9] = [
        (vec![3], "length of the body"),
        (vec![3, 0x80], "length of the body"),
        ([&[3][..], &huge].concat(), "a body within the frame"),
        (vec![3, 2, 0], "a body within the frame"),
        (
            [&[3, 11][..], &huge, b"x"].concat(),
            "a length within the record",
        ),
        ([&[11, 11, 0][..], &huge].concat(), "a count of items"),
        (vec![3, 2, 1, 0xff], "UTF-8"),
        (
            vec![6, 6, 0xff, 0xff, 0xff, 0xff, 0x7f, 0],
            "at most 32 bits",
        ),
        (vec![7, 2, 5, 0], "a domain (0 to 4)"),
    ];
    for (payload, expected) in payloads {
        let (read, error) = decode(&file_with_payload(&payload));
        assert!(read.is_empty());
        let error = error.unwrap();
        assert!(
            matches!(error, FormatError::Record { offset: 32, tag, .. } if tag == payload[0]),
            "{error}"
        );
        assert!(error.to_string().contains(expected), "{error}");
    }
    let error = decode(&file_with_frame(0, u32::MAX, b"")).1.unwrap();
    assert!(
        matches!(error, FormatError::FrameTooLong { offset: 16, .. }),
        "{error}"
    );
    let error = decode(&file_with_frame(0, MAX_FRAME_BYTES as u32, b"abc"))
        .1
        .unwrap();
    assert!(error.is_truncation());
    let error = decode(&file_with_frame(7, 0, b"")).1.unwrap();
    assert!(
        matches!(
            error,
            FormatError::UnknownCodec {
                offset: 16,
                found: 7
            }
        ),
        "{error}"
    );
}

#[test]
fn frames_that_unpack_to_something_else_are_refused() {
    let strings = (0..100).flat_map(|number| [3, 4, 3, b'a', b'b', number]);
    let text: Vec<u8> = strings.collect();
    let packed = lz4_flex::block::compress(&text);
    let with_length = |length: u32, packed: &[u8]| {
        let payload = [&length.to_le_bytes()[..], packed].concat();
        decode(&file_with_frame(1, payload.len() as u32, &payload))
    };
    let whole = text.len() as u32;
    let (read, error) = with_length(whole, &packed);
    assert!(error.is_none(), "{error:?}");
    assert_eq!(read.len(), 100);
    let bomb = lz4_flex::block::compress(&vec![0; 1 << 20]);
    let refused = [
        with_length(whole - 1, &packed),
        with_length(whole + 1, &packed),
        with_length(u32::MAX, &packed),
        with_length(whole, &packed[1..]),
        with_length(whole, b""),
        with_length(1 << 20, &bomb), // unpacks 255-fold
        decode(&file_with_frame(1, 3, b"abc")),
    ];
    for (read, error) in refused {
        assert!(read.is_empty());
        let error = error.unwrap();
        assert!(
            matches!(error, FormatError::Unpackable { offset: 16, .. }),
            "{error}"
        );
    }
}

#[test]
fn random_payloads_with_right_checksums_end_without_a_panic() {
    let mut random = Random(11);
    for _ in 0..20_000 {
        let length = random.below(60);
        let mut payload: Vec<_> = (0..length).map(|_| random.next() as u8).collect();
        if let Some(tag) = payload.first_mut() {
            *tag = random.below(24) as u8;
        }
        let (read, error) = decode(&file_with_payload(&payload));
        assert!(read.len() as u64 <= length);
        assert!(!error.is_some_and(|error| error.is_truncation()));
    }
}

#[test]
fn changed_bodies_with_right_checksums_end_without_a_panic() {
    let mut random = Random(12);
    for round in 0..3_000 {
        let mut payload = file(&[random.record(round % KINDS)]);
        payload.drain(..FILE_HEADER_BYTES + FRAME_HEADER_BYTES);
        for _ in 0..=random.below(4) {
            let at = random.below(payload.len() as u64) as usize;
            payload[at] = random.next() as u8;
        }
        let (_, error) = decode(&file_with_payload(&payload));
        assert!(!error.is_some_and(|error| error.is_truncation()));
    }
}

#[test]
fn nothing_follows_an_error() {
    let mut decoder = Decoder::new(&b"not a capture at all"[..]);
    assert!(decoder.next().is_some_and(|item| item.is_err()));
    assert!(decoder.next().is_none());
}
