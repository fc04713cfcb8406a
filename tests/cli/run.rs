//! `pytrace run`.

use super::Pytrace;
use crate::support::installation::library;
use std::os::unix::fs::PermissionsExt;

#[test]
fn the_exit_status_is_the_programs_own() {
    for (words, status) in [
        (["true"].as_slice(), 0),
        (&["sh", "-c", "exit 3"], 3),
        (&["sh", "-c", "exit 255"], 255),
        (&["sh", "-c", "kill -9 $$"], 137),
        (&["sh", "-c", "kill -TERM $$"], 143),
        (&["-c", "import sys; sys.exit(7)"], 7),
        (&["--", "sh", "-c", "exit 4"], 4),
    ] {
        let answer = Pytrace::new("run")
            .words(["-o", "none", "--summary", "none"])
            .words(words)
            .run();
        assert_eq!(
            (answer.code(), answer.stderr.as_str()),
            (status, ""),
            "{words:?}"
        );
    }
}

#[test]
fn what_cannot_be_run_has_a_shells_status() {
    let answer = Pytrace::new("run").word("no-such-command").run();
    assert_eq!(answer.code(), 127);
    assert!(
        answer
            .only_line()
            .starts_with("command not found: 'no-such-command'")
    );

    let answer = Pytrace::new("run")
        .file("plain", "text")
        .word("./plain")
        .run();
    assert_eq!(answer.code(), 126);
    assert!(
        answer
            .only_line()
            .starts_with("'./plain' cannot be executed")
    );

    let no_format = Pytrace::new("run").file("rubbish", "\0\u{1}\u{2}");
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(no_format.path("rubbish"), executable).unwrap();
    let answer = no_format.word("./rubbish").run();
    assert_eq!(answer.code(), 126);
    assert!(
        answer
            .only_line()
            .starts_with("'./rubbish' cannot be executed")
    );

    let answer = Pytrace::new("run").word("/").run();
    assert_eq!(answer.code(), 126);
}

#[test]
fn arguments_and_streams_pass_through_untouched() {
    let answer = Pytrace::new("run")
        .words(["-o", "none", "--summary", "none"])
        .words(["sh", "-c", "printf '[%s]' \"$@\"; echo err >&2", "sh"])
        .words(["-o", "", "a b", "--", "--help"])
        .run();
    assert_eq!(answer.stdout, "[-o][][a b][--][--help]");
    assert_eq!(answer.stderr, "err\n");
}

#[test]
fn options_become_settings_and_the_rest_of_the_environment_stays() {
    let answer = Pytrace::new("run")
        .set("PYTRACE_MODE", "counts")
        .set("PYTRACE_TOP", "3")
        .set("PYTRACE_TREE", "1:1")
        .set("LD_PRELOAD", "libm.so.6 libdl.so.2")
        .words([
            "-o", "a-%p", "--mode", "sites", "--native", "off", "--depth", "7",
        ])
        .words(["--children", "none", "--summary", "s.txt", "env"])
        .run();
    let folder = answer.folder.path().to_str().unwrap();
    let expected = [
        format!("LD_PRELOAD={}:libm.so.6:libdl.so.2", library().display()),
        "PYTRACE_CHILDREN=none".to_string(),
        "PYTRACE_DEPTH=7".to_string(),
        "PYTRACE_MODE=sites".to_string(),
        "PYTRACE_NATIVE=off".to_string(),
        format!("PYTRACE_OUTPUT={folder}/a-%p"),
        format!("PYTRACE_SUMMARY={folder}/s.txt"),
        "PYTRACE_TOP=3".to_string(),
    ];
    let mut found: Vec<_> = answer
        .stdout
        .lines()
        .filter(|line| line.starts_with("PYTRACE_") || line.starts_with("LD_PRELOAD"))
        .filter(|line| !line.starts_with("PYTRACE_LIBRARY="))
        .collect();
    found.sort();
    assert_eq!(found, expected);
}

#[test]
fn a_refused_setting_is_the_only_thing_said() {
    let answer = Pytrace::new("run")
        .set("PYTRACE_MODE", "all")
        .words(["-c", "import sys; sys.exit(5)"])
        .run();
    assert_eq!(answer.code(), 5);
    assert!(
        answer
            .only_line()
            .starts_with("PYTRACE_MODE=all is not accepted")
    );
    let answer = Pytrace::new("run")
        .set("PYTRACE_MODE", "all")
        .words(["--mode", "sites", "--summary", "none", "-c", "pass"])
        .run();
    assert_eq!((answer.code(), answer.stderr.as_str()), (0, ""));
}

#[test]
fn every_mode_and_native_part_that_is_offered_is_recorded() {
    for (mode, native) in [
        ("sites", "caller"),
        ("sites", "full"),
        ("sites", "off"),
        ("counts", "caller"),
    ] {
        let run = Pytrace::new("run")
            .words(["--mode", mode, "--native", native, "--summary", "none"])
            .words(["-o", "a.pytrace", "-c", "x = sorted([3, 1, 2], key=str)"])
            .run();
        assert_eq!((run.code(), run.stderr.as_str()), (0, ""));
        let report = Pytrace::new("report")
            .word(run.path("a.pytrace"))
            .words(["--format", "json", "--top", "9"])
            .run();
        let found: serde_json::Value = serde_json::from_str(&report.stdout).unwrap();
        assert_eq!(found["settings"]["mode"], mode);
        assert_eq!(found["settings"]["native"], native);
        assert_eq!(found["sites"].is_array(), mode == "sites");
        assert!(found["total"]["allocations"].as_u64() > Some(1_000));
    }
}

#[test]
fn force_removes_the_old_file_and_nothing_else_does() {
    let old = |words: &[&str]| {
        let answer = Pytrace::new("run")
            .file("old.pytrace", "old")
            .words(words)
            .words(["-o", "old.pytrace", "true"])
            .run();
        std::fs::read(answer.path("old.pytrace")).ok()
    };
    assert_eq!(old(&[]).as_deref(), Some(b"old".as_slice()));
    assert_eq!(old(&["-f"]), None);
}

#[test]
fn a_signal_to_pytrace_reaches_the_program() {
    for (name, status) in [("TERM", 41), ("INT", 42), ("HUP", 43), ("USR1", 44)] {
        let script =
            format!("trap 'exit {status}' {name}; echo ready; while :; do sleep 0.05; done");
        let mut pytrace = Pytrace::new("run").words(["-o", "none", "sh", "-c", &script]);
        let mut watched = pytrace.start();
        watched.wait_for("ready");
        watched.signal(name);
        let (ended, _, stderr) = watched.wait();
        assert_eq!(ended.code(), Some(status), "{name}: {stderr}");
    }
}

#[test]
fn python_is_that_of_the_active_environment() {
    let pytrace = Pytrace::new("run");
    let bin = pytrace.path("venv/bin");
    std::fs::create_dir_all(&bin).unwrap();
    let python = bin.join("python3");
    std::fs::write(&python, "#!/bin/sh\necho \"active: $*\"\n").unwrap();
    std::fs::set_permissions(&python, std::fs::Permissions::from_mode(0o755)).unwrap();
    let environment = pytrace.path("venv");
    let answer = pytrace
        .file("a script.py", "")
        .set("VIRTUAL_ENV", environment)
        .words(["-o", "none", "a script.py", "-x"])
        .run();
    assert_eq!(answer.stdout, "active: a script.py -x\n");
}

#[test]
fn a_script_is_traced_into_the_folder_where_pytrace_was_started() {
    let answer = Pytrace::new("run")
        .file(
            "app.py",
            "import os\nos.chdir('/')\nkept = [bytes(n) for n in range(1000)]\n",
        )
        .words(["--summary", "none", "app.py"])
        .run();
    assert_eq!((answer.code(), answer.stderr.as_str()), (0, ""));
    let captures: Vec<_> = std::fs::read_dir(answer.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".pytrace"))
        .collect();
    let [capture] = &captures[..] else {
        panic!("{captures:?}");
    };
    assert!(capture.starts_with("pytrace-app"), "{capture}");
}
