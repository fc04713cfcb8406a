//! `pytrace diff`: a capture and itself, folders of runs, a program that does the same twice, bad requests.

use super::report::small;
use super::{Answer, Pytrace};
use crate::support::interpreters::usual;
use pytrace_format::record::{Domain, End, Ended, Mode, Record};
use pytrace_format::synth::Synth;
use serde_json::Value;
use std::path::Path;
use tempfile::TempDir;

/// A complete capture, with so many bytes more.
fn program(more_bytes: u64) -> Vec<u8> {
    let mut synth: Synth = small(Mode::Sites);
    let line = synth.python("main", "app.py", 3);
    let stack = synth.stack(&[line]);
    synth.site(
        Domain::Mem,
        stack,
        super::report::counters(1, 100 + more_bytes),
    );
    synth.scopes_from_sites();
    synth.record(Record::End(End {
        ended: Ended::Exit,
        at_ns: 1,
    }));
    synth.file()
}

fn diff(files: &[(&str, u64)], words: &[&str]) -> Answer {
    let mut pytrace = Pytrace::new("diff");
    for (name, more_bytes) in files {
        let path = pytrace.path(name);
        let folder = path.parent().expect("it is in the test's folder");
        std::fs::create_dir_all(folder).expect("the folder is ours");
        pytrace = pytrace.file(name, program(*more_bytes));
    }
    pytrace.words(words).run()
}

#[test]
fn a_capture_and_itself_have_no_difference() {
    let answer = diff(&[("a.pytrace", 0)], &["a.pytrace", "a.pytrace"]);
    assert_eq!((answer.code(), answer.stderr.as_str()), (0, ""));
    assert!(
        answer.stdout.ends_with("\nno difference\n"),
        "{}",
        answer.stdout
    );
}

#[test]
fn sides_are_captures_folders_or_lists() {
    let files = [
        ("a/1.pytrace", 0),
        ("a/2.pytrace", 6),
        ("b/1.pytrace", 8),
        ("b/2.pytrace", 40),
    ];
    let lists = [
        "--old",
        "a/1.pytrace",
        "a/2.pytrace",
        "--new",
        "b/1.pytrace",
        "b/2.pytrace",
    ];
    let mut answers = Vec::new();
    for words in [["a", "b"].as_slice(), &lists] {
        let answer = diff(&files, &[words, &["--format", "json"]].concat());
        assert_eq!(answer.code(), 0, "{}", answer.stderr);
        let found: Value = serde_json::from_str(&answer.stdout).expect("the answer is JSON");
        // 100 … 106 and 108 … 140 do not overlap, but their medians are nearer than 32.
        assert_eq!(
            (&found["different"], &found["sites"]),
            (&false.into(), &Value::Array(vec![]))
        );
        assert_eq!(
            found["total"]["requested_bytes"]["after_range"],
            serde_json::json!([1258, 1290])
        );
        answers.push(found);
    }
    assert_eq!(answers[0]["total"], answers[1]["total"]);
    let answer = diff(&files, &["a/1.pytrace", "b/1.pytrace"]);
    assert!(
        answer.stdout.contains("+8 B  grew  mem, 100 B → 108 B"),
        "{}",
        answer.stdout
    );
}

#[test]
fn bad_requests_get_one_line() {
    for (words, part) in [
        ([].as_slice(), "OLD"),
        (&["a.pytrace"], "NEW"),
        (&["a.pytrace", "missing.pytrace"], "missing.pytrace"),
        (&["--old", "a.pytrace"], "--new"),
        (&["a.pytrace", "a.pytrace", "--metric", "paek"], "'peak'"),
    ] {
        let answer = diff(&[("a.pytrace", 0)], words);
        let line = answer.refusal();
        assert!(line.contains(part), "{words:?}: {line}");
    }
}

/// A program without threads allocates as often in every run, call site by call site. How long texts of process ids and numbers made of
/// addresses are, and what stays live, is not the same: docs/DIFF.md says why.
#[test]
fn a_deterministic_program_asks_for_the_same_twice() {
    const CODE: &str = "
import json, re, dataclasses
@dataclasses.dataclass
class Point:
    x: int
    tags: list
rows = [Point(number, [str(number)]) for number in range(211)]
text = json.dumps([dataclasses.asdict(row) for row in rows])
kept = json.loads(text), re.findall(r'(\\d+)', text)
";
    let folder = TempDir::new().expect("a temporary folder can be made");
    let path = |number: u8| folder.path().join(format!("{number}.pytrace"));
    // The first run may be the one that writes what the interpreter compiled.
    for number in 0..3 {
        let answer = traced(&path(number), CODE);
        assert_eq!(answer.code(), 0, "{}", answer.stderr);
    }
    let answer = Pytrace::new("diff")
        .words([path(1), path(2)])
        .words(["--format", "json"])
        .run();
    let found: Value = serde_json::from_str(&answer.stdout).expect("the answer is JSON");
    assert!(found["sites_compared"].as_u64().unwrap_or(0) > 500);
    let sites = found["sites"].as_array().expect("sites are compared");
    for name in ["allocations", "reallocations"] {
        let is_same = |numbers: &Value| numbers[name]["changed"] == false;
        for (domain, numbers) in found["domains"].as_object().expect("domains by name") {
            assert!(is_same(numbers), "{name} of {domain}: {}", numbers[name]);
        }
        let other = sites.iter().find(|site| !is_same(site));
        assert!(other.is_none(), "{name}: {}", other.unwrap_or(&Value::Null));
    }
    let is_new = |site: &&Value| site["kind"] == "appeared" || site["kind"] == "vanished";
    assert_eq!(sites.iter().find(is_new), None);
}

fn traced(capture: &Path, code: &str) -> Answer {
    Pytrace::new("run")
        .word("-o")
        .word(capture)
        .words(["--summary", "none", "--"])
        .word(&usual().path)
        .words(["-c", code])
        .set("PYTHONHASHSEED", "0")
        .run()
}
