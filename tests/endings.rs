//! Every way in which a program ends: its own exit status, and a capture that holds what happened until then.

use crate::support::installation::program;
use crate::support::interpreters::{known, usual};
use crate::support::{Interpreter, Report, Traced, for_each};

/// The line of `endings.py` that keeps blocks of bytes(911).
const LINE: u32 = 12;

/// How the program ends and what the capture says of it.
const ENDINGS: [(&str, &str); 10] = [
    ("exit_code", "exit"),
    ("exception", "exit"),
    ("hard_exit", "exit"),
    ("abort", "signal"),
    ("own_interrupt", "signal"),
    ("own_termination", "signal"),
    ("daemon_threads", "exit"),
    ("thread_at_the_end", "exit"),
    ("at_exit", "exit"),
    ("failing_exec", "exit"),
];

fn run(interpreter: &Interpreter, ending: &str) -> Traced {
    Traced::script(interpreter, "endings.py").argument(ending)
}

fn assert_has_the_blocks(interpreter: &Interpreter, report: &Report) {
    if !interpreter.has_stacks() {
        return;
    }
    let site = report.site_of_blocks("object", &program("endings.py"), LINE);
    assert_eq!((site.allocations, site.live_blocks), (1009, 1009));
}

#[test]
fn the_exit_status_is_the_programs_own_and_the_capture_is_whole() {
    let cells = known()
        .iter()
        .flat_map(|python| ENDINGS.map(|(ending, ended)| (python, ending, ended)));
    for_each(
        cells,
        |(python, ending, _)| format!("{} {ending}", python.name),
        |(python, ending, ended)| {
            let plain = run(python, ending).untraced().run();
            let outcome = run(python, ending).run();
            assert_eq!(
                outcome.status, plain.status,
                "exit status\n{}",
                outcome.stderr
            );
            assert_eq!(outcome.stdout, plain.stdout);
            assert!(
                outcome.stderr.starts_with(&plain.stderr),
                "{}\n---\n{}",
                plain.stderr,
                outcome.stderr
            );
            let report = outcome.report();
            report.assert_exact();
            assert_eq!(report.process.ended, *ended);
            assert_has_the_blocks(python, &report);
        },
    );
}

/// What a thread or an exit function does after the main program's last line is still part of the program.
#[test]
fn the_program_ends_when_its_threads_and_exit_functions_have_ended() {
    for ending in ["thread_at_the_end", "at_exit"] {
        let report = run(usual(), ending).run().success().report();
        let size = report.bucket("object", 944);
        let nothing_more = run(usual(), "hard_exit").run().report();
        assert_eq!(
            size.live_blocks - nothing_more.bucket("object", 944).live_blocks,
            1,
            "{ending}"
        );
    }
}

/// A process that is killed, or that crashes, leaves what was flushed in the last interval.
#[test]
fn a_killed_process_leaves_its_last_flush() {
    for signal in ["KILL", "TERM", "SEGV"] {
        let mut running = run(usual(), "from_outside")
            .set("PYTRACE_INTERVAL_MS", "10")
            .start();
        running.watched.wait_for("ready");
        std::thread::sleep(std::time::Duration::from_millis(500)); // fifty intervals
        running.watched.signal(signal);
        let outcome = running.wait();
        assert!(!outcome.status.success());
        let report = outcome.report();
        assert_eq!(report.process.ended, "lost", "{signal}");
        assert_eq!(report.quality.lost_events, 0, "{signal}");
        report.assert_domains_agree();
        assert_has_the_blocks(usual(), &report);
    }
}

#[test]
fn a_crash_stays_a_crash() {
    let plain = run(usual(), "segmentation_fault").untraced().run();
    let outcome = run(usual(), "segmentation_fault").run();
    assert_eq!(outcome.status, plain.status);
    assert_eq!(outcome.report().process.ended, "lost");
}

#[test]
fn a_running_process_can_be_reported() {
    let mut running = run(usual(), "from_outside")
        .set("PYTRACE_INTERVAL_MS", "10")
        .start();
    running.watched.wait_for("ready");
    std::thread::sleep(std::time::Duration::from_millis(500)); // fifty intervals
    let report = Report::of(&running.captures()[0]);
    assert_eq!(report.process.ended, "running");
    assert_eq!(report.process.pid, running.watched.pid());
    assert_has_the_blocks(usual(), &report);
    running.watched.signal("KILL");
    assert!(!running.wait().status.success());
}
