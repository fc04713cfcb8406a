//! C. The allocator's contract: blocks that others made or will free, errno, sizes, other allocators beside us.

use super::{WAYS, call, each_way, made_by};
use crate::support::compile::{Product, compiled, shared_library};
use crate::support::interpreters::{known, usual};
use crate::support::{Outcome, Traced, allocators, for_each, installation, scale, skipped};

/// A traced and an untraced run of the same printed the same; the traced one.
#[track_caller]
fn same_output(run: impl Fn() -> Traced) -> Outcome {
    let plain = run().untraced().run().success();
    let traced = run().run().success();
    assert_eq!(traced.stdout, plain.stdout, "{}", traced.stderr);
    traced
}

/// Every function of the family: each call site equals the books that the calling program kept.
#[test]
fn f17_missed_entry_points() {
    for_each(
        known(),
        |one| one.name.clone(),
        |interpreter| crate::accounting::check(interpreter, ""),
    );
}

/// Blocks from before the recording are freed, grown and shrunk while it is on: nothing becomes negative.
#[test]
fn f18_frees_of_blocks_never_seen() {
    let library = compiled("unseen_blocks.c", Product::Library);
    let count = scale::passed_on(40_000, 1_000_000);
    for native in ["caller", "full"] {
        let report = call(usual(), &library, "unseen_blocks", &[count])
            .set("PYTRACE_NATIVE", native)
            .run()
            .success()
            .report();
        report.assert_exact();
        assert_eq!(report.quality.unmatched_frees, 0);
        let unmatched = report.quality.unmatched_while_paused;
        assert!(
            (count..count + 100).contains(&unmatched),
            "{unmatched} of {count}"
        );
        assert_eq!(made_by(&report, "unseen"), (0, 0, 0));
    }
}

/// Threads get the addresses that others are freeing: the live set is the log's.
#[test]
fn f19_address_reuse() {
    crate::concurrency::threads_at_once();
}

/// In every way to record, with the capture being written all the time.
#[test]
fn f20_errno_clobbered() {
    let library = compiled("kept_errno.c", Product::Library);
    let rounds = scale::passed_on(20_000, 1_000_000);
    each_way(|name, value| {
        let outcome = same_output(|| {
            call(usual(), &library, "keep_errno_with_gil", &[rounds])
                .set(name, value)
                .set("PYTRACE_INTERVAL_MS", "10")
        });
        assert_eq!(outcome.stdout.lines().count(), 24, "functions");
        let report = outcome.report();
        assert_eq!(report.quality.lost_events, 0);
        report.assert_domains_agree();
        let allocations = report.domains["malloc"].counters.allocations;
        assert!(allocations >= 4 * rounds, "{allocations}");
    });
}

/// `malloc_usable_size` says what the allocator itself says: no header, no padding.
#[test]
fn f21_usable_size_under_fortify() {
    let library = shared_library(
        "expand_to_usable.c",
        "expand_to_usable.so",
        &["-O2", "-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=3", "-Werror"],
    );
    for (name, value) in WAYS {
        let outcome = same_output(|| call(usual(), &library, "expand", &[50_000]).set(name, value));
        assert_eq!(outcome.report().quality.lost_events, 0);
    }
}

/// A library that bypasses us: what it makes and we see freed is counted as unmatched, and nothing breaks.
#[test]
fn f22_deepbind() {
    let build = |name| shared_library("exchange.c", name, &["-O1", "-fno-builtin", "-Werror"]);
    let halves = [build("exchange.so"), build("exchange_deep.so")];
    let count = 5000;
    let outcome = same_output(|| {
        Traced::script(usual(), "exchange.py")
            .arguments(&halves)
            .argument(count.to_string())
    });
    let report = outcome.report();
    assert_eq!(report.quality.lost_events, 0);
    report.assert_domains_agree();
    // What libc was asked for directly and we saw freed; a fifth of the other half's blocks was resized by libc directly.
    assert!(
        (count * 4 / 5..=count).contains(&report.quality.unmatched_frees),
        "{:?}",
        report.quality
    );
    assert!(
        made_by(&report, "give").0 == count,
        "{:?}",
        made_by(&report, "give")
    );
}

/// Another preloaded library has a part of the family: its blocks are asked nothing that their allocator does not answer.
#[test]
fn f23_originals_of_different_objects() {
    let allocator = compiled("odd_allocator.c", Product::Library);
    let ours = installation::library().display();
    for order in [
        format!("{ours}:{}", allocator.display()),
        format!("{}:{ours}", allocator.display()),
    ] {
        for allocators in ["pymalloc", "malloc"] {
            let outcome = same_output(|| {
                let run = Traced::python(usual()).set("PYTHONMALLOC", allocators);
                run.arguments(["-S", "-c", "print(sum(len(bytes(n)) for n in range(3000)))"])
                    .set("LD_PRELOAD", &order)
            });
            outcome.report().assert_exact();
        }
    }
}

/// Operators new and delete that belong to a library stay its own.
#[test]
fn f24_operators_of_a_library() {
    let library = shared_library(
        "private_new.cpp",
        "private_new.so",
        &["-O1", "-Wl,-Bsymbolic", "-Werror"],
    );
    let outcome = same_output(|| call(usual(), &library, "cross", &[20_000]));
    let (made, dropped) = outcome.stdout.trim().split_once(' ').expect("two numbers");
    assert!(made == dropped && made.len() > 4, "{}", outcome.stdout);
    let report = outcome.report();
    report.assert_exact();
    assert_eq!(report.quality.unmatched_frees, 0);
}

/// An allocator that a library brings along is seen as the mappings that it asks for.
#[test]
fn f25_bundled_allocators() {
    let library = compiled("bundled_allocator.c", Product::Library);
    let report = call(usual(), &library, "use_bundled", &[1000])
        .run()
        .success()
        .report();
    report.assert_exact();
    let (chunks, live, bytes) = made_by(&report, "bundled_chunk");
    assert_eq!(
        (chunks, live, bytes),
        (16, 16, 16 * (64 << 20)),
        "1000 MiB in chunks of 64 MiB"
    );
}

/// Other allocators, preloaded before us and behind us.
#[test]
fn f26_other_allocators() {
    let ours = installation::library().display().to_string();
    let others = [
        "libjemalloc.so.2",
        "libmimalloc.so.2",
        "libtcmalloc_minimal.so.4",
    ];
    let library = compiled("burst.c", Product::Library);
    let folder = library.parent().expect("a file has a folder").to_owned();
    for_each(
        others,
        |other| (*other).to_owned(),
        |other| {
            let Some(path) = allocators::find(other) else {
                return;
            };
            let beside = path.parent().expect("a file has a folder").to_owned();
            let run = |preloaded: &str, (name, value): (&str, &str)| {
                call(usual(), &library, "burst", &[5000])
                    .set("LD_PRELOAD", preloaded)
                    .set(
                        "LD_LIBRARY_PATH",
                        format!("{}:{}", folder.display(), beside.display()),
                    )
                    .set(name, value)
                    .run()
                    .success()
            };
            let program = compiled("whole_family.c", Product::Executable);
            for order in [
                format!("{ours}:{}", path.display()),
                format!("{}:{ours}", path.display()),
            ] {
                let outcome = Traced::command(&program)
                    .set("LD_PRELOAD", order)
                    .set("LD_LIBRARY_PATH", &beside)
                    .run()
                    .success();
                assert_eq!(outcome.stdout, "whole\n");
            }
            for way in WAYS {
                let behind = run(&format!("{ours}:{}", path.display()), way);
                let report = behind.report();
                assert_eq!(
                    (report.quality.lost_events, report.quality.missed_frees),
                    (0, 0)
                );
                report.assert_domains_agree();
                let malloc = &report.domains["malloc"].counters;
                assert!(malloc.allocations >= 5000 && !behind.stderr.contains("comes before"));

                let before = run(&format!("{}:{ours}", path.display()), way);
                let report = before.report();
                report.assert_domains_agree();
                assert!(report.domains["object"].counters.allocations > 1000);
                let said = "pytrace: another malloc comes before";
                assert!(before.stderr.contains(said), "{way:?}: {}", before.stderr);
            }
        },
    );
}

/// A library finds its neighbours through its own RUNPATH.
#[test]
fn f27_runpath() {
    let neighbour = shared_library("exchange.c", "libneighbour_of_runpath.so", &["-Werror"]);
    let folder = neighbour.parent().expect("a file has a folder");
    let library = shared_library(
        "runpath.c",
        "runpath.so",
        &["-Werror", "-Wl,--enable-new-dtags,-rpath,$ORIGIN"],
    );
    assert_eq!(library.parent(), Some(folder));
    let outcome = same_output(|| call(usual(), &library, "open_neighbour", &[]));
    assert_eq!(outcome.stdout, "opened 1\n");
}

/// Ranges that are cut, overlaid and moved at random, against books page by page.
#[test]
fn f28_intervals_of_mappings() {
    let library = compiled("mapping_storm.c", Product::Library);
    for_each(
        0..scale::passed_on(6, 200),
        |seed| format!("seed {seed}"),
        |&seed| {
            let outcome = call(usual(), &library, "storm", &[seed, 20_000])
                .run()
                .success();
            let books: Vec<u64> = (outcome.stdout.split_whitespace())
                .map(|word| word.parse().expect("the program prints numbers"))
                .collect();
            let report = outcome.report();
            report.assert_exact();
            let (_, mapped, mapped_bytes) = made_by(&report, "storm_map");
            let (_, moved, moved_bytes) = made_by(&report, "storm_move");
            assert_eq!(
                [mapped, mapped_bytes, moved, moved_bytes],
                books[..],
                "blocks and bytes mapped, blocks and bytes moved"
            );
        },
    );
}

/// Memory that the program does not touch is not touched by us.
#[test]
fn f29_memory_that_nobody_touches() {
    let library = compiled("untouched.c", Product::Library);
    let (cleared, mapped) = (1 << 30, 64 << 30);
    for (name, value) in WAYS {
        let outcome = call(usual(), &library, "untouched", &[cleared, mapped])
            .set(name, value)
            .run()
            .success();
        if outcome.stdout == "refused\n" {
            return skipped("memory that nobody touches", "the system does not give it");
        }
        assert_eq!(outcome.stdout, "little\n", "{name}={value}");
        let mapping = &outcome.report().domains["mmap"];
        assert!(mapping.counters.requested_bytes >= mapped);
    }
}
