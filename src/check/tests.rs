//! Verdicts on captures made by hand, in every form.

use pytrace_format::record::{Counters, Domain, Mode, Process, Quality, Record, Settings};
use pytrace_format::synth::{Synth, counted};
use pytrace_model::Model;

use super::*;
use crate::amount::Tolerance;
use crate::analysis::Metric;
use crate::capture::Ending;

const LIBRARY: &str = "/v/lib/python3.12/site-packages/lib/a.py";

fn capture(synth: &Synth) -> Capture {
    let mut model = Model::default();
    for record in synth.records() {
        model.apply(record.clone()).unwrap();
    }
    Capture {
        model,
        ending: Ending::Exit,
        unread: None,
    }
}

fn counters(bytes: u64) -> Counters {
    Counters {
        allocations: bytes / 10,
        requested_bytes: bytes,
        live_bytes: bytes / 2,
        peak_bytes: bytes,
        ..Counters::default()
    }
}

/// A program of two functions, `main` with `main_bytes` at line 7 through a library, and `rest` with 400 at `rest_line`.
fn program(file: &str, main_bytes: u64, rest_line: u32) -> Synth {
    let mut synth = Synth::new();
    synth.record(Record::Process(Process {
        program: file.into(),
        python_version: "3.12.1".into(),
        ..Process::default()
    }));
    let library = synth.python("load", LIBRARY, 3);
    let main = synth.python("main", file, 7);
    let rest = synth.python("rest", file, rest_line);
    let stack = synth.stack(&[library, main]);
    synth.site(Domain::Object, stack, counters(main_bytes));
    let stack = synth.stack(&[rest]);
    synth.site(Domain::Mem, stack, counters(400));
    synth.site(Domain::Mmap, stack, counters(1 << 40));
    synth.scopes_from_sites();
    synth
}

fn outright(metric: Metric, most: u64) -> Limit {
    Limit {
        metric,
        most,
        source: Source::Option,
    }
}

fn lines(verdict: &Verdict<'_>) -> Vec<String> {
    let mut out = Vec::new();
    text::write(verdict, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    text.lines().map(str::to_string).collect()
}

#[test]
fn what_is_measured_may_be_the_limit_and_no_more() {
    let capture = capture(&program("app.py", 600, 20));
    let all = [
        (Metric::Peak, 1000),
        (Metric::Live, 500),
        (Metric::Allocated, 1000),
        (Metric::Allocations, 100),
    ];
    let good = all.map(|(metric, measured)| outright(metric, measured));
    let verdict = Verdict::of(&capture, None, good.to_vec()).unwrap();
    assert!(verdict.is_good());
    assert_eq!(
        lines(&verdict)[1],
        "held: live 500 B within --max-live 500 B"
    );
    let bad = all.map(|(metric, measured)| outright(metric, measured - 1));
    let verdict = Verdict::of(&capture, None, bad.to_vec()).unwrap();
    assert!(!verdict.is_good());
    assert_eq!(
        lines(&verdict),
        [
            "peak 1000 B exceeds --max-peak 999 B by 1 B (0.1%); most in main app.py:7 (600 B, 60.0%)",
            "live 500 B exceeds --max-live 499 B by 1 B (0.2%); most in main app.py:7 (300 B, 60.0%)",
            "allocated 1000 B exceeds --max-allocated 999 B by 1 B (0.1%); most in main app.py:7 (600 B, 60.0%)",
            "allocations 100 exceeds --max-allocations 99 by 1 (1.0%); most in main app.py:7 (60, 60.0%)",
        ]
    );
}

#[test]
fn a_baseline_is_compared_by_function_so_that_lines_may_move() {
    let mut old = program("app.py", 600, 20);
    old.record(Record::Process(Process {
        python_version: "3.11\u{1b}".into(),
        ..Process::default()
    }));
    let old = capture(&old);
    let new = capture(&program("app.py", 640, 30));
    let limits = |percent| {
        let tolerance = Tolerance::parse(percent).unwrap();
        Limit::of_baseline(&old.model, &new.model, tolerance)
    };
    let verdict = Verdict::of(&new, Some(&old), limits("4%")).unwrap();
    assert!(verdict.is_good(), "{verdict:?}");
    let note = r"the baseline is of Python 3.11\x1b, the capture of 3.12.1";
    assert_eq!(verdict.notes, [note]);
    let verdict = Verdict::of(&new, Some(&old), limits("3.9%")).unwrap();
    assert_eq!(verdict.findings.len(), 4);
    assert_eq!(
        lines(&verdict)[0],
        "peak 1.02 KiB exceeds baseline 1000 B + 3.9% by 1 B (0.1%); grew most in main app.py:7 (by 40 B)"
    );
}

/// Of a function whose lines are where they were, the one that grew is named, not the heaviest.
#[test]
fn growth_is_at_the_line_that_grew() {
    let script = |line_4: u64| {
        let mut synth = Synth::new();
        for (line, bytes) in [(3, 20_000), (4, line_4)] {
            let frame = synth.python("<module>", "app.py", line);
            let stack = synth.stack(&[frame]);
            synth.site(Domain::Object, stack, counters(bytes));
        }
        synth.scopes_from_sites();
        capture(&synth)
    };
    let (old, new) = (script(1000), script(10_000));
    let tolerance = Tolerance::parse("1%").unwrap();
    let limits = Limit::of_baseline(&old.model, &new.model, tolerance);
    let verdict = Verdict::of(&new, Some(&old), limits).unwrap();
    for line in lines(&verdict) {
        assert!(
            line.contains("grew most in <module> app.py:4 (by "),
            "{line}"
        );
    }
}

#[test]
fn a_capture_without_a_total_proves_nothing() {
    let mut synth = program("app.py", 600, 20);
    let shown = |domains: &[Domain]| {
        Record::Settings(Settings {
            domains: domains.to_vec(),
            ..Settings::default()
        })
    };
    let limits = || vec![outright(Metric::Peak, 1 << 30)];
    synth.record(shown(&[Domain::Mmap]));
    let refusal = Verdict::of(&capture(&synth), None, limits()).unwrap_err();
    assert!(
        refusal.to_string().contains("nothing to check"),
        "{refusal}"
    );
    synth.record(shown(&[Domain::Raw, Domain::Mmap]));
    let raw = capture(&synth);
    let verdict = Verdict::of(&raw, None, limits()).unwrap();
    assert_eq!(
        verdict.notes,
        ["the capture shows the domains raw alone, so the total is theirs"]
    );
}

#[test]
fn what_is_incomplete_proves_nothing() {
    let good = || vec![outright(Metric::Peak, 1 << 30)];
    let mut killed = capture(&program("app.py", 600, 20));
    killed.ending = Ending::Lost;
    let mut damaged = capture(&program("app.py", 600, 20));
    damaged.unread = Some("it ends in the middle".to_string());
    let mut lossy = program("app.py", 600, 20);
    lossy.record(Record::Quality(Quality {
        lost_events: 7,
        ..Quality::default()
    }));
    let lossy = capture(&lossy);
    let whole = capture(&program("app.py", 600, 20));
    for (doubtful, reason) in [
        (&killed, "incomplete"),
        (&damaged, "damaged"),
        (&lossy, "lost 7"),
    ] {
        for (checked, baseline) in [(doubtful, None), (&whole, Some(doubtful))] {
            let mut verdict = Verdict::of(checked, baseline, good()).unwrap();
            assert!(!verdict.is_good());
            let said = lines(&verdict);
            assert!(
                said[0].starts_with("not proven: ") && said[0].contains(reason),
                "{said:?}"
            );
            verdict.allow_doubts = true;
            assert!(verdict.is_good());
            let mut out = Vec::new();
            junit::write(&verdict, &mut out).unwrap();
            let report = String::from_utf8(out).unwrap();
            assert!(
                report.contains("failures=\"0\"") && report.contains(reason),
                "what is allowed is said: {report}"
            );
        }
    }
}

#[test]
fn mode_counts_knows_what_was_allocated_alone() {
    let mut synth = program("app.py", 600, 20);
    synth.record(Record::Settings(Settings {
        mode: Mode::Counts,
        ..Settings::default()
    }));
    let counts = capture(&counted(&synth));
    for metric in [Metric::Peak, Metric::Live] {
        let refusal = Verdict::of(&counts, None, vec![outright(metric, 1)]).unwrap_err();
        let refusal = refusal.to_string();
        assert!(
            refusal.starts_with("--max-") && refusal.contains("mode counts"),
            "{refusal}"
        );
    }
    let sites = capture(&program("app.py", 600, 20));
    for (old, new) in [(&counts, &sites), (&sites, &counts)] {
        let limits = Limit::of_baseline(&old.model, &new.model, Tolerance::DEFAULT);
        let metrics: Vec<_> = limits.iter().map(|limit| limit.metric).collect();
        assert_eq!(metrics, [Metric::Allocated, Metric::Allocations]);
        let verdict = Verdict::of(new, Some(old), limits).unwrap();
        assert!(verdict.is_good());
        assert!(
            verdict
                .notes
                .iter()
                .any(|note| note.contains("mode counts"))
        );
    }
}

#[test]
fn annotations_cannot_be_broken_by_names() {
    let file = "/repo/a,b:c%d\n::error::x\u{1b}.py";
    let capture = capture(&program(file, 600, 20));
    let verdict = Verdict::of(&capture, None, vec![outright(Metric::Peak, 1)]).unwrap();
    let mut out = Vec::new();
    github::write(&verdict, std::path::Path::new("/repo"), &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    let start = r"::error file=a%2Cb%3Ac%25d\n%3A%3Aerror%3A%3Ax\x1b.py,line=7,title=peak over its limit::peak ";
    assert!(text.starts_with(start), "{text}");
    assert_eq!(text.lines().count(), 1);
    assert!(text.ends_with("(600 B, 60.0%25)\n"), "{text}");
}

#[test]
fn code_from_no_file_has_no_annotation_but_a_message() {
    let capture = capture(&program("<string>", 600, 20));
    let verdict = Verdict::of(&capture, None, vec![outright(Metric::Live, 1)]).unwrap();
    let mut out = Vec::new();
    github::write(&verdict, std::path::Path::new(""), &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(
        text.starts_with("::error title=live over its limit::live 500 B"),
        "{text}"
    );
}
