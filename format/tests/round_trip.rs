//! What is written is read back.

use std::io::{self, Read};

use crate::arbitrary::{KINDS, Random};
use crate::{decode, file};
use pytrace_format::ids::{FrameId, StackId};
use pytrace_format::record::{Pymalloc, Record, Stack};
use pytrace_format::{Decoder, Encoder, FRAME_HEADER_BYTES, MAX_STRING_BYTES, file_header};

#[test]
fn every_kind_of_record() {
    for kind in 0..KINDS {
        for seed in 0..40 {
            let records = [Random(seed).record(kind)];
            let (read, error) = decode(&file(&records));
            assert!(error.is_none(), "{error:?}");
            assert_eq!(read, records);
        }
    }
}

#[test]
fn random_captures_of_many_frames() {
    for seed in 0..4 {
        let mut random = Random(seed);
        let mut written = Vec::new();
        let mut bytes = file_header().to_vec();
        let mut encoder = Encoder::new();
        while bytes.len() < 2 << 20 {
            for _ in 0..random.below(900) {
                let kind = random.below(KINDS);
                let record = random.record(kind);
                encoder.push(&record).unwrap();
                written.push(record);
            }
            let pending = encoder.pending_bytes();
            assert!(encoder.finish().len() <= pending + FRAME_HEADER_BYTES * (1 + pending / 4096));
            bytes.extend_from_slice(encoder.finish());
            encoder.clear();
            assert_eq!(encoder.pending_bytes(), 0);
            assert!(encoder.finish().is_empty());
        }
        let (read, error) = decode(&bytes);
        assert!(error.is_none(), "{error:?}");
        assert!(read == written);
    }
}

#[test]
fn runs_of_extreme_rows() {
    // Differences of neighbours wrap in both directions, and the runs are longer than one record or frame.
    let ends = [0, 1, u32::MAX, 1 << 31, (1 << 31) - 1, 7];
    let mut records = Vec::new();
    for kind in [4, 5, 6, 8] {
        let mut random = Random(kind);
        records.extend((0..40_000).map(|_| random.record(kind)));
        for (parent, frame) in ends.iter().zip(ends.iter().rev()) {
            records.push(Record::Stack(Stack {
                parent: StackId(*parent),
                frame: FrameId(*frame),
            }));
        }
    }
    let (read, error) = decode(&file(&records));
    assert!(error.is_none(), "{error:?}");
    assert!(read == records);
}

#[test]
fn what_is_alike_is_packed_but_never_beyond_what_a_reader_takes() {
    let deep = |parent| {
        Record::Stack(Stack {
            parent: StackId(parent),
            frame: FrameId(1),
        })
    };
    let records: Vec<_> = (0..1_000_000).map(deep).collect();
    let bytes = file(&records);
    assert!(bytes.len() < 3 * records.len(), "{}", bytes.len());
    let (read, error) = decode(&bytes);
    assert!(error.is_none(), "{error:?}");
    assert!(read == records);
    let records: Vec<_> = (0..100_000)
        .map(|row| Record::String(format!("/usr/lib/python3.11/site-packages/{row}.py")))
        .collect();
    let bytes = file(&records);
    assert!(bytes.len() < 20 * records.len(), "{}", bytes.len());
    assert!(decode(&bytes).0 == records);
}

#[test]
fn a_capture_without_records_is_whole() {
    let (read, error) = decode(&file(&[]));
    assert!(read.is_empty() && error.is_none());
}

#[test]
fn a_reader_may_give_single_bytes_and_be_interrupted() {
    struct Slow<'file>(&'file [u8], bool);
    impl Read for Slow<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let length = into.len().min(1);
            self.0.read(&mut into[..length])
        }
    }
    let records: Vec<_> = (0..KINDS).map(|kind| Random(7).record(kind)).collect();
    let bytes = file(&records);
    let read: Result<Vec<_>, _> = Decoder::new(Slow(&bytes, false)).collect();
    assert_eq!(read.unwrap(), records);
}

#[test]
fn a_string_beyond_the_limit_is_cut_at_a_character() {
    let long = "é".repeat(MAX_STRING_BYTES);
    let (read, error) = decode(&file(&[Record::String(format!("x{long}"))]));
    assert!(error.is_none());
    let Record::String(text) = &read[0] else {
        panic!("{read:?}")
    };
    assert_eq!(text.len(), MAX_STRING_BYTES - 1);
    assert!(text.chars().skip(1).all(|character| character == 'é'));
}

#[test]
fn a_record_that_no_frame_holds_is_refused_and_the_rest_written() {
    let Record::Pymalloc(small) = Random(1).record(11) else {
        unreachable!()
    };
    let huge = Record::Pymalloc(Pymalloc {
        arena_bytes_in_use: vec![u64::MAX; 2 << 20],
        ..small.clone()
    });
    let mut encoder = Encoder::new();
    encoder.push(&Record::String("before".into())).unwrap();
    let error = encoder.push(&huge).unwrap_err();
    assert!(error.body_bytes > 16 << 20);
    encoder.push(&Record::Pymalloc(small.clone())).unwrap();
    let bytes = [&file_header()[..], encoder.finish()].concat();
    let (read, error) = decode(&bytes);
    assert!(error.is_none(), "{error:?}");
    assert_eq!(
        read,
        [Record::String("before".into()), Record::Pymalloc(small)]
    );
}
