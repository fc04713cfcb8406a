//! Agreement with CPython's own description of its arenas, pools and size classes.

use crate::support::interpreters::with_stacks;
use crate::support::report::Pools;
use crate::support::{Interpreter, Traced, for_each};
use std::collections::{BTreeMap, BTreeSet};

/// Size class → (pools, blocks in use, blocks free).
type Classes = BTreeMap<u64, (u64, u64, u64)>;

/// The two runs see the same addresses and the same environment, but for the value of PYTRACE (of one length).
fn run(interpreter: &Interpreter, value: &str) -> crate::support::Outcome {
    let machine = std::env::consts::ARCH;
    Traced::command("setarch")
        .arguments([machine, "-R"])
        .argument(&interpreter.path)
        .argument(crate::support::installation::program("pools.py"))
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

/// A number that `sys._debugmallocstats()` gives in a line of its own: `# arenas highwater mark = 8`.
fn number_by_cpython(description: &str, name: &str) -> u64 {
    let line = description
        .lines()
        .find(|line| line.trim_start_matches("# ").starts_with(name));
    let line = line.unwrap_or_else(|| panic!("no line for {name:?} in:\n{description}"));
    let digits: String = line
        .rsplit('=')
        .next()
        .unwrap_or_default()
        .chars()
        .filter(char::is_ascii_digit)
        .collect();
    digits
        .parse()
        .unwrap_or_else(|_| panic!("no number in {line:?}"))
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
            let description = run(interpreter, "off").stderr;
            let report = run(interpreter, "on").report();
            report.assert_exact();
            let pymalloc = report.pymalloc.expect("pymalloc is the default allocator");

            let expected = classes_by_cpython(&description);
            assert!(
                expected.len() >= 30,
                "size classes that CPython describes: {}",
                expected.len()
            );
            let counted = classes_by_pytrace(&pymalloc.at_end);
            let differ = differences(&expected, &counted);
            assert!(
                differ.is_empty(),
                "size: CPython, pytrace, each (pools, in use, free): {differ:#?}"
            );

            let pools = &pymalloc.at_end;
            let numbers = [
                ("arenas allocated total", pools.arenas_allocated_total),
                ("arenas reclaimed", pools.arenas_freed_total),
                ("arenas highwater mark", pools.arenas_peak),
                ("arenas allocated current", pools.arenas),
            ];
            for (name, number) in numbers {
                assert_eq!(number, number_by_cpython(&description, name), "{name}");
            }
            let (arena_bytes, pool_bytes) = if interpreter.version < (3, 10) {
                (256 << 10, 4 << 10)
            } else {
                (1 << 20, 16 << 10)
            };
            assert_eq!(
                (pools.arena_bytes, pools.pool_bytes),
                (arena_bytes, pool_bytes)
            );
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
            assert_eq!(pymalloc.at_end.arenas, by_events.arenas);

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
