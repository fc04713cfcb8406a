//! The caches of stacks against a plain walk: the test build of the library walks the frames at every event, reads
//! their names and lines anew, and ends the program where the caches gave something else (`cdylib/src/stack/verify.rs`).

use crate::support::installation::{program, target};
use crate::support::interpreters::{one_per_version, with_packages};
use crate::support::{Interpreter, Traced, for_each, scale, skipped};
use std::path::PathBuf;

/// The test build, as `scripts/test` makes it.
fn test_build() -> Option<PathBuf> {
    let path = target().join("verify/release/libpytrace.so");
    if path.is_file() {
        return Some(path);
    }
    skipped(
        "verified",
        "no test build: cargo build --release -p pytrace-preload --features verify --target-dir target/verify",
    );
    None
}

/// Runs a program under the test build, with the caller of the allocator alone and with whole native stacks.
fn check(interpreter: &Interpreter, name: &str, arguments: &[&str], at_least: u64) {
    let Some(library) = test_build() else {
        return;
    };
    for native in ["caller", "full"] {
        let outcome = Traced::script_with_packages(interpreter, "verified.py")
            .argument(program(name))
            .arguments(arguments)
            .set("LD_PRELOAD", &library)
            .set("PYTRACE_NATIVE", native)
            .set("PYTRACE_OUTPUT", "none")
            .set("PYTRACE_SUMMARY", "none")
            .run()
            .success();
        let checked = (outcome.stderr.lines())
            .find_map(|line| line.strip_prefix("checked ")?.parse().ok())
            .unwrap_or(0);
        assert!(
            checked > at_least,
            "{name}, {native}: {checked} stacks were checked\n{}",
            outcome.stderr
        );
    }
}

#[test]
fn caches_equal_a_plain_walk_in_random_shapes_on_every_interpreter() {
    let shapes = scale::count(100, 1000);
    for_each(
        one_per_version().filter(|one| one.has_stacks()),
        |one| one.name.clone(),
        |interpreter| {
            let arguments = [&shapes.to_string(), "7"];
            check(interpreter, "shapes", &arguments, 160 * u64::from(shapes));
        },
    );
}

#[test]
fn caches_equal_a_plain_walk_in_every_kind_of_code_on_every_interpreter() {
    for_each(
        one_per_version().filter(|one| one.has_stacks()),
        |one| one.name.clone(),
        |interpreter| check(interpreter, "stacks.py", &[], 20_000),
    );
}

#[test]
fn caches_equal_a_plain_walk_in_real_programs() {
    for name in ["lxml_parse.py", "pandas_pipeline.py"] {
        check(&with_packages(), name, &[], 100_000);
    }
}
