//! What is not known is not drawn as if it were.

use crate::{model, summary};
use pytrace_format::record::{Allocator, Counters, Domain, Moment, Process, Pymalloc, Record};
use pytrace_format::synth::{Synth, realistic};
use pytrace_model::summary::Style;

fn one_block() -> Counters {
    Counters {
        allocations: 1,
        requested_bytes: 24,
        served_bytes: 24,
        ..Counters::default()
    }
}

#[test]
fn mimalloc_does_not_tell_what_it_sets_aside() {
    let mut model = model(&realistic());
    model.process.allocator = Allocator::Mimalloc;
    let text = summary(&model, &Style::default());
    let dashes = |name: &str| {
        let row = text.lines().find(|line| line.starts_with(name)).unwrap();
        row.split_whitespace().filter(|cell| *cell == "-").count()
    };
    assert_eq!(
        ["raw", "mem", "object", "malloc", "total", "mmap"].map(dashes),
        [0, 2, 2, 0, 2, 0],
        "{text}"
    );
}

#[test]
fn a_peak_that_never_was_has_no_row() {
    let state = |moment, arenas| {
        Record::Pymalloc(Pymalloc {
            moment,
            arena_bytes: 1 << 20,
            pool_bytes: 1 << 14,
            arenas,
            arenas_peak: 3,
            arenas_allocated_total: 3,
            arenas_freed_total: 0,
            pools_total: 64 * arenas,
            pools_free: 64 * arenas,
            pools_partial: 0,
            pools_full: 0,
            classes: Vec::new(),
            arena_bytes_in_use: Vec::new(),
        })
    };
    let drawn = |arenas_at_peak| {
        let mut synth = Synth::new();
        synth.record(state(Moment::Exit, 3));
        synth.record(state(Moment::Peak, arenas_at_peak));
        summary(&model(&synth), &Style::default()).contains("at peak")
    };
    assert!(drawn(2));
    assert!(!drawn(0));
}

#[test]
fn sites_of_which_nothing_is_told_do_not_count() {
    let mut synth = Synth::new();
    for line in 1..=5 {
        let frame = synth.python("f", "a.py", line);
        let stack = synth.stack(&[frame]);
        let counters = if line < 4 {
            one_block()
        } else {
            Counters::default()
        };
        synth.site(Domain::Malloc, stack, counters);
    }
    let style = Style {
        top: 1,
        ..Style::default()
    };
    let text = summary(&model(&synth), &style);
    assert!(text.contains("66.7% in 2 of 3 call sites"), "{text}");
}

/// A stripped interpreter called from `app.py`, and by nobody.
fn stripped(no_stacks_reason: &str) -> String {
    const PYTHON: &str = "/usr/bin/python3.11";
    let mut synth = Synth::new();
    synth.record(Record::Process(Process {
        executable: PYTHON.into(),
        no_stacks_reason: no_stacks_reason.into(),
        ..Process::default()
    }));
    let nameless = synth.native(PYTHON, 0x1234, "");
    let line = synth.python("main", "app.py", 7);
    for frames in [&[nameless, line][..], &[nameless]] {
        let stack = synth.stack(frames);
        synth.site(Domain::Object, stack, one_block());
    }
    summary(&model(&synth), &Style::default())
}

#[test]
fn functions_without_a_name_are_explained_once() {
    let text = stripped("");
    assert!(text.contains("python3.11+0x1234"), "{text}");
    assert_eq!(text.matches("python3.11-dbg").count(), 1, "{text}");
}

#[test]
fn no_python_code_is_said_only_where_python_code_is_seen() {
    assert_eq!(stripped("").matches("(no Python code)").count(), 1);
    assert_eq!(stripped("strange").matches("(no Python code)").count(), 0);
}
