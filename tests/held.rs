//! The background thread is held while the program is busy, by a debugger's means: the program goes on, memory stays
//! bounded, and what is lost is counted to the last event.

use crate::support::compile::{Product, compiled};
use crate::support::interpreters::usual;
use crate::support::report::{Quality, Report};
use crate::support::watchdog::{LIMIT, Watched};
use crate::support::{Outcome, Traced, measured, scale};
use std::fs;
use std::io::Write;
use std::process::Command;
use std::time::{Duration, Instant};

/// What may wait for the background thread: 64 MiB of events, and something for the program's own threads.
const MOST_WAITING_KIB: u64 = (64 + 16) << 10;

/// How the run was: its outcome, and the memory that it took in the step in which the thread was held.
struct Held {
    outcome: Outcome,
    grown_kib: u64,
}

/// The thread of the library among a process's threads: it has all signals blocked that can be.
fn background_thread(pid: u32) -> Option<u32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).expect("the process runs");
    threads.filter_map(Result::ok).find_map(|thread| {
        let status = fs::read_to_string(thread.path().join("status")).ok()?;
        let blocked = status
            .lines()
            .find_map(|line| line.strip_prefix("SigBlk:\t"))?;
        let blocked = u64::from_str_radix(blocked, 16).ok()?;
        (blocked.count_ones() > 58).then(|| thread.file_name().to_str()?.parse().ok())?
    })
}

fn resident_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.expect("the system tells it")
}

/// Runs the program; in its first step, the background thread is held at this place (none: it is not), for this time at
/// least.
fn run(mode: &str, place: Option<&str>, threads: u64, calls: u64, at_least: Duration) -> Held {
    let run = Traced::script(usual(), "held.py")
        .argument(compiled("small_stacks.c", Product::Library))
        .arguments([threads.to_string(), calls.to_string()])
        .argument("../pipe");
    let pipe = run.folder().join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("mkfifo starts").success());
    let run = run
        .set("PYTRACE_MODE", mode)
        .set("PYTRACE_INTERVAL_MS", "10")
        .set("PYTRACE_SUMMARY", "none");
    let mut running = run.start();
    running.watched.wait_for("step 1\n");
    let mut pipe = fs::OpenOptions::new()
        .write(true)
        .open(pipe)
        .expect("the program reads it");

    let pid = running.watched.pid();
    let holder = place.map(|place| {
        let thread = background_thread(pid)
            .expect("it runs since the first allocation")
            .to_string();
        let mut command = Command::new(compiled("hold_thread.c", Product::Executable));
        let mut holder = Watched::start(command.args([thread.as_str(), place]), LIMIT);
        holder.wait_for("held\n");
        holder
    });
    let (before_kib, began) = (resident_kib(pid), Instant::now());
    pipe.write_all(b"1").expect("the program reads it");
    running.watched.wait_for("step 2\n");
    let grown_kib = resident_kib(pid).saturating_sub(before_kib);
    if let Some(holder) = holder {
        std::thread::sleep(at_least.saturating_sub(began.elapsed()));
        holder.signal("TERM");
        holder.wait();
    }
    pipe.write_all(b"2").expect("the program reads it");
    running.watched.wait_for("step 3\n");
    pipe.write_all(b"3").expect("the program reads it");
    let outcome = running.wait();
    assert_eq!(
        (outcome.status.code(), outcome.stderr.as_str()),
        (Some(7), "")
    );
    Held { outcome, grown_kib }
}

/// What was called of libc's allocator, as far as the report knows: the allocations, resizes and frees that were recorded, also
/// those of blocks whose allocation was lost, without the frees that were only inferred, and what was lost. In the steps in
/// which events are lost, the program calls nothing else.
fn calls_of_malloc(report: &Report) -> u64 {
    let Quality {
        missed_frees,
        unmatched_frees,
        lost_events,
        ..
    } = report.quality;
    let recorded = &report.domains["malloc"].counters;
    recorded.allocations + recorded.reallocations + recorded.frees - missed_frees
        + unmatched_frees
        + lost_events
}

/// Held in the middle of writing the capture, when it has the aggregator's lock, nobody can help: 64 MiB of events wait, the
/// others are lost, and counted. Held elsewhere, or not at all, the threads that record do its work, and what they do not
/// manage is counted as well: threads that do nothing but allocate can be faster than any bookkeeping.
#[test]
fn f07_held_background_thread() {
    let threads = u64::from(scale::count(4, 16));
    let calls = u64::from(scale::count(1_000_000, 10_000_000));
    let at_least = Duration::from_secs(scale::count(0, 30).into());
    let idle = run("sites", None, threads, 0, Duration::ZERO)
        .outcome
        .report();
    idle.assert_exact();
    let known = calls_of_malloc(&idle) + 4 * threads * calls;
    for (mode, place) in [
        ("sites", None),
        ("sites", Some("writing")),
        ("sites", Some("now")),
        ("events", Some("writing")),
    ] {
        let held = run(mode, place, threads, calls, at_least);
        let report = held.outcome.report();
        let quality = &report.quality;
        let place = place.unwrap_or("nowhere");
        assert_eq!(
            calls_of_malloc(&report),
            known,
            "held {place}: recorded and lost are what the program did: {quality:?}"
        );
        assert!(
            held.grown_kib < MOST_WAITING_KIB,
            "held {place}: {} KiB more",
            held.grown_kib
        );
        if place == "writing" {
            let waiting = 64 << 20 >> 4;
            let lost = 2 * threads * calls - waiting;
            assert!(
                quality.lost_events > lost / 2,
                "the channel was full: {quality:?}"
            );
        } else if scale::is_full() {
            // On a slow machine it is stopped with the lock as likely as not, and then nobody can help.
            assert!(
                quality.lost_events < known / 4,
                "held {place}: somebody aggregates: {quality:?}"
            );
        }
        measured(&format!(
            "mode {mode}, held {place}: {} of {} events lost, each counted, {} MiB more at most",
            quality.lost_events,
            quality.events + quality.lost_events,
            held.grown_kib >> 10
        ));
    }
}
