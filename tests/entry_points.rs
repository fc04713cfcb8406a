//! What is not to be traced behaves as without the library.

use crate::support::interpreters::usual;
use crate::support::{Outcome, Traced};

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
