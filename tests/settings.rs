//! Settings: what each value does, and what is said of one that is wrong.

use crate::support::compile::{Product, compiled};
use crate::support::interpreters::usual;
use crate::support::marker::{assert_line_is_exact, block_bytes};
use crate::support::{Report, Traced};

fn marker() -> Traced {
    Traced::script(usual(), "marker.py")
}

#[test]
fn a_bad_value_is_named_with_those_that_are_accepted_and_nothing_is_traced() {
    let cases: [(&str, &[&str], &[&str]); 9] = [
        ("PYTRACE", &["maybe", "ON"], &["on", "off"]),
        (
            "PYTRACE_TOP",
            &["1001", "-1", "many", "99999999999999999999"],
            &["0", "1000"],
        ),
        ("PYTRACE_MODE", &["all", "sites,events"], &["sites"]),
        ("PYTRACE_NATIVE", &["some"], &["caller", "off"]),
        (
            "PYTRACE_DEPTH",
            &["4097", "-3", "deep", "1.5"],
            &["0", "4096"],
        ),
        (
            "PYTRACE_DOMAINS",
            &["raw,heap", "all"],
            &["raw", "mem", "object", "malloc", "mmap"],
        ),
        ("PYTRACE_CHILDREN", &["all"], &["python", "none"]),
        ("PYTRACE_START", &["later"], &["on", "paused"]),
        (
            "PYTRACE_INTERVAL_MS",
            &["9", "60001", "100ms"],
            &["10", "60000"],
        ),
    ];
    for (variable, values, accepted) in cases {
        for value in values {
            let outcome = marker().set(variable, value).run().success();
            assert_eq!(block_bytes(&outcome), 944, "the program's own output");
            assert_eq!(
                outcome.stderr.lines().count(),
                1,
                "{variable}={value}: one line\n{}",
                outcome.stderr
            );
            let line = &outcome.stderr;
            assert!(line.starts_with("pytrace: "), "{line}");
            for word in [&variable, value].into_iter().chain(accepted) {
                assert!(
                    line.contains(word),
                    "{variable}={value}: {word} is not in {line:?}"
                );
            }
            assert!(
                outcome.captures().is_empty(),
                "{variable}={value} is not traced"
            );
        }
    }
}

#[test]
fn a_bad_value_keeps_the_exit_status_and_is_not_mentioned_without_python() {
    let run = Traced::python(usual()).arguments(["-c", "import sys; sys.exit(5)"]);
    assert_eq!(run.set("PYTRACE_MODE", "all").run().status.code(), Some(5));
    let outcome = Traced::command("/bin/echo")
        .argument("hello")
        .set("PYTRACE_MODE", "all")
        .run()
        .success();
    assert_eq!(
        (outcome.stdout.as_str(), outcome.stderr.as_str()),
        ("hello\n", "")
    );
}

#[test]
fn a_value_with_control_characters_is_printed_without_them() {
    let outcome = marker()
        .set("PYTRACE_MODE", "\u{1b}[31mred\u{7}")
        .run()
        .success();
    assert!(
        outcome.stderr.contains("PYTRACE_MODE"),
        "{:?}",
        outcome.stderr
    );
    assert!(
        !outcome.stderr.trim_end().contains(|c: char| c.is_control()),
        "{:?}",
        outcome.stderr
    );
}

#[test]
fn an_unknown_name_is_mentioned_and_the_program_is_traced() {
    let outcome = marker().set("PYTRACE_DEPHT", "5").run().success();
    let mentions = outcome
        .stderr
        .lines()
        .filter(|line| line.contains("PYTRACE_DEPHT"))
        .count();
    assert_eq!(mentions, 1, "{}", outcome.stderr);
    assert_line_is_exact(&outcome.report(), block_bytes(&outcome));

    let outcome = marker().set("PYTRACE_LIBRARY", "/anywhere").run().success();
    assert!(
        !outcome.stderr.contains("PYTRACE_LIBRARY"),
        "the command line's own variable is known"
    );
}

#[test]
fn every_value_is_reported_as_it_was_set() {
    let report = marker().run().success().report();
    let settings = &report.settings;
    assert_eq!(
        (
            settings.mode.as_str(),
            settings.native.as_str(),
            settings.depth
        ),
        ("sites", "caller", 0)
    );
    assert_eq!(settings.domains, ["raw", "mem", "object", "malloc", "mmap"]);
    let process = &report.process;
    assert!(process.argv0.ends_with("python"), "{process:?}");
    assert!(
        process.started_at.len() >= 20 && process.started_at.as_bytes()[10] == b'T',
        "{process:?}"
    );
    assert!(
        process.tree.ends_with(&format!(":{}", process.pid)),
        "{process:?}"
    );
    assert_eq!(process.parent_pid, std::process::id(), "{process:?}");
    assert!(process.program.starts_with("marker"), "{process:?}");
    assert!(process.executable.starts_with('/'), "{process:?}");
    assert_eq!(
        (
            report.quality.inherited_frees,
            report.quality.peak_error_bytes
        ),
        (0, 0),
        "one thread, no fork"
    );
}

#[test]
fn all_times_lie_within_the_run() {
    let report = marker()
        .set("PYTRACE_INTERVAL_MS", "10")
        .run()
        .success()
        .report();
    let duration_s = report.process.duration_s;
    assert!(duration_s > 0.0);
    let peak_at_s = report.total.peak_at_s.expect("known in mode sites");
    assert!(
        (0.0..=duration_s).contains(&peak_at_s),
        "peak at {peak_at_s} of {duration_s} s"
    );
    assert!(!report.timeline.is_empty());
    for point in &report.timeline {
        assert!(
            (0.0..=duration_s).contains(&point.t_s),
            "{point:?} of {duration_s} s"
        );
    }
}

#[test]
fn the_capture_is_named_by_its_pattern() {
    let run = marker();
    let pattern = run.folder().join("captures/%n 100%% %p %h.capture");
    let outcome = run.set("PYTRACE_OUTPUT", pattern).run().success();
    let pid = outcome.report().process.pid;
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("Linux has it");
    let name = outcome
        .capture()
        .file_name()
        .expect("it is a file")
        .to_string_lossy()
        .into_owned();
    let rest = format!(" 100% {pid} {}.capture", host.trim());
    assert!(
        name.starts_with("marker") && name.ends_with(&rest),
        "{name:?} for {rest:?}"
    );

    let module = Traced::python(usual())
        .arguments(["-m", "timeit", "-n1", "-r1", "pass"])
        .run()
        .success();
    let name = module
        .capture()
        .file_name()
        .expect("it is a file")
        .to_string_lossy()
        .into_owned();
    assert!(name.starts_with("timeit-"), "{name:?}");
    let code = Traced::python(usual())
        .arguments(["-c", "pass"])
        .run()
        .success();
    let name = code
        .capture()
        .file_name()
        .expect("it is a file")
        .to_string_lossy()
        .into_owned();
    assert!(name.starts_with("python-"), "{name:?}");
}

#[test]
fn the_default_is_a_file_in_the_working_folder() {
    let outcome = marker().unset("PYTRACE_OUTPUT").run().success();
    let files = crate::support::traced::files(&outcome.work());
    let [capture] = &files[..] else {
        panic!("one file was expected: {files:?}");
    };
    let report = Report::of(capture);
    report.assert_exact();
    assert_eq!(
        capture
            .file_name()
            .and_then(|name| name.to_str())
            .map(|name| name.ends_with(&format!("-{}.pytrace", report.process.pid))),
        Some(true),
        "{files:?}"
    );
    assert_eq!(
        std::os::unix::fs::MetadataExt::mode(&capture.metadata().expect("it exists")) & 0o777,
        0o600
    );
}

#[test]
fn an_existing_file_is_never_overwritten() {
    let folder = tempfile::TempDir::new().expect("a temporary folder can be made");
    let output = folder.path().join("out.pytrace");
    std::fs::write(&output, "precious").expect("the folder is ours");
    std::os::unix::fs::symlink(
        "/nonexistent/elsewhere",
        folder.path().join("out.pytrace.1"),
    )
    .expect("the folder is ours");
    for _ in 0..2 {
        marker().set("PYTRACE_OUTPUT", &output).run().success();
    }
    assert_eq!(
        std::fs::read_to_string(&output).expect("it is there"),
        "precious"
    );
    for name in ["out.pytrace.2", "out.pytrace.3"] {
        Report::of(&folder.path().join(name)).assert_exact();
    }
}

#[test]
fn an_output_that_cannot_be_written_is_named_and_the_program_runs_on() {
    for output in [
        "/nonexistent/folder/out.pytrace",
        "/etc/passwd/out.pytrace",
        "/proc/out.pytrace",
    ] {
        let outcome = marker().set("PYTRACE_OUTPUT", output).run().success();
        assert_eq!(block_bytes(&outcome), 944);
        let lines = outcome
            .stderr
            .lines()
            .filter(|line| line.starts_with("pytrace: ") && line.contains(output));
        assert_eq!(lines.count(), 1, "{output}\n{}", outcome.stderr);
    }
}

#[test]
fn no_output_and_no_summary_when_told_so() {
    let outcome = marker().set("PYTRACE_OUTPUT", "none").run().success();
    assert!(
        outcome.captures().is_empty() && crate::support::traced::files(&outcome.work()).is_empty()
    );
    assert!(
        outcome.stderr.contains("marker"),
        "the summary is still there\n{}",
        outcome.stderr
    );

    let outcome = marker().set("PYTRACE_SUMMARY", "none").run().success();
    assert_eq!(outcome.stderr, "");
    assert_line_is_exact(&outcome.report(), block_bytes(&outcome));
}

/// What was asked through PyMem stays PyMem's: hiding a domain does not hand its blocks to another.
#[test]
fn only_the_chosen_domains_are_shown_and_ownership_stays() {
    let library = compiled("alloc_probe.c", Product::Library);
    let run = |domains: &str| {
        let probe = Traced::script(usual(), "alloc_probe.py")
            .argument(&library)
            .arguments(["100", "pymalloc"]);
        let report = probe
            .set("PYTRACE_DOMAINS", domains)
            .run()
            .success()
            .report();
        report.assert_exact();
        report
    };
    let whole = run("raw,mem,object,malloc,mmap");
    let functions = [
        "raw_malloc",
        "mem_malloc",
        "object_realloc",
        "libc_malloc",
        "mmap_new",
    ];
    for (domains, shown) in [
        ("malloc", &["libc_malloc"][..]),
        ("raw", &["raw_malloc"]),
        ("object,mem", &["mem_malloc", "object_realloc"]),
        ("mmap", &["mmap_new"]),
    ] {
        let report = run(domains);
        assert_eq!(
            report.settings.domains.len(),
            domains.split(',').count(),
            "{:?}",
            report.settings
        );
        for site in report.sites() {
            assert!(
                domains.split(',').any(|domain| domain == site.domain),
                "{domains}: {site:?}"
            );
        }
        for function in functions {
            let numbers = |report: &Report| {
                let sites = report.sites_of_caller(function).into_iter();
                sites
                    .map(|site| (site.allocations, site.requested_bytes, site.live_bytes))
                    .collect::<Vec<_>>()
            };
            let expected = if shown.contains(&function) {
                numbers(&whole)
            } else {
                Vec::new()
            };
            assert_eq!(numbers(&report), expected, "{domains}: {function}");
        }
        for domain in domains.split(',') {
            let allocations = |report: &Report| report.domains[domain].counters.allocations;
            assert_eq!(
                allocations(&report),
                allocations(&whole),
                "{domains}: allocations in {domain}"
            );
        }
    }
}
