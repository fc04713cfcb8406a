//! G. F69 and what else other users of the machine, or hostile names, could make of the library: set-uid programs, files that
//! lie in the way, what is stored of a command line.

use crate::support::installation::library;
use crate::support::interpreters::usual;
use crate::support::traced::files;
use crate::support::{Report, Traced, skipped};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

/// The library where the loader brings it into every program, in a name space of the test's own; then an interpreter with
/// rights that its user does not have, and for comparison one without.
#[test]
fn f69_privileged_programs() {
    const SCRIPT: &str = r#"
set -e
mount -t tmpfs none /mnt
cp -a /etc /mnt/etc
cp "$1" /mnt/libpytrace.so
cp "$2" /mnt/python
chmod 755 /mnt /mnt/*
mkdir -m 777 /mnt/out
mount --bind /mnt/etc /etc
unset LD_PRELOAD
echo /mnt/libpytrace.so > /etc/ld.so.preload
run() {
  PYTRACE_OUTPUT=/mnt/out/$1 setpriv --reuid=54321 --regid=54321 --clear-groups \
    /mnt/python -S -c 'import os; print(os.getuid(), os.geteuid(), os.getegid())'
}
run plain
chmod 4755 /mnt/python
run set-uid
chmod 2755 /mnt/python
run set-gid
chmod 755 /mnt/python
setcap cap_net_raw+ep /mnt/python
run capable
ls /mnt/out
"#;
    let python = ["/usr/bin/python3", "/usr/local/bin/python3"]
        .iter()
        .find_map(|path| fs::canonicalize(path).ok());
    let Some(python) = python else {
        return skipped(
            "f69_privileged_programs",
            "no interpreter that every user may run",
        );
    };
    let possible = Traced::command("unshare").arguments([
        "-m",
        "sh",
        "-c",
        "command -v setcap && command -v setpriv && mount -t tmpfs none /mnt",
    ]);
    if !possible.untraced().run().status.success() {
        return skipped("f69_privileged_programs", "needs root, setcap and setpriv");
    }
    let outcome = Traced::command("unshare")
        .arguments(["-m", "sh", "-c", SCRIPT, "sh"])
        .argument(library())
        .argument(python)
        .run()
        .success();
    assert_eq!(
        outcome.stdout,
        "54321 54321 54321\n54321 0 54321\n54321 54321 0\n54321 54321 54321\nplain\n",
        "who ran, and whose capture was written\n{}",
        outcome.stderr
    );
    assert_eq!(
        outcome.stderr.matches("pytrace: python, pid ").count(),
        1,
        "{}",
        outcome.stderr
    );
}

/// A program that creates files for everybody, with something in the way of its capture: none of it is opened.
#[test]
fn f69_what_lies_in_the_way_of_the_capture() {
    let run = Traced::command("sh").arguments(["-c", "umask 0; exec \"$@\"", "sh"]);
    let folder = run.folder().join("captures");
    let precious = run.folder().join("precious");
    fs::write(&precious, "precious").expect("the folder is ours");
    let output = folder.join("out");
    symlink(&precious, &output).expect("the folder is ours");
    fs::hard_link(&precious, folder.join("out.1")).expect("the folder is ours");
    fs::create_dir(folder.join("out.2")).expect("the folder is ours");
    let fifo = std::process::Command::new("mkfifo")
        .arg(folder.join("out.3"))
        .status();
    assert!(fifo.expect("mkfifo starts").success());
    symlink("/nonexistent/elsewhere", folder.join("out.4")).expect("the folder is ours");

    let run = run
        .argument(&usual().path)
        .arguments(["-S", "-c", "print(1)"]);
    let outcome = run.set("PYTRACE_OUTPUT", &output).run().success();
    assert_eq!(fs::read(&precious).expect("it is there"), b"precious");
    assert!(files(&folder.join("out.2")).is_empty());
    let capture = folder.join("out.5");
    Report::of(&capture).assert_exact();
    let mode = fs::metadata(&capture).expect("it is there").mode() & 0o7777;
    assert_eq!(mode, 0o600, "{}", outcome.stderr);
    assert_eq!(files(&folder).len(), 6);
}

/// The same for the summary, which replaces what a former run left, and nothing else.
#[test]
fn f69_what_lies_in_the_way_of_the_summary() {
    let run = || {
        Traced::python(usual())
            .arguments(["-S", "-c", "print(1)"])
            .set("PYTRACE_OUTPUT", "none")
    };
    let folder = tempfile::TempDir::new().expect("a temporary folder can be made");
    let place = |name: &str| folder.path().join(name);
    fs::write(place("precious"), "precious").expect("the folder is ours");
    symlink(place("precious"), place("link")).expect("the folder is ours");
    fs::hard_link(place("precious"), place("name")).expect("the folder is ours");
    fs::create_dir(place("directory")).expect("the folder is ours");
    let fifo = std::process::Command::new("mkfifo")
        .arg(place("pipe"))
        .status();
    assert!(fifo.expect("mkfifo starts").success());
    for (name, reason) in [
        ("link", "Too many levels of symbolic links"),
        ("name", "Operation not permitted"),
        ("directory", "Is a directory"),
        ("pipe", "No such device or address"),
    ] {
        let path = place(name);
        let outcome = run().set("PYTRACE_SUMMARY", &path).run().success();
        assert_eq!(outcome.stdout, "1\n");
        let line = format!(
            "pytrace: {}: cannot write the summary: {reason}\n",
            path.display()
        );
        assert_eq!(outcome.stderr, line);
    }
    assert_eq!(
        fs::read(place("precious")).expect("it is there"),
        b"precious"
    );

    fs::write(place("former"), "x".repeat(1 << 20)).expect("the folder is ours");
    for name in ["former", "fresh"] {
        let run = Traced::command("sh").arguments(["-c", "umask 0; exec \"$@\"", "sh"]);
        let run = run
            .argument(&usual().path)
            .arguments(["-S", "-c", "print(1)"])
            .set("PYTRACE_OUTPUT", "none");
        let outcome = run.set("PYTRACE_SUMMARY", place(name)).run().success();
        assert_eq!(outcome.stderr, "");
        let summary = fs::read_to_string(place(name)).expect("it was written");
        assert!(summary.starts_with("pytrace: python, pid ") && !summary.contains("xxx"));
    }
    let mode = fs::metadata(place("fresh"))
        .expect("it is there")
        .permissions()
        .mode()
        & 0o7777;
    assert_eq!(mode, 0o600);
}

/// Of the command line the first word and the script are stored; of the environment and of what the program holds, nothing.
#[test]
fn f69_secrets_of_the_program() {
    let secret = |part: &str| format!("secret-{}-in-{part}", "c3VwZXI");
    let script = "import sys\nheld = [word * 3 for word in sys.argv]\nprint(len(held))\n";
    let run =
        Traced::python(usual()).arguments(["-S", "script.py", "--token", &secret("arguments")]);
    fs::write(run.work().join("script.py"), script).expect("the folder is ours");
    let outcome = run.set("TOKEN", secret("environment")).run().success();
    assert_eq!(outcome.stdout, "3\n");
    let capture = fs::read(outcome.capture()).expect("it is there");
    let holds = |text: &str| {
        capture
            .windows(text.len())
            .any(|window| window == text.as_bytes())
    };
    assert!(holds("script.py"));
    assert!(!holds("c3VwZXI") && !holds("--token") && !outcome.stderr.contains("c3VwZXI"));
}
