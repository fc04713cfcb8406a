//! Packages with much C, C++ or Rust below them (`programs/neighbours.py`): their output is that of an untraced run, and the capture
//! is whole and consistent.
//!
//! In CI those that the other tests install as well; in the soak all, in a virtual environment of their own.

use crate::support::interpreters::{with_neighbours, with_packages};
use crate::support::{Interpreter, Report, Traced, for_each, scale};

/// What the tests' own virtual environment has.
const USUAL: [&str; 4] = ["greenlet", "numpy", "pandas", "lxml"];
/// What the soak has beside them.
const MORE: [&str; 8] = [
    "gevent",
    "pyarrow",
    "polars",
    "orjson",
    "uvloop",
    "cryptography",
    "grpc",
    "coverage",
];

const WAYS: [(&str, &str); 3] = [
    ("PYTRACE_MODE", "sites"),
    ("PYTRACE_MODE", "counts"),
    ("PYTRACE_NATIVE", "full"),
];

fn check(interpreter: &Interpreter, package: &str, ways: &[(&str, &str)]) {
    let run = || Traced::script_with_packages(interpreter, "neighbours.py").argument(package);
    let plain = run().untraced().run().success();
    for (name, value) in ways {
        let outcome = run().set(name, value).run().success();
        assert_eq!(outcome.stdout, plain.stdout, "{name}={value}");
        for capture in outcome.captures() {
            let report = match *value {
                "counts" => Report::of(&capture),            // it has no call sites
                _ => Report::of_largest_live(&capture, 100), // all of the stacks would be gigabytes
            };
            assert_eq!(report.quality.lost_events, 0, "{name}={value}");
            assert_eq!(report.quality.missed_frees, 0, "{name}={value}");
            assert_eq!(report.process.ended, "exit", "{name}={value}");
            report.assert_domains_agree();
        }
    }
}

#[test]
fn packages_work_as_they_do_untraced() {
    let python = with_packages();
    let ways = if scale::is_full() {
        &WAYS[..]
    } else {
        &WAYS[..1]
    };
    for_each(
        USUAL,
        |name| (*name).to_owned(),
        |name| check(&python, name, ways),
    );
}

#[test]
fn more_packages_work_as_they_do_untraced() {
    if !scale::is_full() {
        return;
    }
    let python = with_neighbours();
    for_each(
        MORE,
        |name| (*name).to_owned(),
        |name| check(&python, name, &WAYS),
    );
}
