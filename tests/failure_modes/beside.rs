//! A run with the library beside one without: the program's own part must be the same.

use crate::support::{Outcome, Traced};
use std::ops::Deref;

/// A traced run, and the lines that the library said in it.
pub(super) struct Beside {
    outcome: Outcome,
    pub(super) said: Vec<String>,
}

impl Deref for Beside {
    type Target = Outcome;

    fn deref(&self) -> &Outcome {
        &self.outcome
    }
}

/// Runs the program with and without the library, and compares exit status, output and errors. No summary is printed.
#[track_caller]
pub(super) fn beside(make: impl Fn() -> Traced) -> Beside {
    let plain = make().untraced().run();
    let outcome = make().set("PYTRACE_SUMMARY", "none").run();
    let (said, own): (Vec<_>, Vec<_>) = outcome
        .stderr
        .lines()
        .partition(|line| line.starts_with("pytrace: "));
    assert_eq!(outcome.status, plain.status, "{}", outcome.stderr);
    assert_eq!(outcome.stdout, plain.stdout);
    assert_eq!(own, plain.stderr.lines().collect::<Vec<_>>());
    let said = said.into_iter().map(str::to_owned).collect();
    Beside { outcome, said }
}
