//! Python stacks, checked to the line against CPython's own frame objects (`stacks.py` says what it covers).

use crate::support::installation::program;
use crate::support::interpreters::{usual, with_stacks};
use crate::support::report::{Frame, Report, Site};
use crate::support::{Interpreter, Traced, for_each};
use serde::Deserialize;
use std::collections::BTreeMap;

/// A block that the program allocated, and the stack that it wrote down: name, file, line, innermost first.
#[derive(Deserialize)]
struct Expected {
    bytes: u64,
    frames: Vec<(String, String, u32)>,
}

fn written_down(frame: &Frame) -> (String, String, u32) {
    let text =
        |field: &Option<String>| field.clone().expect("a Python frame has a name and a file");
    (
        text(&frame.function),
        text(&frame.file),
        frame.line.unwrap_or(0),
    )
}

/// Every expected stack has one site with exactly its blocks.
fn check(expected: Vec<Expected>, report: &Report) {
    check_sites(expected, report, |site, blocks, bytes| {
        (site.allocations, site.requested_bytes) == (blocks, bytes)
    });
}

/// Every expected stack has one site that holds its blocks, as `holds(site, blocks, bytes)` says.
fn check_sites(expected: Vec<Expected>, report: &Report, holds: impl Fn(&Site, u64, u64) -> bool) {
    let mut shapes: BTreeMap<Vec<_>, (u64, u64)> = BTreeMap::new();
    for one in expected {
        let (blocks, bytes) = shapes.entry(one.frames).or_default();
        *blocks += 1;
        *bytes += one.bytes;
    }
    let mut wrong = Vec::new();
    for (frames, (blocks, bytes)) in &shapes {
        let has_the_blocks = |site: &&Site| site.domain == "object" && holds(site, *blocks, *bytes);
        let candidates: Vec<_> = report.sites().iter().filter(has_the_blocks).collect();
        let stacks: Vec<Vec<_>> = candidates
            .iter()
            .map(|site| site.python().map(written_down).collect())
            .collect();
        if stacks.iter().filter(|stack| *stack == frames).count() != 1 {
            let closest = stacks
                .iter()
                .find(|stack| stack.first() == frames.first())
                .or(stacks.first());
            wrong.push(format!(
                "{bytes} bytes in {blocks}\n  expected {frames:?}\n  recorded {closest:?}"
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} stacks:\n{}",
        wrong.len(),
        shapes.len(),
        wrong[..wrong.len().min(5)].join("\n")
    );
}

fn trace(interpreter: &Interpreter, prepare: impl Fn(Traced) -> Traced) -> (Vec<Expected>, Report) {
    let outcome = prepare(Traced::script(interpreter, "stacks.py"))
        .run()
        .success();
    let expected: Vec<Expected> =
        serde_json::from_str(&outcome.stdout).expect("stacks.py prints JSON");
    assert!(expected.len() > 80, "{} allocations", expected.len());
    assert!(
        expected.iter().any(|one| one.frames.len() > 60),
        "a deep stack is among them"
    );
    let report = outcome.report();
    report.assert_exact();
    (expected, report)
}

#[test]
fn stacks_are_right_to_the_line_on_every_interpreter() {
    for_each(
        with_stacks(),
        |one| one.name.clone(),
        |interpreter| {
            let (expected, report) = trace(interpreter, |run| run);
            assert_eq!(report.quality.truncated_stacks, 0, "truncated_stacks");
            check(expected, &report);
        },
    );
}

#[test]
fn stacks_are_right_under_the_debug_allocator() {
    for_each(
        with_stacks(),
        |one| one.name.clone(),
        |interpreter| {
            let (expected, report) = trace(interpreter, |run| run.set("PYTHONMALLOC", "debug"));
            check(expected, &report);
        },
    );
}

/// Without the C caller, a line's blocks from several C functions share a site.
#[test]
fn native_off_leaves_python_frames_as_they_are() {
    let (expected, report) = trace(usual(), |run| run.set("PYTRACE_NATIVE", "off"));
    assert_eq!(report.settings.native, "off");
    check_sites(expected, &report, |site, blocks, bytes| {
        site.allocations >= blocks && site.requested_bytes >= bytes
    });
    assert!(
        report
            .sites()
            .iter()
            .all(|site| site.stack.len() == site.python().count())
    );
}

/// With few frames kept, stacks that differ further out share a site: their bytes are looked for there.
#[test]
fn depth_keeps_the_innermost_frames() {
    for depth in [1, 3] {
        let (expected, report) = trace(usual(), |run| run.set("PYTRACE_DEPTH", depth.to_string()));
        assert_eq!(report.settings.depth, depth);
        let deepest = report
            .sites()
            .iter()
            .map(|site| site.python().count())
            .max();
        assert_eq!(deepest, Some(depth as usize));
        let mut kept: BTreeMap<Vec<_>, u64> = BTreeMap::new();
        for mut one in expected {
            one.frames.truncate(depth as usize);
            *kept.entry(one.frames).or_default() += one.bytes;
        }
        for (frames, bytes) in kept {
            let same_stack = |site: &&Site| {
                site.domain == "object"
                    && site.python().map(written_down).eq(frames.iter().cloned())
            };
            let recorded: u64 = report
                .sites()
                .iter()
                .filter(same_stack)
                .map(|site| site.requested_bytes)
                .sum();
            assert!(
                recorded >= bytes,
                "{recorded} bytes of {bytes} at {frames:?}"
            );
        }
    }
}

/// Unlimited depth means unlimited. Up to 3.10 each frame is a block, so that a deep stack makes as many sites, each deeper
/// than the one before: a tenth of the frames makes a report that is large enough.
#[test]
fn a_very_deep_stack_is_whole() {
    for_each(
        with_stacks(),
        |one| one.name.clone(),
        |interpreter| {
            let frames = if interpreter.version < (3, 11) {
                1_000
            } else {
                10_000
            };
            let run = Traced::script(interpreter, "deep.py").argument(frames.to_string());
            let report = run.run().success().report();
            report.assert_exact();
            let file = program("deep.py");
            let on_line = report.sites_on_line("object", &file, 16);
            let marker = on_line.iter().find(|site| site.live_bytes == 200_033);
            let marker = marker.expect("bytes(200_000) has a site of its own");
            let own = |frame: &&Frame| frame.file.as_deref() == file.to_str();
            let lines: Vec<_> = marker
                .python()
                .filter(own)
                .map(|frame| frame.line)
                .collect();
            assert_eq!(lines.len(), frames, "frames of the recursion");
            assert!(lines[0] == Some(16) && lines[1..].iter().all(|line| *line == Some(15)));
        },
    );
}
