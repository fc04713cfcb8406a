//! The allocator's whole interface behaves as without the library: same results, same errno, for sensible and absurd arguments.

use crate::support::compile::{Product, compiled};
use crate::support::interpreters::{known, usual};
use crate::support::{Outcome, Traced, for_each};

#[track_caller]
fn assert_untouched(outcome: &Outcome) {
    assert_eq!(
        outcome.stderr, "",
        "a process without CPython gets no output"
    );
    assert!(
        outcome.captures().is_empty(),
        "a process without CPython gets no capture"
    );
    let left = crate::support::traced::files(&outcome.work());
    assert!(left.is_empty(), "files appeared: {left:?}");
}

#[test]
fn a_c_program_sees_no_difference() {
    let program = compiled("entry_points.c", Product::Executable);
    let plain = Traced::command(&program).untraced().run().success();
    let traced = Traced::command(&program).run().success();
    assert!(plain.stdout.lines().count() > 400 && plain.stdout.ends_with("Threads:\t1\n"));
    assert_eq!(traced.stdout, plain.stdout);
    assert_untouched(&traced);
}

#[test]
fn a_traced_interpreter_sees_no_difference() {
    let library = compiled("entry_points.c", Product::Library);
    let run = |python| {
        Traced::python(python)
            .arguments([
                "-S",
                "-c",
                "import ctypes, sys; ctypes.CDLL(sys.argv[1]).entry_points()",
            ])
            .argument(&library)
    };
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

/// The variable alone switches everything off, also in an interpreter.
#[test]
fn off_means_no_output_and_no_file() {
    let run = || Traced::python(usual()).arguments(["-c", "import os; print(sorted(os.environ))"]);
    let plain = run().set("PYTRACE", "off").run().success();
    assert_untouched(&plain);
    let names: Vec<_> = plain
        .stdout
        .split('\'')
        .filter(|name| name.starts_with("PYTRACE"))
        .collect();
    assert_eq!(
        names,
        ["PYTRACE", "PYTRACE_OUTPUT"],
        "the environment is as it was given"
    );
}
