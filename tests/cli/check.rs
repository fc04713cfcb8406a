//! `pytrace check`: exit statuses, and its answers as those read them who are meant to.

use super::report::small;
use super::{Answer, Pytrace};
use crate::support::installation::project;
use crate::support::interpreters::with_packages;
use pytrace_format::record::{Domain, End, Ended, Mode, Process, Record, Settings};
use pytrace_format::synth::Synth;
use serde_json::{Value, json};
use std::process::Command;

/// A capture whose program has 5 blocks of 30 bytes and one of 1000, all live; it ended.
fn complete() -> Synth {
    let mut synth = small(Mode::Sites);
    synth.record(Record::End(End {
        ended: Ended::Exit,
        at_ns: 2_500_000_000,
    }));
    synth
}

fn check(capture: &Synth, words: &[&str]) -> Answer {
    Pytrace::new("check")
        .file("a.pytrace", capture.file())
        .word("a.pytrace")
        .words(words)
        .run()
}

#[test]
fn limits_decide_the_exit_status() {
    let held = check(
        &complete(),
        &["--max-peak", "1150", "--max-allocations", "6"],
    );
    assert_eq!((held.code(), held.stderr.as_str()), (0, ""));
    let exceeded = check(
        &complete(),
        &[
            "--max-peak",
            "1K",
            "--max-live",
            "1149",
            "--max-allocated",
            "2K",
        ],
    );
    assert_eq!((exceeded.code(), exceeded.stderr.as_str()), (1, ""));
    assert_eq!(exceeded.stdout.lines().count(), 2, "{}", exceeded.stdout);
    for (words, part) in [
        ([].as_slice(), "--max-peak <SIZE>|"),
        (&["--max-peak", "5X"], "such as 512, 64K, 10MiB or 1.5GB"),
        (&["--max-peak", "5", "--tolerance", "1%"], "--baseline"),
        (&["--max-paek", "5"], "'--max-peak'"),
        (&["--max-peak", "5", "--format", "junti"], "'junit'"),
        (&["--baseline", "missing.pytrace"], "missing.pytrace"),
    ] {
        let answer = check(&complete(), words);
        let line = answer.refusal();
        assert!(line.contains(part), "{words:?}: {line}");
    }
    let mut counts = small(Mode::Counts);
    counts.record(Record::End(End {
        ended: Ended::Exit,
        at_ns: 1,
    }));
    let answer = check(&counts, &["--max-live", "5"]);
    assert!(answer.refusal().contains("mode counts"));
}

#[test]
fn a_verdict_that_nobody_reads_holds() {
    let (reader, writer) = std::io::pipe().expect("a pipe can be made");
    drop(reader);
    let mut pytrace = Pytrace::new("check")
        .file("a.pytrace", complete().file())
        .words(["a.pytrace", "--max-peak", "1"]);
    let output = pytrace.command.stdout(writer).output();
    let output = output.expect("pytrace starts");
    assert_eq!(
        (output.status.code(), output.stderr.as_slice()),
        (Some(1), b"".as_slice())
    );
}

#[test]
fn an_incomplete_capture_fails_unless_it_is_allowed() {
    let killed = small(Mode::Sites);
    let answer = check(&killed, &["--max-peak", "1G"]);
    assert_eq!(answer.code(), 1);
    assert!(
        answer
            .stdout
            .starts_with("not proven: the capture is incomplete"),
        "{}",
        answer.stdout
    );
    let answer = check(&killed, &["--max-peak", "1G", "--allow-incomplete"]);
    assert_eq!(answer.code(), 0, "{}", answer.stdout);
}

#[test]
fn a_baseline_is_another_capture_of_the_same_domains() {
    let run = |old: &Synth, words: &[&str]| {
        Pytrace::new("check")
            .file("new.pytrace", complete().file())
            .file("old.pytrace", old.file())
            .words(["new.pytrace", "--baseline", "old.pytrace"])
            .words(words)
            .run()
    };
    assert_eq!(run(&complete(), &["--tolerance", "0"]).code(), 0);
    let answer = run(
        &small_total(1100),
        &["--tolerance", "4%", "--format", "json"],
    );
    assert_eq!(answer.code(), 1);
    let found: Value = serde_json::from_str(&answer.stdout).expect("the answer is JSON");
    assert_eq!(found["schema"], "pytrace.check/1");
    assert_eq!(found["verdict"], "exceeded");
    let peak = &found["limits"][0];
    for (field, value) in [
        ("metric", json!("peak")),
        ("source", json!("baseline")),
        ("baseline", json!(1100)),
        ("tolerance_percent", json!(4.0)),
        ("limit", json!(1144)),
        ("measured", json!(1150)),
        ("held", json!(false)),
    ] {
        assert_eq!(peak[field], value, "{field}");
    }
    let mut hidden = complete();
    hidden.record(Record::Settings(Settings {
        domains: vec![Domain::Mem],
        ..Settings::default()
    }));
    assert!(run(&hidden, &[]).refusal().contains("PYTRACE_DOMAINS"));
}

/// A complete capture of one block of this size.
fn small_total(bytes: u64) -> Synth {
    let mut synth = Synth::new();
    synth.record(Record::Settings(Settings {
        domains: Domain::ALL.to_vec(),
        ..Settings::default()
    }));
    let line = synth.python("main", "app.py", 1);
    let stack = synth.stack(&[line]);
    synth.site(Domain::Mem, stack, super::report::counters(1, bytes));
    synth.scopes_from_sites();
    synth.record(Record::End(End {
        ended: Ended::Exit,
        at_ns: 1,
    }));
    synth
}

#[test]
fn junit_is_what_its_schema_asks_for_whatever_names_hold() {
    let mut synth = Synth::new();
    synth.record(Record::Process(Process {
        program: "a\u{1b}&<\"\u{fffe}>.py".into(),
        started_at_unix_ns: 1_700_000_000_123_456_789,
        ..Process::default()
    }));
    let line = synth.python("f\u{0}]]>", "/x/a<&>\u{8}.py", 1);
    let stack = synth.stack(&[line]);
    synth.site(Domain::Mem, stack, super::report::counters(1, 1000));
    synth.scopes_from_sites();
    let words = [
        "--max-peak",
        "10",
        "--max-live",
        "1M",
        "--format",
        "junit",
        "-o",
        "out.xml",
    ];
    let answer = check(&synth, &words);
    assert_eq!((answer.code(), answer.stdout.as_str()), (1, ""));
    let program = "import sys; from lxml import etree
schema = etree.XMLSchema(file=sys.argv[1]); document = etree.parse(sys.argv[2])
schema.assertValid(document)
print([case.get('name') for case in document.iter('testcase') if len(case)])";
    let schema = project().join("tests/cli/expected/junit.xsd");
    let out = Command::new(with_packages().path)
        .args(["-c", program])
        .args([schema, answer.path("out.xml")])
        .output()
        .expect("the interpreter starts");
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    let failed = String::from_utf8_lossy(&out.stdout);
    assert_eq!(failed.trim(), "['the capture is complete', '--max-peak']");
}
