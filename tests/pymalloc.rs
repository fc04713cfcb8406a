//! Agreement with CPython's own description of its arenas, pools and size classes.

use crate::support::installation::program;
use crate::support::interpreters::with_stacks;
use crate::support::report::Pools;
use crate::support::{Interpreter, Outcome, Traced, for_each};
use std::collections::{BTreeMap, BTreeSet};

/// Size class → (pools, blocks in use, blocks free).
type Classes = BTreeMap<u64, (u64, u64, u64)>;

/// Pools of a class by which two runs of the same command may differ.
const SPREAD_POOLS: u64 = 1;

/// Blocks of a class by which two runs of the same command may differ. CPython keeps or frees a few names depending on addresses
/// (its method cache is indexed by them), and the library's own mappings move these. Since 3.14 it also keeps up to 100 ints
/// without a use, of 32 bytes (`Py_ints_MAXFREELIST` in `Include/internal/pycore_freelist_state.h`).
fn spread_blocks(size: u64) -> u64 {
    if size == 32 { 100 } else { 8 }
}

/// The same command, with the same environment (but for the value of PYTRACE) and without random addresses.
fn run(interpreter: &Interpreter, value: &str) -> Outcome {
    let machine = std::env::consts::ARCH;
    Traced::command("setarch")
        .arguments([machine, "-R"])
        .argument(&interpreter.path)
        .argument("-S")
        .argument(program("pools.py"))
        .set("PYTRACE", value)
        .set("PYTRACE_TREE", "0123456789abcdef:1") // the library would add it, and its own length
        .run()
        .success()
}

/// The lines `class size pools blocks-in-use blocks-free` of `sys._debugmallocstats()`.
fn classes_by_cpython(description: &str) -> Classes {
    let rows = description.lines().map(|line| {
        let words = line.split_whitespace().map(str::parse::<u64>);
        words.collect::<Result<Vec<_>, _>>().unwrap_or_default()
    });
    rows.filter(|row| row.len() == 5)
        .map(|row| (row[1], (row[2], row[3], row[4])))
        .collect()
}

fn classes_by_pytrace(pools: &Pools) -> Classes {
    let used = pools.size_classes.iter().filter(|class| class.pools > 0);
    used.map(|class| {
        (
            class.size,
            (class.pools, class.blocks_in_use, class.blocks_free),
        )
    })
    .collect()
}

/// Where two descriptions differ.
fn differences(one: &Classes, other: &Classes) -> Vec<String> {
    let sizes: BTreeSet<_> = one.keys().chain(other.keys()).collect();
    let differ = sizes
        .into_iter()
        .filter(|size| one.get(size) != other.get(size));
    differ
        .map(|size| format!("{size}: {:?}, {:?}", one.get(size), other.get(size)))
        .collect()
}

#[test]
fn pools_and_blocks_of_each_class_equal_those_of_debugmallocstats() {
    for_each(
        with_stacks(),
        |one| one.name.clone(),
        |interpreter| {
            let cpython = classes_by_cpython(&run(interpreter, "off").stderr);
            assert!(
                cpython.len() >= 30,
                "size classes that CPython describes: {}",
                cpython.len()
            );
            let report = run(interpreter, "on").report();
            report.assert_exact();
            let pools = report
                .pymalloc
                .expect("pymalloc is the default allocator")
                .at_end;
            let sizes = (pools.arena_bytes, pools.pool_bytes);
            let expected = if interpreter.version < (3, 10) {
                (256 << 10, 4 << 10)
            } else {
                (1 << 20, 16 << 10)
            };
            assert_eq!(sizes, expected, "sizes of an arena and a pool");

            let counted = classes_by_pytrace(&pools);
            assert!(
                cpython.keys().eq(counted.keys()),
                "{:?}\n{:?}",
                cpython.keys(),
                counted.keys()
            );
            for (size, expected) in &cpython {
                let counted = counted[size];
                let blocks_of_a_pool = (expected.1 + expected.2) / expected.0;
                let agree = counted.0.abs_diff(expected.0) <= SPREAD_POOLS
                    && counted.1.abs_diff(expected.1) <= spread_blocks(*size)
                    && counted.1 + counted.2 == counted.0 * blocks_of_a_pool;
                assert!(
                    agree,
                    "{size}: {expected:?} by CPython, {counted:?} by pytrace (pools, in use, free)"
                );
            }
        },
    );
}

/// Walked in memory and followed by events, the pools are the same; the peak, which only events know, holds what is gone later.
#[test]
fn the_walk_and_the_events_agree() {
    for_each(
        with_stacks(),
        |one| one.name.clone(),
        |interpreter| {
            let report = run(interpreter, "on").report();
            let pymalloc = report.pymalloc.expect("pymalloc is the default allocator");
            assert_eq!(pymalloc.source, "memory");
            let by_events = pymalloc.by_events.expect("events were recorded");
            let differ = differences(
                &classes_by_pytrace(&pymalloc.at_end),
                &classes_by_pytrace(&by_events),
            );
            assert!(
                differ.is_empty(),
                "size: walk, events, each (pools, in use, free): {differ:#?}"
            );
            let of_all = |pools: &Pools| {
                (
                    pools.arenas,
                    pools.pools_total,
                    pools.pools_free,
                    pools.bytes_free,
                )
            };
            assert_eq!(of_all(&pymalloc.at_end), of_all(&by_events));

            let of_448 = |pools: &Pools| classes_by_pytrace(pools)[&448].1;
            let at_peak = of_448(&pymalloc.at_peak.expect("events were recorded"));
            let left = of_448(&pymalloc.at_end);
            assert!(
                at_peak >= 20_000 && left < 1_000,
                "{at_peak} at the peak, {left} left"
            );
        },
    );
}
