//! How much a test does: little in every run of the tests, as much as the promise says in the soak (`scripts/soak`).

/// `reduced`, or `full` when the environment says `PYTRACE_SOAK=full`.
pub(crate) fn count(reduced: u32, full: u32) -> u32 {
    if is_full() { full } else { reduced }
}

/// The same for numbers that are passed on to programs.
pub(crate) fn passed_on(reduced: u64, full: u64) -> u64 {
    if is_full() { full } else { reduced }
}

/// Whether this is the soak.
pub(crate) fn is_full() -> bool {
    std::env::var_os("PYTRACE_SOAK").is_some_and(|value| value == "full")
}
