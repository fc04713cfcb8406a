//! What has crashed, hung or confused tracers before: the program survives, and the report is exact all the same.

use crate::support::interpreters::one_per_version;
use crate::support::{Interpreter, Report, Traced, for_each};

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
    let cells = one_per_version().flat_map(|python| HAZARDS.map(|name| (python, name)));
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
        one_per_version(),
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
