//! Steering the tracing from inside the program: `pytrace_pause`, `_resume`, `_mark`, `_flush`, and PYTRACE_START.

use crate::support::interpreters::{usual, with_stacks};
use crate::support::report::Report;
use crate::support::{Interpreter, Traced, for_each};

fn control(interpreter: &Interpreter, part: &str) -> Traced {
    Traced::script(interpreter, "control.py").argument(part)
}

/// Allocations of `bytes(size)`, and how many of them are live.
fn blocks(report: &Report, size: u64) -> (u64, u64) {
    let bucket = report.bucket("object", size + 33);
    (bucket.allocations, bucket.live_blocks)
}

#[test]
fn what_is_born_while_paused_is_not_recorded() {
    for_each(
        with_stacks(),
        |one| one.name.clone(),
        |interpreter| {
            let other_part = control(interpreter, "paused").run().success().report();
            let report = control(interpreter, "steps").run().success().report();
            report.assert_exact();
            let beyond = |size| {
                let (all, of_others) = (blocks(&report, size), blocks(&other_part, size));
                (all.0 - of_others.0, all.1 - of_others.1)
            };
            assert_eq!(beyond(600), (101, 0), "born before the pause, freed in it");
            assert_eq!(beyond(616), (0, 0), "born in the pause, freed after it");
            assert_eq!(beyond(632), (0, 0), "born in the pause");
            assert_eq!(beyond(648), (109, 109), "born after the pause");
            let unmatched = report.quality.unmatched_while_paused;
            assert!(
                unmatched >= 103,
                "{unmatched} frees of blocks that were born while paused"
            );
            assert_eq!(report.quality.unmatched_frees, 0);
        },
    );
}

#[test]
fn marks_have_their_names_and_times() {
    let report = control(usual(), "steps").run().success().report();
    let names: Vec<_> = report.marks.iter().map(|mark| mark.name.as_str()).collect();
    assert_eq!(names, ["first mark", "second \u{2713} mark\n"]);
    let times: Vec<_> = report.marks.iter().map(|mark| mark.t_s).collect();
    assert!(
        times.is_sorted() && times[0] > 0.0 && times[1] < report.process.duration_s,
        "{times:?}"
    );
}

#[test]
fn a_start_that_is_paused_records_nothing_until_resumed() {
    let report = control(usual(), "paused")
        .set("PYTRACE_START", "paused")
        .run()
        .success()
        .report();
    report.assert_exact();
    assert_eq!(
        blocks(&report, 664),
        (0, 0),
        "born before the tracing was resumed"
    );
    assert_eq!(
        blocks(&report, 680),
        (127, 127),
        "born after it was resumed"
    );
    let never = Traced::script(usual(), "marker.py")
        .set("PYTRACE_START", "paused")
        .run()
        .success();
    for capture in never.captures() {
        assert_eq!(
            Report::of(&capture).total.counters.allocations,
            0,
            "nobody resumed it"
        );
    }
}

/// A killed process leaves what it had flushed.
#[test]
fn a_flush_puts_everything_in_the_capture() {
    let mut running = control(usual(), "flushed")
        .set("PYTRACE_INTERVAL_MS", "60000")
        .start();
    running.watched.wait_for("flushed");
    running.watched.signal("KILL");
    let outcome = running.wait();
    assert!(!outcome.status.success());
    let report = outcome.report();
    assert_eq!(report.process.ended, "lost");
    let (allocations, live) = blocks(&report, 696);
    assert!(
        allocations >= 131 && live >= 131,
        "{allocations} allocations, {live} live"
    );
    assert_eq!(report.quality.lost_events, 0);
    report.assert_domains_agree();
}
