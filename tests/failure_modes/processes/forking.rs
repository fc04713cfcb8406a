//! Children: they never hang, and each traced one has a capture of its own; their parent's is as if they had not been.

use crate::support::compile::{Product, compiled, shared_library};
use crate::support::installation::{library, program};
use crate::support::interpreters::{few, known, usual, with_stacks};
use crate::support::scale::count;
use crate::support::watchdog::LIMIT;
use crate::support::{Interpreter, Outcome, Report, Traced, for_each};
use std::path::PathBuf;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Limit of the runs that are long in the soak.
const HOURS: Duration = Duration::from_secs(3 * 3600);

/// The lines of `forking.py` that make blocks of bytes(911): one keeps them, the other does not.
const BLOCK_BYTES: u64 = 911 + 33;
const KEEPING: u32 = 15;
const PASSING_BY: u32 = 20;

fn forking(interpreter: &Interpreter, way: &str) -> Traced {
    Traced::script(interpreter, "forking.py").argument(way)
}

fn busy_threads() -> PathBuf {
    compiled("busy_threads.c", Product::Library)
}

/// Blocks made on a line of `forking.py`, and still live.
fn made(report: &Report, line: u32) -> (u64, u64) {
    let sites = report.sites_on_line("object", &program("forking.py"), line);
    let blocks = sites
        .iter()
        .filter(|site| site.requested_bytes == site.allocations * BLOCK_BYTES);
    blocks.fold((0, 0), |(made, live), site| {
        (made + site.allocations, live + site.live_blocks)
    })
}

fn kept(report: &Report) -> u64 {
    let (made, live) = made(report, KEEPING);
    assert_eq!(made, live);
    made
}

/// The report of the process that was started, and those of its children that ended by themselves. (A child that left
/// unseen has a capture too if it lived for longer than an interval.)
fn parent_and_children(outcome: &Outcome) -> (Report, Vec<Report>) {
    let reports = outcome.captures();
    let (mut parents, children): (Vec<_>, Vec<_>) = reports
        .iter()
        .map(|path| Report::of(path))
        .partition(|report| {
            report.process.tree.rsplit(':').next() == Some(&report.process.pid.to_string())
        });
    assert_eq!(parents.len(), 1, "captures of the parent");
    let (ended, rest): (Vec<_>, Vec<_>) = children
        .into_iter()
        .partition(|report| report.process.ended == "exit");
    for report in rest {
        assert!(["lost", "exec"].contains(&report.process.ended.as_str()));
    }
    (parents.remove(0), ended)
}

fn kill(pid: u32) {
    let status = Command::new("kill")
        .args(["-s", "KILL", &pid.to_string()])
        .status();
    assert!(status.expect("kill starts").success());
}

/// The parent has recorded exactly what its busy threads have counted.
fn assert_threads_are_exact(outcome: &Outcome, parent: &Report) {
    let numbers = outcome.stdout.lines().next().unwrap_or_default();
    let numbers: Vec<u64> = numbers
        .split(' ')
        .map(|number| number.parse().expect("forking.py prints two numbers"))
        .collect();
    assert_eq!(made(parent, PASSING_BY), (numbers[0], 0));
    let of_threads = parent.sites_of_caller("busy_malloc");
    let asked: u64 = of_threads.iter().map(|site| site.allocations).sum();
    assert_eq!(asked, numbers[1], "blocks of the threads without a lock");
}

/// Other threads hold locks at any moment: a child that took one of them would wait for ever.
#[test]
fn f38_locks_that_nobody_releases_in_the_child() {
    let forks = count(150, 20_000);
    let captures = count(3, 200);
    let outcome = forking(usual(), "storm")
        .argument(busy_threads())
        .argument(forks.to_string())
        .argument(captures.to_string())
        .set("PYTRACE_INTERVAL_MS", "60000") // children that leave unseen leave nothing behind
        .limit(HOURS)
        .run()
        .success();
    let (parent, children) = parent_and_children(&outcome);
    parent.assert_exact();
    assert_threads_are_exact(&outcome, &parent);
    assert_eq!(children.len(), captures as usize, "captures of children");
    for child in &children {
        child.assert_exact();
        assert_eq!(kept(child), 100);
    }
}

/// CPython 3.12+ counts the threads of a process that forks, and warns if there are several. Ours must not be among them.
#[test]
fn f38_warnings_of_threads_that_are_not_the_programs() {
    for python in known().iter().filter(|python| python.version >= (3, 12)) {
        let outcome = Traced::python(python)
            .arguments(["-W", "always", "-S"])
            .argument(program("forking.py"))
            .arguments(["quiet_forks", &count(20, 3000).to_string()])
            .set("PYTRACE_INTERVAL_MS", "10")
            .set("PYTRACE_SUMMARY", "none")
            .limit(HOURS)
            .run()
            .success();
        assert_eq!(outcome.stderr, "", "{}", python.name);
    }
}

/// A child has no thread of its parent's, but what it does is written all the same, and in time: killed while it waits,
/// neither it nor its parent has lost anything.
#[test]
fn f39_the_background_thread_is_missing_in_the_child() {
    for_each(
        few(),
        |python| python.name.clone(),
        |python| {
            let running = forking(python, "worker")
                .set("PYTRACE_INTERVAL_MS", "10")
                .start();
            let deadline = Instant::now() + LIMIT;
            let mut found = Vec::new();
            while found != [54, 108] {
                assert!(Instant::now() < deadline, "blocks written: {found:?}");
                sleep(Duration::from_millis(50));
                let paths = running.captures();
                let reports = paths.iter().map(|path| Report::of(path));
                found = reports.map(|report| kept(&report)).collect();
                found.sort_unstable();
            }
            for path in running.captures() {
                kill(Report::of(&path).process.pid);
            }
            let outcome = running.wait();
            for path in outcome.captures() {
                assert_eq!(Report::of(&path).process.ended, "lost");
            }
        },
    );
}

/// The capture is being written at any moment: the child has half of it in its memory, and leaves it there.
#[test]
fn f40_forks_while_the_capture_is_being_written() {
    let forks = count(20, 10_000);
    let outcome = forking(usual(), "many_places")
        .argument(forks.to_string())
        .set("PYTRACE_INTERVAL_MS", "10")
        .limit(HOURS)
        .run()
        .success();
    let (parent, children) = parent_and_children(&outcome);
    parent.assert_exact();
    assert_eq!(children.len(), forks as usize / 10);
    for child in &children {
        child.assert_exact();
        assert_eq!(kept(child), 100);
    }
}

/// Other libraries' handlers of fork allocate, whether they were registered before ours (and so run inside it) or after.
#[test]
fn f41_handlers_of_fork_that_allocate() {
    let early = shared_library(
        "busy_threads.c",
        "early_handlers.so",
        &["-DREGISTER_WHEN_LOADED", "-pthread"],
    );
    let forks = count(40, 1000).to_string();
    let preloads = [
        (
            format!("{}:{}", early.display(), library().display()),
            "preloaded".into(),
        ),
        (
            format!("{}:{}", library().display(), early.display()),
            "preloaded".into(),
        ),
        (library().display().to_string(), busy_threads()),
    ];
    for (preload, handlers) in preloads {
        let outcome = forking(usual(), "handlers")
            .argument(handlers)
            .argument(&forks)
            .set("LD_PRELOAD", preload)
            .run()
            .success();
        let (parent, _) = parent_and_children(&outcome);
        parent.assert_exact();
        assert_eq!(kept(&parent), 53);
    }
}

/// A child made by a bare `clone` runs no handler. It has a copy of everything, locks and the file included: it must touch
/// neither.
#[test]
fn f42_a_bare_clone() {
    for python in with_stacks() {
        let outcome = forking(python, "bare_clone")
            .argument(count(4, 1000).to_string())
            .set("PYTRACE_INTERVAL_MS", "10")
            .limit(HOURS)
            .run()
            .success();
        let report = outcome.report();
        report.assert_exact();
        assert_eq!(kept(&report), 53, "{}", python.name);
    }
}

/// Children that share their parent's memory until they become another program: what they do there is nobody's.
#[test]
fn f43_children_in_the_parents_memory() {
    for_each(
        with_stacks(),
        |python| python.name.clone(),
        |python| {
            let is_usual = python.name == usual().name;
            let outcome = forking(python, "spawn")
                .argument(busy_threads())
                .argument(if is_usual { count(60, 10_000) } else { 20 }.to_string())
                .limit(HOURS)
                .run()
                .success();
            let (parent, children) = parent_and_children(&outcome);
            parent.assert_exact();
            assert_threads_are_exact(&outcome, &parent);
            assert_eq!(children.len(), 0, "captures of programs that are no Python");
        },
    );
}

#[test]
fn f44_parent_and_children_write_at_once() {
    let outcome = forking(usual(), "siblings")
        .argument("64")
        .set("PYTRACE_INTERVAL_MS", "10")
        .run()
        .success();
    let (parent, children) = parent_and_children(&outcome);
    parent.assert_exact();
    assert_eq!(kept(&parent), 53);
    children.iter().for_each(Report::assert_exact);
    let mut blocks: Vec<_> = children.iter().map(kept).collect();
    blocks.sort_unstable();
    assert!(blocks.into_iter().eq(1000..1064), "each child has its own");
}

/// The process id stays the same over `exec`, and so might the name of the file.
#[test]
fn f45_one_process_and_three_programs() {
    for_each(
        with_stacks(),
        |python| python.name.clone(),
        |python| {
            let outcome = forking(python, "chain").argument("3").run().success();
            let reports: Vec<_> = outcome
                .captures()
                .iter()
                .map(|path| Report::of(path))
                .collect();
            let mut found: Vec<_> = reports
                .iter()
                .map(|report| (kept(report), report.process.ended.as_str()))
                .collect();
            found.sort_unstable();
            assert_eq!(found, [(101, "exit"), (102, "exec"), (103, "exec")]);
            for report in &reports {
                report.assert_exact();
                assert_eq!(report.process.pid, reports[0].process.pid);
            }
        },
    );
}
