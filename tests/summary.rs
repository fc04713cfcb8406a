//! The summary that is printed when the program ends.

use crate::support::installation::program;
use crate::support::interpreters::{usual, with_stacks};
use crate::support::{Traced, for_each};

const ESCAPE: char = '\u{1b}';

fn marker() -> Traced {
    Traced::script(usual(), "marker.py")
}

/// The same command on a terminal of 100 columns: what the terminal was sent.
fn on_a_terminal(prepare: impl Fn(Traced) -> Traced) -> String {
    let inner = format!(
        "stty cols 100; exec '{}' '{}'",
        usual().path.display(),
        program("marker.py").display()
    );
    let run = Traced::command("script")
        .arguments(["-qefc", &inner, "/dev/null"])
        .set("TERM", "xterm-256color");
    prepare(run).run().success().stdout
}

/// Lines that stay readable at 100 columns; a path to copy may be as long as it is.
fn assert_fits(summary: &str) {
    for line in summary.lines().filter(|line| !line.contains(".pytrace")) {
        assert!(
            line.chars().count() <= 100,
            "{} columns: {line}",
            line.chars().count()
        );
    }
}

#[test]
fn it_shows_domains_histogram_arenas_and_sites_and_how_to_go_on() {
    for_each(
        with_stacks(),
        |one| one.name.clone(),
        |interpreter| {
            let outcome = Traced::script(interpreter, "marker.py").run().success();
            let summary = &outcome.stderr;
            let (major, minor) = interpreter.version;
            let version = format!("{major}.{minor}.");
            for word in [
                "object",
                "raw",
                "mem",
                "malloc",
                "arena",
                "marker.py:8",
                version.as_str(),
            ] {
                assert!(summary.contains(word), "{word:?} is not in:\n{summary}");
            }
            assert!(
                summary.contains(['█', '▇', '▁']),
                "the histogram has blocks:\n{summary}"
            );
            let capture = outcome.capture();
            let last = summary.trim_end().lines().last().unwrap_or_default();
            assert!(
                last.contains("pytrace report")
                    && last.contains(capture.to_str().expect("a plain name")),
                "{last}"
            );
            assert!(
                !summary.contains(ESCAPE),
                "no colours where there is no terminal"
            );
            assert_fits(summary);
        },
    );
}

#[test]
fn a_terminal_gets_colours_unless_told_otherwise() {
    let coloured = on_a_terminal(|run| run);
    assert!(coloured.contains("\u{1b}["), "{coloured:?}");
    let plain = on_a_terminal(|run| run.set("NO_COLOR", "1"));
    assert!(
        plain.contains("pytrace report") && !plain.contains(ESCAPE),
        "{plain:?}"
    );
    assert_fits(&plain.replace('\r', ""));
}

#[test]
fn top_says_how_many_sites_are_listed() {
    let lines = |top: &str| {
        marker()
            .set("PYTRACE_TOP", top)
            .run()
            .success()
            .stderr
            .lines()
            .count()
    };
    let (none, one, ten, all) = (lines("0"), lines("1"), lines("10"), lines("1000"));
    assert!(
        none < one && one < ten && ten < all,
        "{none} {one} {ten} {all} lines"
    );
    let without = marker().set("PYTRACE_TOP", "0").run().success();
    assert!(
        !without.stderr.contains("marker.py:8"),
        "{}",
        without.stderr
    );
}

#[test]
fn it_goes_to_a_file() {
    let run = marker();
    let path = run.folder().join("summary.txt");
    let outcome = run.set("PYTRACE_SUMMARY", &path).run().success();
    assert_eq!(outcome.stderr, "");
    let summary = std::fs::read_to_string(&path).expect("the summary is there");
    assert!(
        summary.contains("marker.py:8") && !summary.contains(ESCAPE),
        "{summary}"
    );

    let outcome = marker()
        .set("PYTRACE_SUMMARY", "/nonexistent/summary.txt")
        .run()
        .success();
    let said =
        |line: &&str| line.starts_with("pytrace: ") && line.contains("/nonexistent/summary.txt");
    assert_eq!(
        outcome.stderr.lines().filter(said).count(),
        1,
        "{}",
        outcome.stderr
    );
    outcome.report().assert_exact();
}

/// A process whose tree was begun by another one leaves the printing to it.
#[test]
fn only_the_root_of_the_tree_prints() {
    let outcome = marker()
        .set("PYTRACE_TREE", "0123456789abcdef:1")
        .run()
        .success();
    assert_eq!(outcome.stderr, "");
    let report = outcome.report();
    assert_eq!(report.process.tree, "0123456789abcdef:1");
}

#[test]
fn names_cannot_steer_the_terminal() {
    let outcome = Traced::script(usual(), "control_characters.py")
        .run()
        .success();
    let control = |c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c);
    assert!(outcome.stderr.contains("evil"), "{}", outcome.stderr);
    assert!(!outcome.stderr.contains(control), "{:?}", outcome.stderr);
    let report = outcome.report();
    report.assert_exact();
    let is_there = report
        .sites()
        .iter()
        .flat_map(|site| site.python())
        .any(|frame| {
            frame
                .file
                .as_deref()
                .is_some_and(|file| file.contains("evil"))
        });
    assert!(is_there, "the report has the file");
}
