//! B. Bootstrapping, recursion, thread-local storage: allocations before there is anything, and after everything is gone.

use super::{call, made_by};
use crate::support::compile::{Product, compiled, shared_library};
use crate::support::interpreters::{known, usual, with_packages};
use crate::support::{Traced, allocators, for_each, installation, scale};
use std::path::PathBuf;

/// A program that starts with these libraries preloaded in this order, and its output is that of Python alone.
#[track_caller]
fn starts_with(preloaded: &[PathBuf], variables: &[(&str, &str)]) {
    let names: Vec<_> = preloaded
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let run = (variables.iter()).fold(Traced::python(usual()), |run, (name, value)| {
        run.set(name, value)
    });
    let outcome = run
        .arguments(["-S", "-c", "print(len([bytes(n) for n in range(2000)]))"])
        .set("LD_PRELOAD", names.join(":"))
        .run()
        .success();
    assert_eq!(outcome.stdout, "2000\n");
    outcome.report().assert_exact();
}

fn noisy() -> PathBuf {
    shared_library("noisy_start.c", "noisy_start.so", &["-Werror"])
}

/// The loader asks for memory before we know where to get it.
#[test]
fn f09_calloc_from_dlsym() {
    let ours = || installation::library().to_path_buf();
    for _ in 0..scale::passed_on(1, 25) {
        for preloaded in [vec![ours()], vec![ours(), noisy()], vec![noisy(), ours()]] {
            for bind in ["", "1"] {
                for python in ["pymalloc", "malloc"] {
                    let variables = [("LD_BIND_NOW", bind), ("PYTHONMALLOC", python)];
                    starts_with(&preloaded, &variables);
                }
            }
        }
    }
}

/// Libraries whose constructors run before and after ours, in every order.
#[test]
fn f10_free_before_the_constructor() {
    let mut all = vec![installation::library().to_path_buf(), noisy()];
    all.extend(allocators::find("libjemalloc.so.2"));
    all.extend(allocators::find("libgomp.so.1"));
    let mut orders = vec![vec![]];
    for library in &all {
        let insert = |order: &Vec<PathBuf>| {
            let places = 0..=order.len();
            let at = |place| {
                let mut longer = order.clone();
                longer.insert(place, library.clone());
                longer
            };
            places.map(at).collect::<Vec<_>>()
        };
        orders = orders.iter().flat_map(insert).collect();
    }
    let every = scale::passed_on(3, 1) as usize; // every third order has each library in each place
    for order in orders.iter().step_by(every) {
        starts_with(order, &[]);
    }
}

/// Threads whose first act is to allocate.
#[test]
fn f11_first_touch_of_thread_locals() {
    let library = thread_ends();
    let threads = scale::passed_on(1500, 20_000);
    for native in ["caller", "full"] {
        let report = call(usual(), &library, "first_acts", &[threads])
            .set("PYTRACE_NATIVE", native)
            .run()
            .success()
            .report();
        report.assert_exact();
        let (made, live, _) = made_by(&report, "first_act");
        assert_eq!((made, live), (threads, 0), "{native}");
    }
}

/// Libraries that need static thread-local storage of their own find room, also when another namespace is audited.
#[test]
fn f12_static_thread_local_storage() {
    let orders = [
        "import numpy, pandas, lxml.etree, greenlet",
        "import greenlet, lxml.etree, pandas, numpy",
    ];
    for order in orders {
        Traced::python(&with_packages())
            .arguments(["-c", order])
            .run()
            .success();
    }
    let auditor = shared_library("auditor.c", "auditor.so", &["-Werror"]);
    let run = || {
        Traced::python(usual()).arguments([
            "-S",
            "-c",
            "import ctypes, json; print(json.dumps([1]))",
        ])
    };
    let outcome = run().set("LD_AUDIT", auditor).run().success();
    assert_eq!(outcome.stdout, "[1]\n");
    outcome.report().assert_exact();
}

fn thread_ends() -> PathBuf {
    compiled("thread_ends.cpp", Product::Library)
}

/// Blocks that are made, and buffers that are handed over, while a thread's destructors run.
#[test]
fn f13_thread_locals_after_their_destructors() {
    let library = thread_ends();
    let (threads, blocks) = (64, scale::passed_on(5000, 200_000));
    for native in ["caller", "full"] {
        let report = call(usual(), &library, "thread_ends", &[threads, blocks])
            .set("PYTRACE_NATIVE", native)
            .run()
            .success()
            .report();
        report.assert_exact();
        let expected = [
            ("first_act", threads, 0),
            ("in_thread_local", threads * (blocks + 1), threads),
            ("in_key", threads * 3 * blocks, 0),
            ("handed_over", 2 * threads, 0),
        ];
        for (function, allocations, live) in expected {
            let (made, left, _) = made_by(&report, function);
            assert_eq!((made, left), (allocations, live), "{native}: {function}");
        }
    }
}

/// Many threads after one another, each with blocks of another's: what is kept for a thread is used again, after the next flush.
#[test]
fn f14_frees_of_ended_threads() {
    let threads = scale::passed_on(3000, 100_000);
    let report = call(usual(), &thread_ends(), "thread_ends", &[threads, 1])
        .run()
        .success()
        .report();
    report.assert_exact();
    let (made, live, _) = made_by(&report, "handed_over");
    assert_eq!((made, live), (2 * threads, 0));
    let few = call(usual(), &thread_ends(), "thread_ends", &[256, 1])
        .run()
        .success()
        .report();
    let grown = (report.quality.own_memory_bytes).saturating_sub(few.quality.own_memory_bytes);
    assert!(
        grown < threads * (64 << 10) / 3,
        "{grown} bytes: as much as a buffer for each thread that has ended"
    );
}

/// Every entry point with absurd arguments, in a program without an interpreter: nothing ends it, nothing appears.
#[test]
fn f15_panic_across_the_c_abi() {
    let program = compiled("entry_points.c", Product::Executable);
    let plain = Traced::command(&program).untraced().run().success();
    let traced = Traced::command(&program).run().success();
    assert!(plain.stdout.lines().count() > 400 && plain.stdout.ends_with("Threads:\t1\n"));
    assert_eq!(traced.stdout, plain.stdout);
    assert_eq!(traced.stderr, "");
    assert!(traced.captures().is_empty());
}

/// The same in a traced interpreter.
#[test]
fn f15_panic_across_the_c_abi_of_an_interpreter() {
    let library = compiled("entry_points.c", Product::Library);
    let run = |python| call(python, &library, "entry_points", &[]);
    for_each(
        known(),
        |python| python.name.clone(),
        |python| {
            let plain = run(python).untraced().run().success();
            let traced = run(python).run().success();
            assert!(plain.stdout.lines().count() > 400);
            assert_eq!(traced.stdout, plain.stdout);
            traced.report().assert_exact();
        },
    );
}

/// The library stays, whoever closes it.
#[test]
fn f16_unloaded_library() {
    let outcome = Traced::script(usual(), "unload_ourselves.py")
        .argument(installation::library())
        .argument(scale::passed_on(200, 2000).to_string())
        .run()
        .success();
    assert_eq!(outcome.stdout, "still there\n");
    outcome.report().assert_exact();
}
