//! Sixteen threads that free each other's blocks, against a log behind one lock (`programs/logged_threads.c`): the live set by
//! call site, and the peak.
//! A tenth as many frees as there are operations are of blocks that were born unseen.

use crate::support::compile::{Product, compiled};
use crate::support::interpreters::usual;
use crate::support::{Report, Traced, scale};
use serde::Deserialize;

const THREADS: u64 = 16;

/// What the program's log says.
#[derive(Deserialize)]
struct Log {
    /// Of every block.
    size: u64,
    most_live_bytes: u64,
    sites: Vec<LoggedSite>,
}

#[derive(Deserialize)]
struct LoggedSite {
    function: String,
    calls: u64,
    live_blocks: u64,
}

/// Whether a call and its note in the log are one step.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Steps {
    Serial,
    AtOnce,
}

fn operations() -> u64 {
    scale::passed_on(1_000_000, 100_000_000)
}

/// Runs the program, and checks the live set. Returns the log and the report.
fn trace(threads: u64, steps: Steps) -> (Log, Report) {
    let foreign_frees = operations() / 10;
    let serial = u64::from(steps == Steps::Serial);
    let numbers = [threads, operations(), foreign_frees, serial];
    let outcome = Traced::script(usual(), "logged_threads.py")
        .argument(compiled("logged_threads.c", Product::Library))
        .arguments(numbers.map(|number| number.to_string()))
        .run()
        .success();
    let log: Log = serde_json::from_str(&outcome.stdout).expect("the program prints JSON");
    let report = outcome.report();
    report.assert_exact();
    assert_eq!(
        (
            report.quality.unmatched_frees,
            report.quality.unmatched_while_paused
        ),
        (0, foreign_frees),
        "frees of blocks that were never seen"
    );
    let calls: u64 = log.sites.iter().map(|site| site.calls).sum();
    assert!(
        calls > operations() / 3,
        "{calls} calls of {} operations",
        operations()
    );
    for logged in &log.sites {
        let sites = report.sites_of_caller(&logged.function);
        let live_blocks: u64 = sites.iter().map(|site| site.live_blocks).sum();
        let live_bytes: u64 = sites.iter().map(|site| site.live_bytes).sum();
        let requested_bytes: u64 = sites.iter().map(|site| site.requested_bytes).sum();
        assert_eq!(
            (live_blocks, live_bytes, requested_bytes),
            (
                logged.live_blocks,
                logged.live_blocks * log.size,
                logged.calls * log.size
            ),
            "{}: live blocks, live bytes, requested bytes",
            logged.function
        );
    }
    (log, report)
}

/// What of the program's blocks was live at the peak of the total, which they alone move while they are made.
fn peak_bytes(log: &Log, report: &Report) -> u64 {
    let of_the_log = |caller: &str| log.sites.iter().any(|site| site.function == caller);
    (report.sites().iter())
        .filter(|site| site.caller().is_some_and(of_the_log))
        .map(|site| site.peak_bytes)
        .sum()
}

#[test]
fn one_thread_has_the_logs_live_set_and_peak() {
    let (log, report) = trace(1, Steps::AtOnce);
    assert_eq!(peak_bytes(&log, &report), log.most_live_bytes);
    assert_eq!(report.quality.peak_error_bytes, 0, "peak_error_bytes");
}

/// Where the log's order is the only true one, it is the recorded one, with any number of threads.
#[test]
fn threads_in_turns_have_the_logs_live_set_and_peak() {
    let (log, report) = trace(THREADS, Steps::Serial);
    assert_eq!(peak_bytes(&log, &report), log.most_live_bytes);
}

/// Calls in flight are in neither order: the peaks differ by no more than the report says, and that is a few blocks.
pub(crate) fn threads_at_once() {
    let (log, report) = trace(THREADS, Steps::AtOnce);
    let error_bytes = report.quality.peak_error_bytes;
    let peak = peak_bytes(&log, &report);
    assert!(
        peak.abs_diff(log.most_live_bytes) <= error_bytes,
        "{peak}, not {} within {error_bytes}",
        log.most_live_bytes
    );
    assert!(
        (1..16 * 1024).contains(&error_bytes),
        "a block for each thread, and what starting the threads takes: {error_bytes}"
    );
}
