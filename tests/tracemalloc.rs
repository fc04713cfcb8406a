//! Agreement with CPython's own tracer on what is live, line by line.

use crate::support::installation::program;
use crate::support::interpreters::with_stacks;
use crate::support::{Interpreter, Traced, for_each};
use std::collections::BTreeMap;

/// Live blocks and bytes by line of the program's own file.
type Lines = BTreeMap<u32, (u64, u64)>;

fn lines_by_tracemalloc(interpreter: &Interpreter) -> Lines {
    let run = Traced::script(interpreter, "live_lines.py").argument("tracemalloc");
    let outcome = run.untraced().run().success();
    serde_json::from_str(&outcome.stdout).expect("live_lines.py prints JSON")
}

fn lines_by_pytrace(interpreter: &Interpreter) -> Lines {
    let outcome = Traced::script(interpreter, "live_lines.py").run().success();
    let report = outcome.report();
    report.assert_exact();
    let file = program("live_lines.py");
    let mut lines = Lines::new();
    for site in report.sites() {
        let Some((site_file, line)) = site.python_line() else {
            continue;
        };
        if ["raw", "mem", "object"].contains(&site.domain.as_str())
            && Some(site_file) == file.to_str()
        {
            let (blocks, bytes) = lines.entry(line).or_default();
            *blocks += site.live_blocks;
            *bytes += site.live_bytes;
        }
    }
    lines
}

#[test]
fn live_bytes_per_line_equal_those_of_tracemalloc() {
    let (first_line, last_line) = (21, 120); // the body of build(): there both are watching
    for_each(
        with_stacks(),
        |one| one.name.clone(),
        |interpreter| {
            let watched = |lines: Lines| -> Lines {
                let inside = |(line, (blocks, _)): &(u32, (u64, u64))| {
                    (first_line..=last_line).contains(line) && *blocks > 0
                };
                lines.into_iter().filter(inside).collect()
            };
            let expected = watched(lines_by_tracemalloc(interpreter));
            let counted = watched(lines_by_pytrace(interpreter));
            let bytes: u64 = expected.values().map(|(_, bytes)| bytes).sum();
            assert!(
                expected.len() > 30 && bytes > 2_000_000,
                "{} lines, {bytes} bytes",
                expected.len()
            );
            let lines = expected.keys().chain(counted.keys());
            let differ: BTreeMap<_, _> = lines
                .filter(|line| expected.get(line) != counted.get(line))
                .map(|line| (line, (expected.get(line), counted.get(line))))
                .collect();
            assert!(
                differ.is_empty(),
                "line: (tracemalloc, pytrace), each (blocks, bytes): {differ:?}"
            );
        },
    );
}
