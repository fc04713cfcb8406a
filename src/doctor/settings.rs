//! The `PYTRACE_*` variables of the environment.

use std::env;
use std::ffi::OsString;

/// Every variable that means something, to the library or to the command line.
pub const KNOWN: [&str; 13] = [
    "PYTRACE",
    "PYTRACE_OUTPUT",
    "PYTRACE_SUMMARY",
    "PYTRACE_TOP",
    "PYTRACE_MODE",
    "PYTRACE_NATIVE",
    "PYTRACE_DEPTH",
    "PYTRACE_DOMAINS",
    "PYTRACE_CHILDREN",
    "PYTRACE_START",
    "PYTRACE_INTERVAL_MS",
    "PYTRACE_TREE",
    "PYTRACE_LIBRARY",
];

/// The variables that are set, sorted by name.
pub fn of_environment() -> impl Iterator<Item = (String, OsString)> {
    let mut found: Vec<_> = env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .filter(|(name, _)| name == "PYTRACE" || name.starts_with("PYTRACE_"))
        .collect();
    found.sort();
    found.into_iter()
}

/// The known name that a name was probably meant to be.
pub fn similar(name: &str) -> Option<&'static str> {
    let distances = KNOWN.iter().map(|known| (distance(name, known), *known));
    let (distance, known) = distances.min()?;
    (distance <= 2).then_some(known)
}

/// How many letters must be added, removed or changed to get from one word to the other.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, letter) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, other) in to.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *other);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_errors_are_recognised() {
        assert_eq!(similar("PYTRACE_MOED"), Some("PYTRACE_MODE"));
        assert_eq!(similar("PYTRACE_OUTPUTS"), Some("PYTRACE_OUTPUT"));
        assert_eq!(similar("PYTRACE_COLOURS_OF_ALL"), None);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
