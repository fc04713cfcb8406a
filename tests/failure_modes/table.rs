//! docs/FAILURE_MODES.md says of every entry how it is handled, and names every test that proves it.

use crate::support::installation::project;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Entries of the catalogue.
const ENTRIES: usize = 69;

/// The words of a text that are named like a test of an entry: `f19_address_reuse`.
fn named_like_tests(text: &str) -> BTreeSet<String> {
    text.split(|one: char| !one.is_ascii_alphanumeric() && one != '_')
        .filter(|word| {
            let digits = word.get(1..3).unwrap_or("");
            word.starts_with('f')
                && word.get(3..4) == Some("_")
                && digits.bytes().all(|one| one.is_ascii_digit())
        })
        .map(str::to_owned)
        .collect()
}

/// The tests of entries that the sources in a folder define.
fn defined_in(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("the tests' sources are there") {
        let path = entry.expect("a folder can be read").path();
        if path.is_dir() {
            defined_in(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a source is text");
            for function in text.split("\n#[test]\nfn ").skip(1) {
                let name = function.split('(').next().unwrap_or("");
                found.extend(named_like_tests(name));
            }
        }
    }
}

#[test]
fn the_table_has_every_entry_and_names_every_test() {
    let table = fs::read_to_string(project().join("docs/FAILURE_MODES.md")).expect("it is there");
    for number in 1..=ENTRIES {
        let row = format!("\n| F{number:02} | ");
        assert_eq!(table.matches(&row).count(), 1, "rows of F{number:02}");
    }
    let mut defined = BTreeSet::new();
    defined_in(&project().join("tests"), &mut defined);
    assert_eq!(named_like_tests(&table), defined);
}
