//! Hostile names, of functions, files, libraries, marks, scripts, settings: whatever shows them prints plain text.

use crate::cli::Pytrace;
use crate::support::Traced;
use crate::support::interpreters::{usual, with_stacks};
use crate::support::traced::files;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// What must not reach a terminal: control characters but the end of the line, and characters that are not seen or that
/// turn the direction of the text (Unicode's categories Cc, Cf, Zl and Zp, variation selectors, noncharacters).
fn is_plain(character: char) -> bool {
    character == '\n'
        || !(character.is_control()
            || matches!(
                character,
                '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{3164}' | '\u{feff}'
            )
            || ('\u{200b}'..='\u{200f}').contains(&character)
            || ('\u{2028}'..='\u{202e}').contains(&character)
            || ('\u{2060}'..='\u{206f}').contains(&character)
            || ('\u{fe00}'..='\u{fe0f}').contains(&character)
            || ('\u{fff0}'..='\u{fffb}').contains(&character)
            || ('\u{e0000}'..='\u{e0fff}').contains(&character)
            || u32::from(character) & 0xfffe == 0xfffe)
}

#[track_caller]
fn assert_plain(text: &str, what: &str) {
    for line in text.lines() {
        assert!(line.chars().all(is_plain), "{what}: {line:?}");
    }
    assert!(text.chars().all(is_plain), "{what}");
}

#[test]
fn hostile_names_on_every_sink() {
    for python in [
        usual(),
        with_stacks().next().expect("one is there"),
        with_stacks().last().expect("one is there"),
    ] {
        let run = Traced::script(python, "hostile_names.py").argument(crate::faults::nameless());
        let outcome = run.set("PYTRACE_TOP", "1000").run().success();
        assert_plain(&outcome.stderr, "the summary");
        for part in [
            r"in \x1b[31;1mred 1",
            r"/of \u202e 7",
            r"lib \x07 7.so",
            r"at \x9b",
        ] {
            let _ = part;
        }
        assert!(
            outcome.stderr.contains(r"\x1b]52;c;cm0gLXJm\x07"),
            "{}",
            outcome.stderr
        );
        let report = outcome.report();
        report.assert_exact();
        assert!(report.marks.len() > 100, "{} marks", report.marks.len());
        let capture = outcome.capture();
        for words in [
            &["--top", "1000"][..],
            &["--top", "1000", "--by", "function"],
            &["--top", "1000", "--metric", "live"],
            &["--format", "json"],
        ] {
            let answer = Pytrace::new("report").word(&capture).words(words).run();
            assert_eq!(answer.code(), 0, "{words:?}: {}", answer.stderr);
            assert_plain(&answer.stderr, "remarks on files");
            assert_plain(&answer.stdout, &format!("report {words:?}"));
        }
    }
}

/// The script, the folder of the capture and the first word of the command line.
#[test]
fn hostile_names_of_the_program_and_its_files() {
    for name in [
        &b"\x1b]0;title\x07\x1b[31m.py"[..],
        "\u{202e}yp.gnp\u{2066}\u{200b}\u{feff}.py".as_bytes(),
        b"\x9b31m\xff\xfe\x80.py",
        b"two\r\npytrace: lines\t\x7f.py",
        "\u{9b}31m\u{9d}0;t\u{9c}.py".as_bytes(),
    ] {
        let name = OsStr::from_bytes(name);
        let run = Traced::command("bash").arguments(["-c", "exec -a \"$0\" \"$@\""]);
        let run = run
            .argument(name)
            .argument(&usual().path)
            .arguments(["-S".as_ref(), name]);
        std::fs::write(run.work().join(name), "print(1)").expect("the folder is ours");
        // A setting is text: what is not UTF-8 in it would be another folder.
        let folder = run
            .work()
            .join(format!("{} folder", name.to_string_lossy()));
        std::fs::create_dir(&folder).expect("the folder is ours");
        let output = folder.join("%n-%p");
        let run = run.set("PYTRACE_OUTPUT", output);
        let outcome = run.run().success();
        assert_eq!(outcome.stdout, "1\n");
        assert_plain(&outcome.stderr, "the summary");
        let [capture] = &files(&folder)[..] else {
            panic!("no capture: {}", outcome.stderr);
        };
        for format in ["text", "json"] {
            let answer = Pytrace::new("report")
                .word(capture)
                .words(["--format", format])
                .run();
            assert_eq!(answer.code(), 0, "{}", answer.stderr);
            assert_plain(&answer.stdout, "the report");
        }
        let missing = folder.join("missing");
        let answer = Pytrace::new("report").word(missing).run();
        assert_plain(&answer.stderr, "a refusal");
        assert_eq!(answer.stderr.lines().count(), 1, "{}", answer.stderr);
    }
}

/// What the constructor says of settings, and what is said when there is trouble.
#[test]
fn hostile_values_of_settings() {
    let hostile = OsStr::from_bytes(b"\x1b]0;t\x07\xe2\x80\xae\xc2\x9b31m\xff\n\r\x7f");
    for variable in [
        "PYTRACE_MODE",
        "PYTRACE_SUMMARY",
        "PYTRACE_OUTPUT",
        "PYTRACE_DOMAINS",
        "PYTRACE_TREE",
    ] {
        let mut value = OsStr::new("/nonexistent/").to_owned();
        value.push(hostile);
        let run = Traced::python(usual())
            .arguments(["-S", "-c", "print(1)"])
            .set(variable, value);
        let outcome = run.run().success();
        assert_eq!(outcome.stdout, "1\n");
        assert_plain(&outcome.stderr, "what was said");
    }
    let script = "exec env \"$(printf 'PYTRACE_\\033[31m\\302\\233\\r=1')\" \"$@\"";
    let run = Traced::command("sh")
        .arguments(["-c", script, "sh"])
        .argument(&usual().path);
    let outcome = run
        .arguments(["-S", "-c", "print(1)"])
        .set("PYTRACE_SUMMARY", "none")
        .run()
        .success();
    assert!(
        outcome.stderr.starts_with("pytrace: "),
        "{:?}",
        outcome.stderr
    );
    assert_plain(&outcome.stderr, "an unknown name");
}
