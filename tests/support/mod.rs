//! What every test stands on: finding what was built, running a program under it, reading what it recorded.

pub(crate) mod allocators;
pub(crate) mod compile;
mod exact;
pub(crate) mod installation;
pub(crate) mod interpreters;
pub(crate) mod marker;
pub(crate) mod report;
pub(crate) mod scale;
pub(crate) mod traced;
pub(crate) mod watchdog;

pub(crate) use interpreters::Interpreter;
pub(crate) use report::Report;
pub(crate) use traced::{Outcome, Traced};

/// Says on the real standard error (not the captured one) that a part of a test had to be left out, and why.
pub(crate) fn skipped(what: &str, why: &str) {
    use std::io::Write;
    let line = format!("skipped: {what}: {why}\n");
    std::io::stderr()
        .write_all(line.as_bytes())
        .expect("standard error is open");
}

/// Says on the real standard error what a test measured and does not judge; `scripts/soak` takes it into its table.
pub(crate) fn measured(what: &str) {
    use std::io::Write;
    let line = format!("measured: {what}\n");
    std::io::stderr()
        .write_all(line.as_bytes())
        .expect("standard error is open");
}

/// Runs `check` for every row and fails once, with every row that failed: a matrix is read as a whole.
pub(crate) fn for_each<T>(
    rows: impl IntoIterator<Item = T>,
    name: impl Fn(&T) -> String,
    check: impl Fn(&T),
) {
    let mut failures = Vec::new();
    for row in rows {
        if let Err(panic) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(&row))) {
            let message = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("panicked");
            failures.push(format!("{}: {message}", name(&row)));
        }
    }
    assert!(
        failures.is_empty(),
        "{} failed:\n{}",
        failures.len(),
        failures.join("\n")
    );
}
