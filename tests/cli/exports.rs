//! Reports for other tools, opened by these tools: their sums are those of the JSON report.

use super::Pytrace;
use super::report::counters;
use crate::support::installation::target;
use pytrace_format::record::Domain;
use pytrace_format::synth::{Synth, realistic};
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;

/// A capture whose names are hard on every sink.
pub(super) fn hostile() -> Synth {
    let mut synth = realistic();
    for (number, name) in [
        "=HYPERLINK(\"x\")",
        "a;b\nc 7",
        "</script><script>",
        "\u{1b}[31m\r\t@x",
        "",
    ]
    .iter()
    .enumerate()
    {
        let line = synth.python(name, name, 3);
        let caller = synth.native(name, 0x40, name);
        let stack = synth.stack(&[caller, line]);
        synth.site(Domain::Object, stack, counters(2, 1 << number));
    }
    let nowhere = synth.stack(&[]);
    synth.site(Domain::Raw, nowhere, counters(1, 99));
    synth
}

/// The folder with the report in the forms that are named.
fn exported(formats: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let capture = folder.path().join("a.pytrace");
    std::fs::write(&capture, hostile().file()).unwrap();
    for (format, name) in formats {
        let answer = Pytrace::new("report")
            .word(&capture)
            .words(["--format", format, "-o"])
            .word(folder.path().join(name))
            .run();
        assert_eq!((answer.code(), answer.stdout.as_str()), (0, ""));
    }
    folder
}

fn requested_in_total(folder: &tempfile::TempDir) -> u64 {
    let text = std::fs::read(folder.path().join("report.json")).unwrap();
    let report: Value = serde_json::from_slice(&text).unwrap();
    let sites = report["sites"].as_array().unwrap().iter();
    let in_total = sites.filter(|site| site["domain"] != "mmap");
    in_total
        .map(|site| site["requested_bytes"].as_u64().unwrap())
        .sum()
}

#[test]
fn tables_and_speedscope_are_read_by_csv_pandas_and_duckdb() {
    let python = target().join("test-venv/bin/python");
    let imports = "import duckdb, fastparquet, pandas";
    let has_tools = Command::new(&python).args(["-c", imports]).output();
    if !has_tools.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: {} lacks duckdb or fastparquet", python.display());
        return;
    }
    let folder = exported(&[
        ("json", "report.json"),
        ("csv", "report.csv"),
        ("parquet", "report.parquet"),
        ("speedscope", "report.speedscope.json"),
    ]);
    let program = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/programs/exports.py");
    let output = Command::new(&python)
        .arg(program)
        .arg(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

#[test]
fn profiles_are_read_by_pprof() {
    let pprof = target().join("pprof/pprof");
    if !pprof.exists() {
        eprintln!("skipped: {} is not there", pprof.display());
        return;
    }
    let folder = exported(&[("json", "report.json"), ("pprof", "report.pb.gz")]);
    let output = Command::new(pprof)
        .args(["-top", "-unit=B", "-sample_index=allocated"])
        .arg(folder.path().join("report.pb.gz"))
        .env("HOME", folder.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{:?}", output.stderr);
    let total = format!("% of {}B total", requested_in_total(&folder));
    assert!(text.contains(&total), "{total} in\n{text}");
    assert!(text.contains("Type: allocated"), "{text}");
}

#[test]
fn collapsed_stacks_are_read_by_inferno() {
    let folder = exported(&[("json", "report.json"), ("collapsed", "report.collapsed")]);
    let text = std::fs::read_to_string(folder.path().join("report.collapsed")).unwrap();
    let mut options = inferno::flamegraph::Options::default();
    let mut picture = Vec::new();
    inferno::flamegraph::from_lines(&mut options, text.lines(), &mut picture).unwrap();
    let picture = String::from_utf8(picture).unwrap();
    let total = pytrace_model::text::count(requested_in_total(&folder));
    // The root's tooltip.
    assert!(
        picture.contains(&format!("all ({total} samples, 100%)")),
        "{total}"
    );
}

#[test]
fn what_a_form_cannot_be_is_refused() {
    for (words, part) in [
        (
            ["--format", "html"].as_slice(),
            "--format html is not there yet",
        ),
        (
            &["--format", "pprof", "--by", "line"],
            "--format pprof is of whole stacks, and --by line leaves none",
        ),
    ] {
        let answer = super::report::report(&hostile().file(), words);
        let line = answer.refusal();
        assert!(line.starts_with(part), "{line}");
    }
}
