//! D. Unwinding, threads, signals: frames that nobody can leave, small stacks, handlers, threads that are not the program's.

use super::{call, each_way, made_by};
use crate::support::compile::{Product, compiled, shared_library};
use crate::support::interpreters::{known, usual, with_packages};
use crate::support::{Traced, for_each, installation, scale};

/// Code of libraries that were closed, each with another in its place later: stacks equal gdb's.
#[test]
fn f30_code_that_was_unloaded() {
    crate::native_chains::unloaded_libraries_equal_gdbs();
}

/// Functions without a rule for leaving them, with rules that lie, made at run time; anything in registers and on the stack.
#[test]
fn f31_frames_that_cannot_be_left() {
    let library = compiled("strange_frames.c", Product::Library);
    let rounds = scale::passed_on(120_000, 10_000_000);
    let report = call(usual(), &library, "strange_frames", &[rounds])
        .set("PYTRACE_NATIVE", "full")
        .run()
        .success()
        .report();
    report.assert_exact();
    let of_size = |report: &crate::support::Report| -> u64 {
        (report.sites().iter())
            .filter(|site| site.domain == "malloc")
            .filter(|site| site.requested_bytes == 1511 * site.allocations)
            .map(|site| site.allocations)
            .sum()
    };
    assert_eq!(of_size(&report), rounds, "blocks");
    assert!(
        report.quality.truncated_stacks >= rounds / 6,
        "{} stacks that end early are counted",
        report.quality.truncated_stacks
    );
    assert_eq!(made_by(&report, "without_rule").0, rounds.div_ceil(6));
}

/// The smallest stacks that the system gives to threads and to handlers.
#[test]
fn f32_small_stacks() {
    let library = compiled("least_stacks.c", Product::Library);
    let (threads, rounds) = (20, 100);
    each_way(|name, value| {
        let report = call(usual(), &library, "small_stacks", &[threads, rounds])
            .set(name, value)
            .run()
            .success()
            .report();
        assert_eq!(report.quality.lost_events, 0);
        report.assert_domains_agree();
        if report.settings.mode == "sites" && report.settings.native != "off" {
            let made = threads / 2 * rounds;
            assert_eq!(made_by(&report, "on_small_stack"), (made, 0, 0));
            assert_eq!(made_by(&report, "in_handler"), (made, 0, 0));
        }
    });
}

/// Exceptions, longjmp, pthread_exit and cancellation leave frames that allocate.
#[test]
fn f33_frames_left_without_return() {
    let library = shared_library(
        "leaving_frames.cpp",
        "leaving_frames.so",
        &[
            "-O1",
            "-g",
            "-fno-optimize-sibling-calls",
            "-fno-builtin",
            "-pthread",
            "-Wno-infinite-recursion",
            "-Werror",
        ],
    );
    let rounds = scale::passed_on(500, 100_000);
    for native in ["caller", "full"] {
        let outcome = call(usual(), &library, "leave_frames", &[rounds])
            .set("PYTRACE_NATIVE", native)
            .run()
            .success();
        let made: u64 = outcome.stdout.trim().parse().expect("a number");
        let report = outcome.report();
        report.assert_exact();
        let (allocations, live, _) = made_by(&report, "within_frames");
        // Threads that are cancelled make as many blocks as they have time for.
        assert!(allocations >= made, "{native}: {allocations}, not {made}");
        assert_eq!(live, 0, "{native}");
    }
}

/// Handlers allocate wherever they interrupt a thread, also within a hook: the stream of events stays whole.
#[test]
fn f34_handlers_that_allocate() {
    let library = compiled("handlers.c", Product::Library);
    let allocator = compiled("signal_safe_allocator.c", Product::Library);
    let preloaded = format!(
        "{}:{}",
        installation::library().display(),
        allocator.display()
    );
    let signals = scale::passed_on(20_000, 10_000_000);
    each_way(|name, value| {
        let outcome = call(usual(), &library, "handlers", &[signals])
            .set("LD_PRELOAD", &preloaded)
            .set(name, value)
            .run()
            .success();
        let made: Vec<u64> = (outcome.stdout.split_whitespace())
            .map(|word| word.parse().expect("the program prints numbers"))
            .collect();
        let report = outcome.report();
        report.assert_domains_agree();
        assert_eq!(report.quality.missed_frees, 0);
        if report.settings.mode == "sites" && report.settings.native != "off" {
            assert_eq!(made_by(&report, "by_thread"), (made[0], 0, 0));
            assert!(made_by(&report, "by_handler").0 <= made[1]);
        }
    });
}

/// Signals to the process never go to our thread: it blocks all that can be blocked.
#[test]
fn f35_signals_on_our_thread() {
    for_each(
        known(),
        |python| python.name.clone(),
        |python| {
            let outcome = Traced::script(python, "signal_masks.py").run().success();
            let report = outcome.report();
            report.assert_exact();
            assert_eq!(
                outcome.stdout,
                "1 thread beside the program's, 0 of them open to signals\n"
            );
        },
    );
}

/// A program with one thread of its own forks without being told that it has several; we have none of ours while it does.
#[test]
fn f36_our_thread_changes_nothing() {
    for_each(
        known(),
        |python| python.name.clone(),
        |python| {
            let outcome = Traced::script(python, "forks_alone.py")
                .argument(scale::passed_on(15, 1000).to_string())
                .run()
                .success();
            assert_eq!(outcome.stdout, "forked\n");
            assert!(!outcome.stderr.contains("Warning"), "{}", outcome.stderr);
        },
    );
}

/// Greenlets swap the C stack and the frames of one thread: each stack is that of the greenlet that runs.
#[test]
fn f37_greenlets() {
    let outcome = Traced::script_with_packages(&with_packages(), "hazards.py")
        .argument("greenlets")
        .run()
        .success();
    assert_eq!(outcome.stdout, "survived\n");
    let report = outcome.report();
    report.assert_exact();
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
