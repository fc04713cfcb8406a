//! `pytrace doctor`.

use super::Pytrace;
use std::os::unix::fs::PermissionsExt;

/// The marks of the lines on a subject.
fn marks(list: &str, subject: &str) -> String {
    let words = list
        .lines()
        .map(|line| line.split_whitespace().take(2).collect::<Vec<_>>());
    words
        .filter(|words| words.get(1) == Some(&subject) && ["✓", "✗", "·"].contains(&words[0]))
        .map(|words| words[0].to_string())
        .collect()
}

#[test]
fn an_interpreter_that_can_be_traced_has_a_list_without_crosses() {
    let answer = Pytrace::new("doctor").run();
    assert_eq!(
        (answer.code(), answer.stderr.as_str()),
        (0, ""),
        "{}",
        answer.stdout
    );
    for subject in [
        "library",
        "interpreter",
        "loaded",
        "capture",
        "hooks",
        "malloc",
        "stacks",
        "arenas",
        "folder",
    ] {
        assert_eq!(
            marks(&answer.stdout, subject),
            "✓",
            "{subject} in\n{}",
            answer.stdout
        );
    }
    assert!(
        answer
            .stdout
            .ends_with("\nThis interpreter can be traced here.\n")
    );
    assert_eq!(
        std::fs::read_dir(answer.folder.path()).unwrap().count(),
        0,
        "it leaves nothing behind"
    );
}

#[test]
fn what_is_no_python_is_told_apart() {
    for (name, part) in [
        ("no-such-python", "was not found"),
        ("true", "does not run a tiny Python program"),
        ("yes", "does not run a tiny Python program"),
    ] {
        let answer = Pytrace::new("doctor").word(name).run();
        assert_eq!(answer.code(), 1);
        assert_eq!(marks(&answer.stdout, "interpreter"), "✗");
        assert!(answer.stdout.contains(part), "{}", answer.stdout);
        assert!(
            answer
                .stdout
                .ends_with("\nThis interpreter cannot be traced here.\n")
        );
    }
}

#[test]
fn another_implementation_is_named() {
    let pytrace = Pytrace::new("doctor").file(
        "pypy",
        "#!/bin/sh\nfor line in implementation=pypy version=3.10.9 executable=/pypy loaded=True\n\
         do echo pytrace-doctor $line; done\n",
    );
    let path = pytrace.path("pypy");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let answer = pytrace.word(&path).run();
    assert_eq!(answer.code(), 1);
    assert!(
        answer
            .stdout
            .contains("is pypy 3.10.9, and only CPython can be traced"),
        "{}",
        answer.stdout
    );
}

#[test]
fn a_missing_library_is_the_first_thing_said() {
    let answer = Pytrace::new("doctor")
        .set("PYTRACE_LIBRARY", "/no/lib.so")
        .run();
    assert_eq!(answer.code(), 1);
    assert!(
        answer
            .stdout
            .starts_with("✗ library      PYTRACE_LIBRARY is '/no/lib.so'"),
        "{}",
        answer.stdout
    );
}

#[test]
fn settings_of_the_environment_are_listed_and_judged() {
    let answer = Pytrace::new("doctor")
        .set("PYTRACE_MODE", "fast")
        .set("PYTRACE_MOED", "counts")
        .set("PYTRACE_TOP", "3")
        .run();
    assert_eq!(answer.code(), 0, "{}", answer.stdout);
    for part in [
        "✗ settings     PYTRACE_MOED is not known; did you mean PYTRACE_MODE?",
        "· settings     PYTRACE_MODE='fast'",
        "· settings     PYTRACE_TOP='3'",
    ] {
        assert!(
            answer.stdout.contains(part),
            "{part:?} in\n{}",
            answer.stdout
        );
    }
    // One cross for the name that is not known, one for the value that the library refuses.
    assert_eq!(
        marks(&answer.stdout, "settings").matches('✗').count(),
        2,
        "{}",
        answer.stdout
    );
}
