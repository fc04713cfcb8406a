//! F64, F66: little memory, small stacks, few descriptors, no name for the user; and very much.

use super::super::beside::beside;
use super::marker;
use crate::support::compile::{Product, compiled};
use crate::support::interpreters::usual;
use crate::support::{Report, Traced, for_each, scale, skipped};

/// Little address space: the program has what it had before, but for what the books need.
#[test]
fn f64_limit_on_address_space() {
    let megabytes = [
        40, 48, 56, 64, 80, 100, 128, 160, 200, 256, 300, 400, 512, 700, 1000, 1400, 2000,
    ];
    let steps = scale::count(5, 17) as usize;
    let chosen = megabytes.iter().step_by(megabytes.len().div_ceil(steps));
    for_each(
        chosen,
        |limit| format!("{limit} MB"),
        |limit| {
            let limit = format!("--as={limit}000000");
            let outcome = beside(|| marker(Traced::command("prlimit").argument(&limit)));
            assert_eq!(outcome.said, [""; 0]);
            outcome.report().assert_exact();
        },
    );
}

/// The tables of stacks are large, and grow while the system gives no more memory: the recording stops, and the program goes on.
#[test]
fn f64_tables_that_cannot_grow() {
    for (kind, after) in [("tree", "19"), ("lines", "18")] {
        for native in ["caller", "full"] {
            for room in ["0", "5000000", "12000000", "30000000"] {
                let run = || {
                    let run = Traced::script(usual(), "many_stacks.py");
                    run.arguments([kind, "16", after, room])
                };
                let outcome = beside(|| run().set("PYTRACE_NATIVE", native));
                assert_eq!(outcome.status.code(), Some(7), "{kind}, {native}, {room}");
                assert_eq!(
                    outcome.said,
                    [
                        "pytrace: out of memory: recording stopped, and the capture ends with its last flush"
                    ],
                    "{kind}, {native}, {room}"
                );
                assert_eq!(outcome.captures().len(), 1);
            }
        }
    }
}

#[test]
fn f64_limit_on_the_stack() {
    for limit in ["--stack=200000", "--stack=1000000", "--stack=unlimited"] {
        let outcome = beside(|| marker(Traced::command("prlimit").argument(limit)));
        assert_eq!(outcome.said, [""; 0], "{limit}");
        outcome.report().assert_exact();
    }
}

/// A program that may have few descriptors keeps them all; others find theirs where they were.
#[test]
fn f64_few_descriptors() {
    let code = "import os, time; kept = [bytes(500) for _ in range(20_000)]; time.sleep(0.2); print(os.open('/', 0))";
    for count in [4, 5, 8, 12, 31, 32, 64, 256, 1024] {
        let limit = format!("--nofile={count}");
        let outcome = beside(|| {
            let run = Traced::command("prlimit")
                .arguments([&limit])
                .argument(&usual().path);
            run.arguments(["-S", "-c", code])
        });
        if count < 32 {
            let [line] = &outcome.said[..] else {
                panic!("{limit}: {:?}", outcome.said);
            };
            assert!(line.ends_with(&format!(
                "the program may have only {count} open files; no capture is kept"
            )));
        } else {
            assert_eq!(outcome.said, [""; 0]);
            outcome.report().assert_exact();
        }
    }
}

/// Nobody in particular, who may write nowhere but to the capture's folder.
#[test]
fn f64_unknown_user() {
    let run = |prefix: &[&str]| {
        let run = Traced::command("sh").arguments([
            "-c",
            "chmod 777 ../captures; chmod 755 .. .; exec \"$@\"",
            "sh",
        ]);
        marker(run.arguments(prefix))
    };
    let prefix = [
        "setpriv",
        "--reuid=54321",
        "--regid=54321",
        "--clear-groups",
    ];
    let able = Traced::command("setpriv")
        .arguments(&prefix[1..])
        .arguments([usual().path.as_os_str(), "-V".as_ref()]);
    if !able.untraced().run().status.success() {
        return skipped(
            "an unknown user",
            "no other user can be taken, or has no access to the interpreter",
        );
    }
    let outcome = beside(|| run(&prefix));
    assert_eq!(outcome.said, [""; 0]);
    outcome.report().assert_exact();
}

/// Threads with the smallest stacks that there are, in the program and in a forked child, where they aggregate themselves.
#[test]
fn f64_tiny_stacks() {
    let small = compiled("small_stacks.c", Product::Library);
    for native in ["caller", "full"] {
        let outcome = beside(|| {
            Traced::script(usual(), "small_stacks.py")
                .argument(&small)
                .set("PYTRACE_NATIVE", native)
        });
        assert_eq!(outcome.said, [""; 0]);
        assert_eq!(outcome.captures().len(), 2);
        for capture in outcome.captures() {
            Report::of(&capture).assert_exact();
        }
    }
}

/// Sizes beyond 32 bits.
#[test]
fn f66_blocks_of_more_than_4_gib() {
    let outcome = Traced::script(usual(), "hazards.py")
        .argument("huge_blocks")
        .run()
        .success();
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

/// A long run's capture grows with what changes, not with what happens: ten times the events, about the same file.
#[test]
fn f66_captures_of_long_runs() {
    let size_of = |rounds: u64| {
        let code = format!("kept = None\nfor _ in range({rounds}):\n    kept = bytearray(3000)");
        let run = Traced::python(usual()).arguments(["-S", "-c", &code]);
        // One write, at the end: the time that a run takes decides nothing.
        let outcome = run.set("PYTRACE_INTERVAL_MS", "60000").run().success();
        let report = outcome.report();
        report.assert_exact();
        let bytes = outcome.capture().metadata().expect("it is there").len();
        (report.quality.events, bytes)
    };
    let (few, small) = size_of(10_000);
    let (many, large) = size_of(scale::count(200_000, 20_000_000).into());
    assert!(many > few + 380_000, "{few} and {many} events");
    assert!(large < small + small / 4, "{small} and {large} bytes");
}
