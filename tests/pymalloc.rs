//! Agreement with CPython's own description of its arenas, pools and size classes.

use crate::support::interpreters::{usual, with_stacks};
use crate::support::report::Pymalloc;
use crate::support::{Interpreter, Traced, for_each};
use std::collections::BTreeMap;

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

fn classes_by_pytrace(pymalloc: &Pymalloc) -> Classes {
    let classes = pymalloc.size_classes.iter().filter(|class| class.pools > 0);
    classes
        .map(|class| {
            (
                class.size,
                (class.pools, class.blocks_in_use, class.blocks_free),
            )
        })
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
            let counted = classes_by_pytrace(&pymalloc);
            let sizes = expected.keys().chain(counted.keys());
            let differ: BTreeMap<_, _> = sizes
                .filter(|size| expected.get(size) != counted.get(size))
                .map(|size| (size, (expected.get(size), counted.get(size))))
                .collect();
            assert!(
                differ.is_empty(),
                "size: (CPython, pytrace), each (pools, in use, free): {differ:?}"
            );

            let numbers = [
                ("arenas allocated total", pymalloc.arenas_allocated_total),
                ("arenas reclaimed", pymalloc.arenas_freed_total),
                ("arenas highwater mark", pymalloc.arenas_peak),
                ("arenas allocated current", pymalloc.arenas),
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
                (pymalloc.arena_bytes, pymalloc.pool_bytes),
                (arena_bytes, pool_bytes)
            );
        },
    );
}

/// What is served from pools is in the pools: blocks of the mem and object domains of at most 512 bytes.
#[test]
fn blocks_in_pools_equal_the_live_blocks_of_the_domains() {
    let report = run(usual(), "on").report();
    let pymalloc = report
        .pymalloc
        .as_ref()
        .expect("pymalloc is the default allocator");
    let small = |domain: &str| -> u64 {
        let buckets = report.domains[domain].sizes.buckets.iter();
        buckets
            .filter(|bucket| bucket.to <= 512)
            .map(|bucket| bucket.live_blocks)
            .sum()
    };
    let in_pools: u64 = pymalloc
        .size_classes
        .iter()
        .map(|class| class.blocks_in_use)
        .sum();
    assert_eq!(in_pools, small("mem") + small("object"));
}
