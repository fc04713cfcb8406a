//! Files that are no captures, and captures that were cut short or damaged.

use super::Pytrace;
use super::report::{report, small};
use pytrace_format::events::{Block, Change, Event, EventEncoder};
use pytrace_format::ids::SiteId;
use pytrace_format::record::Mode;
use pytrace_format::synth::realistic;
use serde_json::Value;

#[test]
fn files_that_are_no_captures_are_refused() {
    let mut newer = small(Mode::Sites).file();
    newer[8] = 99;
    let checksum = crc32fast::hash(&newer[..12]);
    newer[12..16].copy_from_slice(&checksum.to_le_bytes());
    let only_header = &small(Mode::Sites).file()[..16];
    for (content, part) in [
        (b"".as_slice(), "is empty, not a capture"),
        (
            b"Hello, this is a text file.\n",
            "is some other kind of file, not a capture",
        ),
        (&newer, "format version 99"),
        (only_header, "no record yet"),
    ] {
        let answer = report(content, &[]);
        let line = answer.refusal();
        assert!(line.contains(part), "{line}");
    }
    let answer = Pytrace::new("report").word("missing.pytrace").run();
    assert!(
        answer
            .refusal()
            .starts_with("'missing.pytrace' could not be read (No such file or directory)")
    );
    let answer = Pytrace::new("report").word(".").run();
    assert_eq!(
        answer.refusal(),
        "the folder '.' holds no capture (*.pytrace); name one that a traced program wrote to"
    );
}

#[test]
fn a_capture_that_was_cut_is_reported_up_to_there() {
    let first = small(Mode::Sites).file();
    // Two frames: the second one of a longer capture, cut in its middle.
    let mut cut = first.clone();
    cut.extend_from_slice(&first[16..first.len() / 2]);
    let answer = report(&cut, &["--format", "json"]);
    assert_eq!(answer.code(), 0);
    let line = answer.only_line();
    assert!(
        line.contains("cut short") && line.contains("are there"),
        "{line}"
    );
    let found: Value = serde_json::from_str(&answer.stdout).unwrap();
    assert_eq!(found["quality"]["complete"], false);
    assert_eq!(found["total"]["allocations"], 6);
}

/// A program that was killed before its last call sites were written leaves events of sites that nobody knows.
#[test]
fn events_of_unknown_sites_are_counted() {
    let allocated = |address, site| Event {
        at_ns: 5,
        thread: 1,
        change: Change::Allocated(Block {
            site: SiteId(site),
            address,
            size_bytes: 20,
            served_bytes: 32,
        }),
    };
    let mut events = EventEncoder::new();
    for event in [allocated(32, 1), allocated(64, 99), allocated(96, 98)] {
        assert!(events.push(&event));
    }
    let file = [&small(Mode::Events).file()[..], events.finish()].concat();
    let answer = report(&file, &["--events", "--format", "csv"]);
    assert_eq!(answer.code(), 0);
    let line = answer.only_line();
    assert!(
        line.contains("lacks the call sites of 2 of the events"),
        "{line}"
    );
    let rows: Vec<_> = answer.stdout.lines().skip(1).collect();
    assert_eq!(
        rows[1..],
        [
            "5,1,allocated,,64,20,32,,99,,,",
            "5,1,allocated,,96,20,32,,98,,,"
        ]
    );
    assert!(!rows[0].ends_with(",,,"), "{}", rows[0]);
}

#[test]
fn damage_anywhere_never_panics() {
    let whole = realistic().file();
    for position in (0..whole.len()).step_by(whole.len() / 40) {
        let mut damaged = whole.clone();
        damaged[position] ^= 0x55;
        let answer = report(&damaged, &[]);
        assert!(matches!(answer.code(), 0 | 2), "{}", answer.stderr);
        assert!(!answer.only_line().contains("panicked"));
    }
}
