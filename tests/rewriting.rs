//! A capture of a program that goes on for long is written anew when most of it was superseded: nothing is lost by it, whenever the
//! program is killed, and the file stays as small as the number of call sites.

use std::collections::BTreeMap;

use crate::support::interpreters::usual;
use crate::support::{Outcome, Traced, scale};

/// Lines of the program that allocate, once in every pass.
const LINES: usize = 20_000;

/// Runs the program until its capture was written anew so often; what became of it, and how many passes it made.
fn run(times: u32, ending: &str) -> (Outcome, u64) {
    let outcome = Traced::script(usual(), "rewritten.py")
        .argument(times.to_string())
        .argument(ending)
        .set("PYTRACE_INTERVAL_MS", "10")
        .run();
    let said: Vec<u64> = outcome
        .stdout
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    let [passes, rewritten] = said[..] else {
        panic!("{}\n{}", outcome.stdout, outcome.stderr);
    };
    assert!(
        rewritten >= u64::from(times),
        "{rewritten} of {times} in {passes} passes"
    );
    (outcome, passes)
}

/// Blocks in domain `object` made on each line, from a capture whose books are right.
fn allocations(outcome: &Outcome) -> BTreeMap<u32, u64> {
    let size = outcome.capture().metadata().expect("a capture").len();
    assert!(size < 6 << 20, "{size} bytes");
    let report = outcome.report();
    assert_eq!(report.quality.lost_events, 0);
    // Mappings are what the others are cut from: not part of the total.
    let parts = report.sites().iter().filter(|site| site.domain != "mmap");
    let of_sites: u64 = parts.map(|site| site.allocations).sum();
    assert_eq!(of_sites, report.total.counters.allocations);
    let marks: Vec<&str> = report.marks.iter().map(|mark| mark.name.as_str()).collect();
    assert_eq!(marks, ["begun"]);
    let times: Vec<f64> = report.timeline.iter().map(|point| point.t_s).collect();
    assert!(times.is_sorted() && times[0] < 1.0, "{times:?}");
    report
        .sites()
        .iter()
        .filter_map(|site| Some((site.python_line()?, site)))
        .filter(|((file, _), site)| *file == "many_lines.py" && site.domain == "object")
        .fold(BTreeMap::new(), |mut lines, ((_, line), site)| {
            *lines.entry(line).or_default() += site.allocations;
            lines
        })
}

#[test]
fn a_capture_that_is_written_anew_says_all_that_was() {
    let (outcome, passes) = run(scale::count(2, 50), "exit");
    let outcome = outcome.success();
    let lines = allocations(&outcome);
    assert_eq!(lines.len(), LINES);
    let others: Vec<_> = lines
        .iter()
        .filter(|(_, count)| **count != passes)
        .collect();
    assert!(others.len() <= 1, "{passes} passes: {others:?}");
}

#[test]
fn a_program_that_is_killed_after_its_capture_was_written_anew_leaves_what_was_flushed() {
    let (outcome, passes) = run(1, "kill");
    let lines = allocations(&outcome);
    assert_eq!(lines.len(), LINES);
    let (fewest, most) = (lines.values().min(), lines.values().max());
    assert!(
        most <= Some(&passes) && fewest > Some(&0),
        "{fewest:?} {most:?} {passes}"
    );
}
