//! A. Locks and the loader: nothing in a hook waits for what another thread holds while it allocates.

use super::{call, made_by};
use crate::support::compile::{Product, compiled, rust_library, shared_library};
use crate::support::interpreters::usual;
use crate::support::{Report, Traced, installation, scale};
use std::process::Command;

/// Libraries that come and go, exceptions, threads that come and go and allocations, all at once.
#[track_caller]
fn beside_the_loader(opens: u64, throws: u64, allocations: u64, starts: u64) {
    let copies = 20;
    let driver = compiled("loader_threads.cpp", Product::Library);
    let opened = shared_library(
        "native_unloaded.c",
        "opened_and_closed.so",
        &["-O1", "-DNAME=in_the_opened", "-DROOM=64", "-Werror"],
    );
    let outcome = Traced::script(usual(), "loader_threads.py")
        .arguments([driver, opened])
        .arguments([copies, opens, throws, allocations, starts].map(|number| number.to_string()))
        .set("PYTRACE_NATIVE", "full")
        .run()
        .success();
    let report = outcome.report();
    report.assert_exact();
    // By their size: native frames that are seen while another thread closes a library have no names.
    let (made, live) = (report.sites().iter())
        .filter(|site| site.allocations > 0 && site.requested_bytes == 1511 * site.allocations)
        .fold((0, 0), |(made, live), site| {
            (made + site.allocations, live + site.live_blocks)
        });
    assert_eq!((made, live), (4 * allocations + starts, 0));
    let opened: u64 = (report.sites().iter())
        .filter(|site| site.requested_bytes == 3000 * site.allocations)
        .map(|site| site.allocations)
        .sum();
    assert_eq!(opened, copies * opens, "blocks of code that was closed");
}

#[test]
fn f01_loader_lock() {
    let more = scale::passed_on(1, 300);
    beside_the_loader(15 * more, 4000 * more, 50_000 * more, 200);
}

/// The first allocation of all is traced with native stacks: nothing is prepared within it that could wait.
#[test]
fn f02_first_unwinding() {
    for _ in 0..scale::passed_on(8, 500) {
        let report = Traced::python(usual())
            .arguments(["-S", "-c", "pass"])
            .set("PYTRACE_NATIVE", "full")
            .set("PYTHONMALLOC", "malloc")
            .run()
            .success()
            .report();
        report.assert_exact();
        assert_eq!(report.quality.unmatched_frees, 0);
    }
}

#[test]
fn f03_loading_while_threads_start() {
    let more = scale::passed_on(1, 100);
    beside_the_loader(15 * more, 1, 1000, 1500 * more);
}

/// Libraries written in Rust that panic and take backtraces, which the standard library does under a lock of its own.
#[test]
fn f04_backtraces_of_the_program() {
    let library = rust_library("panicking.rs");
    let (threads, rounds) = (8, scale::passed_on(10, 2000));
    for native in ["caller", "full"] {
        let outcome = call(usual(), &library, "panic_in_threads", &[threads, rounds])
            .set("PYTRACE_NATIVE", native)
            .run()
            .success();
        assert_eq!(outcome.stdout, format!("{}\n", threads * rounds));
        outcome.report().assert_exact();
    }
}

/// The library uses no stdio at all, so it can have no order of locks with it; and many threads print.
#[test]
fn f05_stdio_locks() {
    let symbols = Command::new("nm")
        .args(["-D", "--undefined-only"])
        .arg(installation::library())
        .output()
        .expect("nm starts");
    let imported = String::from_utf8_lossy(&symbols.stdout);
    assert!(imported.contains("dlsym"), "{imported}");
    for name in [
        "stdout", "stderr", "fopen", "fwrite", "fputs", "printf", "fprintf", "fflush",
    ] {
        let uses = |line: &str| line.split(['@', ' ']).any(|word| word == name);
        assert!(!imported.lines().any(uses), "{name} is imported");
    }
    let library = compiled("printing_threads.c", Product::Library);
    let rounds = scale::passed_on(3000, 300_000);
    let outcome = call(usual(), &library, "print_in_threads", &[rounds])
        .set("PYTRACE_NATIVE", "full")
        .run()
        .success();
    let report = outcome.report();
    report.assert_exact();
    assert_eq!(made_by(&report, "beside_printing").0, 8 * rounds);
}

/// What the background thread does is nobody's: twice the work has twice the calls and nothing more, however much there was to
/// keep books of.
#[test]
fn f06_the_tracer_traces_itself() {
    let library = compiled("burst.c", Product::Library);
    let rounds = scale::passed_on(1_000_000, 10_000_000);
    let malloc = |rounds: u64| -> Report {
        let report = call(usual(), &library, "burst", &[rounds])
            .set("PYTRACE_INTERVAL_MS", "10")
            .run()
            .success()
            .report();
        report.assert_exact();
        report
    };
    let (once, twice) = (malloc(rounds), malloc(2 * rounds));
    let calls = |report: &Report| {
        let counters = &report.domains["malloc"].counters;
        (counters.allocations, counters.frees, counters.live_blocks)
    };
    let (less, more) = (calls(&once), calls(&twice));
    assert_eq!(
        (more.0 - less.0, more.1 - less.1, more.2),
        (rounds, rounds, less.2),
        "allocations, frees, live blocks"
    );
}

/// The way of the events to the aggregator is none of the program's allocator: each call of the program is one call behind the
/// library, however many buffers are handed over by however many threads, and when they end.
#[test]
fn f08_handing_over_allocates_nothing() {
    let library = compiled("small_stacks.c", Product::Library);
    let behind = compiled("counting_malloc.c", Product::Library);
    let preloaded = format!("{}:{}", installation::library().display(), behind.display());
    let (threads, calls) = (8, scale::passed_on(50_000, 5_000_000));
    let counted = |calls: u64| -> u64 {
        let outcome = call(usual(), &library, "small_stacks", &[threads, calls])
            .set("LD_PRELOAD", &preloaded)
            .set("PYTRACE_INTERVAL_MS", "10")
            .set("PYTRACE_SUMMARY", "none")
            .run()
            .success();
        let quality = outcome.report().quality;
        assert!(quality.events + quality.lost_events >= 2 * threads * calls);
        let counted = outcome.stderr.strip_prefix("counted ");
        let counted = counted.and_then(|rest| rest.trim_end().parse().ok());
        counted.unwrap_or_else(|| panic!("{:?}", outcome.stderr))
    };
    assert_eq!(counted(2 * calls) - counted(calls), threads * calls);
}
