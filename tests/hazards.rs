//! What has crashed, hung or confused tracers before: the program survives, and the report is exact all the same.

use crate::support::interpreters::{known, usual, with_packages};
use crate::support::{Interpreter, Report, Traced, for_each, skipped};

/// The parts of `hazards.py` that every interpreter can run.
const HAZARDS: [&str; 8] = [
    "tracemalloc_and_locale",
    "subinterpreters",
    "threads",
    "short_threads",
    "forks_among_threads",
    "commands_among_threads",
    "signals_while_allocating",
    "code_in_weird_frames",
];

fn survive(run: Traced) -> Vec<Report> {
    let outcome = run.run().success();
    assert_eq!(outcome.stdout, "survived\n", "{}", outcome.stderr);
    assert!(!outcome.stderr.contains("Warning"), "{}", outcome.stderr);
    let reports: Vec<_> = outcome
        .captures()
        .iter()
        .map(|path| Report::of(path))
        .collect();
    reports.iter().for_each(Report::assert_exact);
    reports
}

fn hazard(interpreter: &Interpreter, name: &str) -> Traced {
    Traced::script(interpreter, "hazards.py").argument(name)
}

#[test]
fn every_hazard_on_every_interpreter() {
    let cells = known()
        .iter()
        .flat_map(|python| HAZARDS.map(|name| (python, name)));
    for_each(
        cells,
        |(python, name)| format!("{} {name}", python.name),
        |(python, name)| {
            let reports = survive(hazard(python, name));
            let children = if *name == "forks_among_threads" {
                60
            } else {
                0
            };
            assert_eq!(reports.len(), 1 + children, "captures");
        },
    );
}

#[test]
fn greenlets_that_swap_stacks() {
    let report = &survive(
        Traced::script_with_packages(&with_packages(), "hazards.py").argument("greenlets"),
    )[0];
    let deepest = |site: &crate::support::report::Site| {
        site.python()
            .filter(|frame| {
                frame
                    .function
                    .as_deref()
                    .is_some_and(|name| name.ends_with("deep"))
            })
            .count()
    };
    assert_eq!(
        report.sites().iter().map(deepest).max(),
        Some(60),
        "frames of the deepest greenlet"
    );
}

/// Sizes beyond 32 bits.
#[test]
fn blocks_of_more_than_4_gib() {
    let outcome = hazard(usual(), "huge_blocks").run().success();
    if outcome.stdout.starts_with("refused") {
        return skipped("blocks of more than 4 GiB", "the system does not give them");
    }
    let report = outcome.report();
    report.assert_exact();
    let malloc = &report.domains["malloc"];
    let (first, last) = ((4 << 30) + 4001, (5 << 30) + 5003);
    assert_eq!(malloc.sizes.max, last);
    let large = malloc
        .sizes
        .buckets
        .iter()
        .filter(|bucket| bucket.from > 1 << 30);
    let bytes: u64 = large.map(|bucket| bucket.requested_bytes).sum();
    assert_eq!(bytes, first + last);
    assert!(malloc.counters.live_bytes >= Some(last) && malloc.max_live_bytes >= Some(last));
}

/// Little address space: the tracer's own tables must not need much of it.
#[test]
fn limits_on_memory_and_files() {
    for limit in ["--as=300000000", "--nofile=12", "--stack=1000000"] {
        let run = Traced::command("prlimit")
            .argument(limit)
            .argument(&usual().path)
            .argument("-S");
        let reports = survive(
            run.argument(crate::support::installation::program("hazards.py"))
                .argument("tracemalloc_and_locale"),
        );
        assert_eq!(reports.len(), 1, "{limit}");
    }
}

/// Millions of events in bursts from several threads: none is dropped.
#[test]
fn no_event_is_lost_under_load() {
    let code = "
import threading
def burst():
    for _ in range(40):
        blocks = [bytes(100) for _ in range(20_000)]
threads = [threading.Thread(target=burst) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
";
    for_each(
        known(),
        |python| python.name.clone(),
        |python| {
            let report = Traced::python(python)
                .arguments(["-S", "-c", code])
                .run()
                .success()
                .report();
            report.assert_exact();
            let allocations = report.domains["object"].counters.allocations;
            assert!(allocations > 3_200_000, "{allocations} allocations");
            assert!(
                report.quality.events > 2 * 3_200_000,
                "{:?}",
                report.quality
            );
        },
    );
}
