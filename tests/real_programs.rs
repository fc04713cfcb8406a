//! Programs that nobody here wrote: they run as without us, and every number in their reports adds up.

use crate::support::interpreters::{usual, with_packages};
use crate::support::{Outcome, Report, Traced, skipped};
use std::io::{Read, Write};
use std::net::TcpStream;

#[track_caller]
fn assert_traced(outcome: &Outcome, allocations: u64) -> Report {
    let report = outcome.report();
    report.assert_exact();
    assert_eq!(report.process.ended, "exit");
    assert_eq!(report.quality.unmatched_frees, 0, "unmatched_frees");
    let counted = report.total.counters.allocations;
    assert!(counted > allocations, "{counted} allocations");
    report
}

#[test]
fn a_pandas_pipeline() {
    let run = || Traced::script_with_packages(&with_packages(), "pandas_pipeline.py");
    let plain = run().untraced().run().success();
    let outcome = run().run().success();
    assert_eq!(outcome.stdout, plain.stdout);
    let report = assert_traced(&outcome, 300_000);
    let of_numpy = report.sites().iter().filter(|site| {
        let module = site.stack.first().and_then(|frame| frame.module.as_deref());
        module.is_some_and(|path| path.contains("numpy"))
    });
    let bytes: u64 = of_numpy.map(|site| site.requested_bytes).sum();
    assert!(
        bytes > 8 * 200_000,
        "numpy's own calls have asked for {bytes} bytes"
    );
}

#[test]
fn an_lxml_parse() {
    let run = || Traced::script_with_packages(&with_packages(), "lxml_parse.py");
    let plain = run().untraced().run().success();
    let outcome = run().run().success();
    assert_eq!(outcome.stdout, plain.stdout);
    let report = assert_traced(&outcome, 100_000);
    let libxml = &report.domains["malloc"].counters;
    assert!(
        libxml.allocations > 30_000,
        "libxml2 asks malloc directly: {libxml:?}"
    );
}

#[test]
fn pip_downloads_a_package() {
    let run = || {
        let folders = [
            "-m",
            "pip",
            "download",
            "--no-deps",
            "--no-cache-dir",
            "--dest",
            "packages",
            "six==1.16.0",
        ];
        let run = Traced::python(&with_packages()).arguments(folders);
        let configured = std::env::vars().filter(|(name, _)| {
            name.starts_with("PIP_") || name.to_lowercase().ends_with("_proxy")
        });
        let home = std::env::var_os("HOME").unwrap_or_default();
        configured.fold(run.set("HOME", home), |run, (name, value)| {
            run.set(&name, value)
        })
    };
    let plain = run().untraced().run();
    if !plain.status.success() {
        return skipped(
            "pip download",
            plain
                .stderr
                .lines()
                .last()
                .unwrap_or("it fails without tracing"),
        );
    }
    let outcome = run().run().success();
    let names = |outcome: &Outcome| -> Vec<_> {
        let files = crate::support::traced::files(&outcome.work().join("packages"));
        files
            .iter()
            .map(|path| path.file_name().map(ToOwned::to_owned))
            .collect()
    };
    assert_eq!(names(&outcome), names(&plain));
    assert_eq!(names(&outcome).len(), 1);
    assert!(!outcome.captures().is_empty());
    for capture in outcome.captures() {
        Report::of(&capture).assert_exact();
    }
}

#[test]
fn an_http_server_answers_requests() {
    // A test that runs in the background of a shell inherits SIGINT ignored.
    let python = Traced::command("env")
        .argument("--default-signal=INT")
        .argument(&usual().path);
    let mut running = python
        .arguments(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1"])
        .start();
    std::fs::write(
        running.work().join("page.html"),
        "<p>hello</p>".repeat(5000),
    )
    .expect("the folder is ours");
    running.watched.wait_for("Serving HTTP on 127.0.0.1 port ");
    let printed = running.watched.printed();
    let port: u16 = (printed.split("port ").nth(1))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|port| port.parse().ok())
        .expect("the server prints its port");
    for number in 0..20 {
        let path = if number % 4 == 3 {
            "/missing"
        } else {
            "/page.html"
        };
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the server listens");
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n").expect("the server reads");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("the server answers");
        let found = answer.starts_with(b"HTTP/1.0 200") && answer.ends_with(b"<p>hello</p>");
        assert_eq!(found, path == "/page.html", "request {number}");
    }
    running.watched.signal("INT");
    let outcome = running.wait().success();
    let report = assert_traced(&outcome, 20_000);
    let in_handlers = report.sites().iter().filter(|site| {
        site.python().any(|frame| {
            frame
                .function
                .as_deref()
                .is_some_and(|name| name.ends_with("do_GET"))
        })
    });
    assert!(
        in_handlers.count() > 10,
        "requests are handled in threads, and these have stacks"
    );
}

/// The standard library's own tests, with the same verdict as without tracing.
#[test]
fn the_standard_librarys_tests_pass() {
    let modules = [
        "test_json",
        "test_bisect",
        "test_collections",
        "test_generators",
        "test_re",
        "test_dict",
        "test_list",
        "test_bytes",
    ];
    // Some tests send themselves SIGINT, which whoever runs this in the background has ignored.
    let unittest = "import signal, unittest
signal.signal(signal.SIGINT, signal.default_int_handler)
unittest.main(None)";
    let run = || {
        let run = Traced::python(usual()).arguments(["-c", unittest, "-q"]);
        run.arguments(modules.map(|module| format!("test.{module}")))
    };
    let verdict = |outcome: &Outcome| -> Vec<String> {
        let lines = outcome.stderr.lines();
        let of_unittest = lines.filter(|line| {
            line.starts_with("Ran ") || line.starts_with("OK") || line.starts_with("FAILED")
        });
        of_unittest
            .map(|line| line.split(" in ").next().unwrap_or_default().to_owned())
            .collect()
    };
    let plain = run().untraced().run().success();
    let outcome = run().run().success();
    assert_eq!(verdict(&outcome), verdict(&plain));
    assert_eq!(verdict(&outcome).len(), 2, "{}", outcome.stderr);
    assert!(!outcome.captures().is_empty());
    for capture in outcome.captures() {
        Report::of(&capture).assert_exact();
    }
}
