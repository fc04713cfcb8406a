//! F61, F62: programs that hold no Python, and those that the library does not reach.

use super::super::beside::beside;
use crate::cli::Pytrace;
use crate::support::Traced;
use crate::support::installation::{library, program, target};
use crate::support::interpreters::usual;
use crate::support::traced::files;
use std::fs;
use std::path::Path;

/// A process without CPython gets no output and no file, whatever it is.
#[test]
fn f61_programs_that_hold_no_python() {
    let fixed = target().join("test-programs/static");
    fs::create_dir_all(target().join("test-programs")).expect("the build folder can be written");
    let made = Traced::command("cc")
        .arguments(["-static", "-o"])
        .argument(&fixed);
    made.argument(program("static.c"))
        .untraced()
        .run()
        .success();
    let fixed = fixed.to_str().expect("a plain name");
    for command in [
        &["/bin/sh", "-c", "echo shell; ls / > /dev/null; exit 3"][..],
        &["/usr/bin/env", "sort", "/etc/passwd"],
        &["/bin/true"],
        &["make", "--version"],
        &["git", "--version"],
        &[fixed],
    ] {
        let outcome = beside(|| Traced::command(command[0]).arguments(&command[1..]));
        assert_eq!(outcome.said, [""; 0], "{command:?}");
        assert!(outcome.captures().is_empty(), "{command:?}");
        let left = files(&outcome.work());
        assert!(left.is_empty(), "{command:?}: files appeared: {left:?}");
    }
}

/// Children of a traced program that hold no Python: the same.
#[test]
fn f61_children_that_hold_no_python() {
    let code = "import os, subprocess, sys
status = os.system('echo shell; sort /etc/passwd | tail -n 1 >&2; exit 3')
made = subprocess.run(['make', '-f', '-'], input=b'all:\\n\\t@echo made\\n', stdout=-1, stderr=-2)
print(status, made)";
    let outcome = beside(|| Traced::python(usual()).arguments(["-c", code]));
    assert!(
        outcome.stdout.contains("768 CompletedProcess"),
        "{}",
        outcome.stdout
    );
    outcome.report().assert_exact();
}

#[test]
fn f62_a_library_whose_path_would_be_split() {
    let pytrace = Pytrace::new("run");
    let folder = pytrace.path("with space:colon-é");
    fs::create_dir(&folder).expect("the folder is ours");
    let copy = folder.join("libpytrace.so");
    fs::copy(library(), &copy).expect("the folder is ours");
    let answer = pytrace
        .set("PYTRACE_LIBRARY", &copy)
        .words(["-o", "none", "sh", "-c"])
        .word("echo \"$LD_PRELOAD\"; readlink \"$LD_PRELOAD\"; stat -c %a \"${LD_PRELOAD%/*}\"")
        .run();
    let lines: Vec<_> = answer.stdout.lines().collect();
    let [link, target, mode] = lines[..] else {
        panic!("{:?}, {}", answer.stdout, answer.stderr);
    };
    assert!(!link.contains([' ', ':']), "{link}");
    let copy = copy.canonicalize().expect("it is there");
    assert_eq!(target, copy.to_str().expect("a plain name"));
    assert_eq!(mode, "700");
    assert!(!Path::new(link).exists());
}

#[test]
fn f62_a_run_that_was_not_traced() {
    let answer = Pytrace::new("run").words(["sh", "-c", "exit 5"]).run();
    assert_eq!(answer.code(), 5);
    assert!(
        answer
            .only_line()
            .starts_with("no capture was written: 'sh'")
    );

    let off = Pytrace::new("run")
        .set("PYTRACE", "off")
        .words(["-c", "pass"])
        .run();
    assert_eq!((off.code(), off.stderr.as_str()), (0, ""));

    let missing = Pytrace::new("run")
        .set("PYTRACE_LIBRARY", "/no/lib.so")
        .word("true")
        .run();
    assert!(
        missing
            .refusal()
            .starts_with("PYTRACE_LIBRARY is '/no/lib.so', which is no file")
    );
}
