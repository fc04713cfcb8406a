//! F63, F64, F65: full and read-only file systems, limits on files, no /proc, descriptors that are closed and reused.

use super::super::beside::{Beside, beside};
use super::{marker, with_mounts};
use crate::support::installation::program;
use crate::support::interpreters::usual;
use crate::support::traced::files;
use crate::support::{Report, Traced};
use std::fs;

/// The one line that says why the capture is shorter than it should be.
#[track_caller]
fn assert_says_that_the_capture_is_cut(outcome: &Beside) {
    assert_eq!(outcome.said.len(), 1, "{:?}", outcome.said);
    let line = &outcome.said[0];
    assert!(
        line.contains("cannot write: ") && line.ends_with("the capture ends here"),
        "{line}"
    );
}

#[test]
fn f63_full_file_system() {
    for size in ["4k", "16k"] {
        // `size` holds back so much that the disk is full at the start or in the middle of the capture.
        let setup = format!("mount -t tmpfs -o size={size} none ../captures");
        let make = || with_mounts(&setup, "cp -r ../captures ../saved").map(marker);
        if make().is_none() {
            return;
        }
        let outcome = beside(|| make().expect("it was allowed before"));
        assert_says_that_the_capture_is_cut(&outcome);
        let [capture] = &files(&outcome.work().join("../saved"))[..] else {
            panic!("{size}: no capture was left");
        };
        if size != "4k" {
            assert!(
                !Report::of(capture).quality.complete,
                "{size}: the prefix is readable"
            );
        }
    }
}

#[test]
fn f63_limit_on_file_size() {
    for bytes in [0, 1, 300, 3_000] {
        let limit = format!("--fsize={bytes}");
        let outcome = beside(|| marker(Traced::command("prlimit").argument(&limit)));
        assert_eq!(outcome.said.len(), 1, "{limit}: {:?}", outcome.said);
        assert!(
            outcome.said[0].contains("cannot write: File too large"),
            "{:?}",
            outcome.said
        );
    }
}

/// The summary has trouble of its own, which it tells.
#[test]
fn f63_summary_on_a_full_device() {
    let outcome = Traced::script(usual(), "marker.py")
        .set("PYTRACE_SUMMARY", "/dev/full")
        .run()
        .success();
    assert_eq!(outcome.stdout, "944\n");
    let line = "pytrace: /dev/full: cannot write the summary: No space left on device\n";
    assert_eq!(outcome.stderr, line);
    outcome.report().assert_exact();
}

#[test]
fn f64_read_only_file_system() {
    let setup = "mount --bind .. .. && mount -o remount,ro,bind .. && cd \"$PWD\"";
    let Some(run) = with_mounts(setup, ":") else {
        return;
    };
    drop(run);
    let outcome = beside(|| marker(with_mounts(setup, ":").expect("it was allowed before")));
    assert_eq!(outcome.said.len(), 1, "{:?}", outcome.said);
    assert!(
        outcome.said[0].ends_with("cannot create the capture: Read-only file system"),
        "{:?}",
        outcome.said
    );
}

/// Without /proc: what is read there is missing in the capture, not in the program.
#[test]
fn f64_no_proc() {
    if with_mounts(":", ":").is_none() {
        return;
    }
    for (native, ending) in [
        ("caller", "orderly"),
        ("full", "orderly"),
        ("full", "at once"),
    ] {
        let outcome = beside(|| {
            let run = with_mounts("mount -t tmpfs none /proc", ":").expect("it was allowed before");
            run.argument(&usual().path)
                .argument("-S")
                .argument(program("many_calls.py"))
                .argument(ending)
                .argument(crate::faults::nameless())
                .set("PYTRACE_NATIVE", native)
        });
        assert_eq!(outcome.said, [""; 0], "{native}");
        assert_eq!(outcome.captures().len(), 2, "{native}");
        for capture in outcome.captures() {
            Report::of(&capture).assert_exact();
        }
    }
}

/// Without /proc a file that has no name cannot be given one: a capture that is written anew has one from the start.
#[test]
fn f64_no_proc_written_anew() {
    let Some(run) = with_mounts("mount -t tmpfs none /proc", ":") else {
        return;
    };
    let outcome = run
        .argument(&usual().path)
        .argument("-S")
        .argument(program("rewritten.py"))
        .arguments(["1", "exit"])
        .set("PYTRACE_INTERVAL_MS", "10")
        .run()
        .success();
    let said: Vec<&str> = outcome.stdout.split_whitespace().collect();
    assert_eq!(said.last(), Some(&"1"), "times: {said:?}");
    outcome.report().assert_exact();
}

/// All descriptors are closed, and others get their numbers: nothing but the program's own bytes goes there.
#[test]
fn f65_descriptors_closed_and_reused() {
    let outcome = beside(|| Traced::script(usual(), "reused_descriptors.py"));
    assert_eq!(outcome.stdout, "all bytes are the program's\n");
    assert_eq!(outcome.said.len(), 1, "{:?}", outcome.said);
    assert!(outcome.said[0].ends_with("the program closed the capture's descriptor; it ends here"));
}

/// What takes the number of standard error gets nothing of the library's: not when the program closed it, and not when it
/// was started without.
#[test]
fn f65_standard_error_closed_and_reused() {
    let code = "import os
os.close(2)
own = os.open('own.txt', os.O_WRONLY | os.O_CREAT)
os.write(own, b'%d' % own)";
    let closed = Traced::python(usual()).arguments(["-c", code]);
    let never = Traced::command("sh")
        .arguments(["-c", "exec \"$@\" 2>&-", "sh"])
        .argument(&usual().path)
        .arguments(["-c", &code.replace("os.close(2)", "pass")]);
    let refused = Traced::python(usual())
        .arguments(["-c", code])
        .set("PYTRACE_OUTPUT", "/nonexistent/folder/capture");
    for run in [closed, never, refused] {
        let outcome = run.run().success();
        let own = fs::read_to_string(outcome.work().join("own.txt")).expect("the program wrote it");
        assert_eq!(own, "2", "the program's own file, which has the number 2");
        outcome
            .captures()
            .iter()
            .for_each(|capture| Report::of(capture).assert_exact());
    }
}

/// Who closes a descriptor and opens a file has its number again: no flush takes the lowest free one, even for a moment.
#[test]
fn f65_lowest_free_descriptors_are_the_programs() {
    let code = "import os, time
def taken(until):
    count = 0
    while time.monotonic() < until:
        os.close(wanted)
        given = os.open('/dev/null', os.O_RDONLY)
        if given != wanted:
            count += 1
            os.dup2(given, wanted)
            os.close(given)
    return count
begun = time.monotonic()
wanted = os.open('/dev/null', os.O_RDONLY)
taken(begun + 0.5)
print(taken(begun + 2.5))";
    let outcome = Traced::python(usual())
        .arguments(["-S", "-c", code])
        .set("PYTRACE_INTERVAL_MS", "10")
        .run()
        .success();
    assert_eq!(outcome.stdout, "0\n", "times that the number was taken");
    let report = outcome.report();
    assert!(
        report
            .timeline
            .iter()
            .all(|point| point.rss_bytes > Some(0))
    );
}
