//! Captures that were cut short or changed: a report of what can be read, or one clear error; never a panic, never much memory.
//!
//! In this process, so that many can be tried: a panic of the reader's fails the test, and the watchdog ends what hangs.

use std::fs;
use std::path::Path;

use pytrace::analysis::{Grouping, Metric};
use pytrace::capture::Capture;
use pytrace::report::{Report, json, text};
use pytrace_format::record::{Process, Record};
use pytrace_format::{Encoder, file_header};

use crate::support::Traced;
use crate::support::interpreters::usual;
use crate::support::scale;

/// A capture of a small program, in several frames of records and of events.
fn good() -> Vec<u8> {
    let outcome = Traced::python(usual())
        .arguments([
            "-I",
            "-S",
            "-c",
            "kept = [[number] for number in range(999)]",
        ])
        .set("PYTRACE_MODE", "events")
        .run()
        .success();
    fs::read(outcome.capture()).expect("the capture is there")
}

/// Reads a file that holds these bytes; where it is asked for, writes both reports of it.
fn try_to_read(folder: &Path, bytes: &[u8], reports: bool) {
    let path = folder.join("damaged.pytrace");
    fs::write(&path, bytes).expect("a file in a folder of ours");
    let events = pytrace_format::events::EventDecoder::new(bytes);
    let (_, errors): (Vec<_>, Vec<_>) = events.partition(Result::is_ok);
    assert!(errors.len() <= 1);
    let capture = match Capture::open(&path) {
        Ok(capture) => capture,
        Err(error) => {
            let message = error.to_string();
            assert!(!message.is_empty() && !message.contains('\n'), "{message}");
            return;
        }
    };
    assert!(
        capture
            .unread
            .as_ref()
            .is_none_or(|note| !note.contains('\n'))
    );
    if !reports {
        return;
    }
    let report = Report {
        capture: &capture,
        members: &[],
        filtered: None,
        metric: Metric::Peak,
        grouping: Grouping::Site,
        top: None,
        notes: &[],
    };
    text::write(&report, 100, false, &mut Vec::new()).expect("memory takes everything");
    json::write(&report, &mut Vec::new()).expect("memory takes everything");
}

/// xorshift64: the same damage everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

#[test]
fn cut_short_anywhere_it_is_a_capture_of_an_earlier_moment() {
    let good = good();
    let folder = tempfile::tempdir().expect("a folder");
    let every = (scale::count(1 << 9, 64 << 10) as usize).min(good.len());
    for length in 0..every {
        try_to_read(folder.path(), &good[..length], length.is_multiple_of(16));
    }
    let mut random = Random(3);
    for _ in 0..scale::count(50, 10_000) {
        let length = random.below(good.len());
        try_to_read(folder.path(), &good[..length], length.is_multiple_of(16));
    }
}

#[test]
fn flipped_bits_are_found_or_do_no_harm() {
    let good = good();
    let folder = tempfile::tempdir().expect("a folder");
    let mut random = Random(5);
    for round in 0..scale::count(200, 100_000) {
        let mut flipped = good.clone();
        flipped[random.below(good.len())] ^= 1 << random.below(8);
        try_to_read(folder.path(), &flipped, round.is_multiple_of(16));
    }
}

#[test]
fn a_file_that_unpacks_to_rows_without_end_is_given_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut encoder = Encoder::new();
    let mut bytes = file_header().to_vec();
    let mut random = Random(7);
    encoder
        .push(&Record::Process(Process::default()))
        .expect("a small record");
    // Rows without content, and now and then what cannot be packed, so that the whole packs 14-fold: more is refused at once.
    while bytes.len() < 1 << 20 {
        let noise = (0..64).map(|_| char::from(b'0' + random.below(64) as u8));
        encoder
            .push(&Record::String(noise.collect()))
            .expect("a small record");
        for _ in 0..333 {
            encoder
                .push(&Record::String(String::new()))
                .expect("a small record");
        }
        if encoder.pending_bytes() > 1 << 18 {
            bytes.extend_from_slice(encoder.finish());
            encoder.clear();
        }
    }
    let path = folder.path().join("rows.pytrace");
    fs::write(&path, &bytes).expect("a file in a folder of ours");
    let capture = Capture::open(&path).expect("its beginning is good");
    assert!(
        capture
            .unread
            .is_some_and(|note| note.contains("more rows than a capture of its length"))
    );
    let rows = capture.model.strings.len();
    assert!((1_000_000..4_000_000).contains(&rows), "{rows}");
}
