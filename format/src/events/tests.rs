use super::*;
use crate::frame::Content;
use crate::pack::push_frame;
use crate::record::Record;
use crate::{Decoder, Encoder, FormatError, file_header};
use lz4_flex::block::CompressTable;

/// xorshift64: the same numbers everywhere.
fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

fn any_event(seed: &mut u64) -> Event {
    let mut number = |bits: u32| random(seed) >> (64 - bits);
    let address = number(44) * 8;
    let block = Block {
        site: SiteId((number(5) as u32) << (number(1) * 27)),
        address,
        size_bytes: number(1 + (address >> 3) as u32 % 60),
        served_bytes: number(10),
    };
    let domain = Domain::ALL[number(8) as usize % 5];
    let freed = Freed {
        domain,
        address,
        unmapped_bytes: if domain == Domain::Mmap {
            number(40)
        } else {
            0
        },
        is_inner: number(1) == 1,
    };
    let arena = Arena {
        address,
        bytes: number(20),
    };
    let change = match number(8) % 12 {
        0..3 => Change::Allocated(block),
        3 => Change::Freed(freed),
        4 => Change::ResizeBegun(freed),
        5 => Change::Resized(block),
        6 => Change::ResizeFailed,
        7 => Change::ArenaMapped(arena),
        8 => Change::ArenaUnmapped(arena),
        9 => Change::Ended,
        10 => Change::Paused,
        _ => Change::Resumed,
    };
    Event {
        at_ns: number(50),
        thread: number(2) as u32,
        change,
    }
}

fn encoded(events: &[Event]) -> Vec<u8> {
    let mut encoder = EventEncoder::new();
    assert!(events.iter().all(|event| encoder.push(event)));
    encoder.finish().to_vec()
}

fn decoded(file: &[u8]) -> (Vec<Event>, Option<FormatError>) {
    let mut events = Vec::new();
    for event in EventDecoder::new(file) {
        match event {
            Ok(event) => events.push(event),
            Err(error) => return (events, Some(error)),
        }
    }
    (events, None)
}

#[test]
fn any_events_come_back_in_their_order() {
    let mut seed = 7;
    let many = if cfg!(miri) { 300 } else { 300_000 };
    let events: Vec<_> = (0..many).map(|_| any_event(&mut seed)).collect();
    let file = [&file_header()[..], &encoded(&events)].concat();
    let (read, error) = decoded(&file);
    assert!(error.is_none(), "{error:?}");
    assert!(read == events);
}

#[test]
fn events_and_records_do_not_see_each_other() {
    let mut seed = 9;
    let events: Vec<_> = (0..1000).map(|_| any_event(&mut seed)).collect();
    let mut file = file_header().to_vec();
    let mut of_events = EventEncoder::new();
    let mut of_records = Encoder::new();
    for (at, part) in events.chunks(100).enumerate() {
        assert!(part.iter().all(|event| of_events.push(event)));
        of_records.push(&Record::String(at.to_string())).unwrap();
        file.extend_from_slice(of_records.finish());
        file.extend_from_slice(of_events.finish());
        of_records.clear();
        of_events.clear();
    }
    assert!(decoded(&file).0 == events);
    let records: Result<Vec<_>, _> = Decoder::new(&file[..]).collect();
    let expected: Vec<_> = (0..10).map(|at| Record::String(at.to_string())).collect();
    assert_eq!(records.unwrap(), expected);
}

#[test]
fn a_block_that_comes_and_goes_takes_a_byte_for_each() {
    let block = Block {
        site: SiteId(3),
        address: 0x7f00_0000_1230,
        size_bytes: 28,
        served_bytes: 32,
    };
    let freed = Freed {
        domain: Domain::Object,
        address: block.address,
        unmapped_bytes: 0,
        is_inner: false,
    };
    let event = |change| Event {
        at_ns: 5,
        thread: 4,
        change,
    };
    let pair = [event(Change::Allocated(block)), event(Change::Freed(freed))];
    let once = encoded(&pair).len();
    assert_eq!(encoded(&pair.repeat(2)).len() - once, 2);
}

#[test]
fn damaged_steps_end_the_reading_without_a_panic() {
    let mut seed = 11;
    let many = if cfg!(miri) { 50 } else { 20_000 };
    for _ in 0..many {
        let length = random(&mut seed) % 60 + 1;
        let payload: Vec<_> = (0..length).map(|_| random(&mut seed) as u8).collect();
        let mut file = file_header().to_vec();
        push_frame(
            Content::Events,
            &payload,
            &mut CompressTable::default(),
            &mut file,
        );
        let (read, error) = decoded(&file);
        assert!(read.len() as u64 <= length);
        assert!(!error.is_some_and(|error| error.is_truncation()));
    }
}

#[test]
fn cut_short_it_gives_the_frames_before() {
    let mut seed = 13;
    let events: Vec<_> = (0..30).map(|_| any_event(&mut seed)).collect();
    let file = [&file_header()[..], &encoded(&events)].concat();
    for length in crate::FILE_HEADER_BYTES + 1..file.len() {
        let (read, error) = decoded(&file[..length]);
        assert!(read.is_empty());
        assert!(error.unwrap().is_truncation());
    }
}
