//! G. Environment: other programs, disks, limits, descriptors, other tools in the same process, privileges.

use super::beside::{Beside, beside};
use crate::cli::Pytrace;
use crate::support::compile::{Product, compiled, shared_library};
use crate::support::installation::{library, program, target};
use crate::support::interpreters::usual;
use crate::support::traced::files;
use crate::support::{Report, Traced, for_each, scale, skipped};
use std::fs;
use std::path::Path;

/// A command that runs after `setup`, in a name space of its own for file systems; `None` where the system does not allow
/// one. What `afterwards` says is done when the command has ended; the exit status is the command's.
fn with_mounts(setup: &str, afterwards: &str) -> Option<Traced> {
    let allowed =
        Traced::command("unshare").arguments(["-rm", "mount", "-t", "tmpfs", "none", "/mnt"]);
    if !allowed.untraced().run().status.success() {
        skipped(
            "file systems of a test's own",
            "unshare and mount are not allowed here",
        );
        return None;
    }
    let shell = format!("{setup} || exit 99\n\"$@\"\nstatus=$?\n{afterwards}\nexit $status");
    Some(Traced::command("unshare").arguments(["-rm", "sh", "-c", &shell, "sh"]))
}

fn marker(run: Traced) -> Traced {
    run.argument(&usual().path)
        .argument("-S")
        .argument(program("marker.py"))
}

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

/// Little address space: the program has what it had before, but for what the books need.
#[test]
fn f64_limit_on_address_space() {
    let megabytes = [
        40, 48, 56, 64, 80, 100, 128, 160, 200, 256, 300, 400, 512, 700, 1000, 1400, 2000,
    ];
    let steps = scale::count(5, 17) as usize;
    let chosen = megabytes.iter().step_by(megabytes.len().div_ceil(steps));
    for_each(
        chosen,
        |limit| format!("{limit} MB"),
        |limit| {
            let limit = format!("--as={limit}000000");
            let outcome = beside(|| marker(Traced::command("prlimit").argument(&limit)));
            assert_eq!(outcome.said, [""; 0]);
            outcome.report().assert_exact();
        },
    );
}

#[test]
fn f64_limit_on_the_stack() {
    for limit in ["--stack=200000", "--stack=1000000", "--stack=unlimited"] {
        let outcome = beside(|| marker(Traced::command("prlimit").argument(limit)));
        assert_eq!(outcome.said, [""; 0], "{limit}");
        outcome.report().assert_exact();
    }
}

/// A program that may have few descriptors keeps them all; others find theirs where they were.
#[test]
fn f64_few_descriptors() {
    let code = "import os, time; kept = [bytes(500) for _ in range(20_000)]; time.sleep(0.2); print(os.open('/', 0))";
    for count in [4, 5, 8, 12, 31, 32, 64, 256, 1024] {
        let limit = format!("--nofile={count}");
        let outcome = beside(|| {
            let run = Traced::command("prlimit")
                .arguments([&limit])
                .argument(&usual().path);
            run.arguments(["-S", "-c", code])
        });
        if count < 32 {
            let [line] = &outcome.said[..] else {
                panic!("{limit}: {:?}", outcome.said);
            };
            assert!(line.ends_with(&format!(
                "the program may have only {count} open files; no capture is kept"
            )));
        } else {
            assert_eq!(outcome.said, [""; 0]);
            outcome.report().assert_exact();
        }
    }
}

/// Nobody in particular, who may write nowhere but to the capture's folder.
#[test]
fn f64_unknown_user() {
    let run = |prefix: &[&str]| {
        let run = Traced::command("sh").arguments([
            "-c",
            "chmod 777 ../captures; chmod 755 .. .; exec \"$@\"",
            "sh",
        ]);
        marker(run.arguments(prefix))
    };
    let prefix = [
        "setpriv",
        "--reuid=54321",
        "--regid=54321",
        "--clear-groups",
    ];
    let able = Traced::command("setpriv")
        .arguments(&prefix[1..])
        .arguments([usual().path.as_os_str(), "-V".as_ref()]);
    if !able.untraced().run().status.success() {
        return skipped(
            "an unknown user",
            "no other user can be taken, or has no access to the interpreter",
        );
    }
    let outcome = beside(|| run(&prefix));
    assert_eq!(outcome.said, [""; 0]);
    outcome.report().assert_exact();
}

/// Threads with the smallest stacks that there are, in the program and in a forked child, where they aggregate themselves.
#[test]
fn f64_tiny_stacks() {
    let small = compiled("small_stacks.c", Product::Library);
    for native in ["caller", "full"] {
        let outcome = beside(|| {
            Traced::script(usual(), "small_stacks.py")
                .argument(&small)
                .set("PYTRACE_NATIVE", native)
        });
        assert_eq!(outcome.said, [""; 0]);
        assert_eq!(outcome.captures().len(), 2);
        for capture in outcome.captures() {
            Report::of(&capture).assert_exact();
        }
    }
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

/// Sizes beyond 32 bits.
#[test]
fn f66_blocks_of_more_than_4_gib() {
    let outcome = Traced::script(usual(), "hazards.py")
        .argument("huge_blocks")
        .run()
        .success();
    if outcome.stdout.starts_with("refused") {
        return skipped("blocks of more than 4 GiB", "the system does not give them");
    }
    let report = outcome.report();
    report.assert_exact();
    let malloc = &report.domains["malloc"];
    let (first, last) = ((4 << 30) + 4001, (5 << 30) + 5003);
    assert_eq!(malloc.sizes.max, last);
    let large = malloc
        .sizes
        .buckets
        .iter()
        .filter(|bucket| bucket.from > 1 << 30);
    let bytes: u64 = large.map(|bucket| bucket.requested_bytes).sum();
    assert_eq!(bytes, first + last);
    assert!(malloc.counters.live_bytes >= Some(last) && malloc.max_live_bytes >= Some(last));
}

/// A long run's capture grows with what changes, not with what happens: ten times the events, about the same file.
#[test]
fn f66_captures_of_long_runs() {
    let size_of = |rounds: u64| {
        let code = format!("kept = None\nfor _ in range({rounds}):\n    kept = bytearray(3000)");
        let run = Traced::python(usual()).arguments(["-S", "-c", &code]);
        // One write, at the end: the time that a run takes decides nothing.
        let outcome = run.set("PYTRACE_INTERVAL_MS", "60000").run().success();
        let report = outcome.report();
        report.assert_exact();
        let bytes = outcome.capture().metadata().expect("it is there").len();
        (report.quality.events, bytes)
    };
    let (few, small) = size_of(10_000);
    let (many, large) = size_of(scale::count(200_000, 20_000_000).into());
    assert!(many > few + 380_000, "{few} and {many} events");
    assert!(large < small + small / 4, "{small} and {large} bytes");
}

/// An extension built with AddressSanitizer, whose runtime is preloaded first, as it demands.
#[test]
fn f67_address_sanitizer() {
    let extension = shared_library("nameless.c", "sanitized.so", &["-fsanitize=address", "-g"]);
    let runtime = Traced::command("cc")
        .argument("-print-file-name=libasan.so")
        .untraced()
        .run()
        .stdout;
    let runtime = runtime.trim();
    let code =
        "import ctypes, sys; kept = ctypes.CDLL(sys.argv[1]).allocate(12345); print(bool(kept))";
    let run = |preload: String| {
        let run = Traced::python(usual())
            .arguments(["-S", "-c", code])
            .argument(&extension);
        run.set("LD_PRELOAD", preload)
            .set("ASAN_OPTIONS", "detect_leaks=0")
            .set("PYTRACE_SUMMARY", "none")
            .run()
    };
    let plain = run(runtime.to_owned()).success();
    let traced = run(format!("{runtime} {}", library().display())).success();
    assert_eq!(
        (plain.stdout, plain.stderr),
        (traced.stdout.clone(), String::new())
    );
    assert!(
        traced
            .stderr
            .starts_with("pytrace: another malloc comes before")
            && traced.stderr.lines().count() == 1,
        "{}",
        traced.stderr
    );
    let allocations = traced.report().domains["object"].counters.allocations;
    assert!(
        allocations > 10_000,
        "{allocations} allocations were recorded"
    );
}

/// Another preloaded library that stands in front of the allocator, loaded before ours or after.
#[test]
fn f68_another_preloaded_library() {
    let other = compiled("counting_malloc.c", Product::Library);
    for ours_first in [true, false] {
        let (ours, other) = (library().display(), other.display());
        let both = if ours_first {
            format!("{ours} {other}")
        } else {
            format!("{other} {ours}")
        };
        let run = Traced::script(usual(), "marker.py")
            .set("LD_PRELOAD", both)
            .set("PYTRACE_SUMMARY", "none");
        let outcome = run.run().success();
        assert_eq!(outcome.stdout, "944\n");
        let counted = outcome
            .stderr
            .strip_prefix("counted ")
            .and_then(|rest| rest.trim_end().parse().ok());
        let counted: u64 = counted.unwrap_or_else(|| panic!("{:?}", outcome.stderr));
        assert!(
            counted > 100,
            "ours first: {ours_first}, the other one counted {counted} calls"
        );
        outcome.report().assert_exact();
    }
}

/// Under valgrind, which puts its own allocator in the place of libc's and of the hooks before it.
#[test]
fn f68_valgrind() {
    let able = std::process::Command::new("valgrind")
        .arg("--version")
        .output();
    if !able.is_ok_and(|output| output.status.success()) {
        return skipped("f68_valgrind", "valgrind is not there");
    }
    let code =
        "import sys; kept = [bytes(5000) for _ in range(100)]; print(len(kept)); sys.exit(3)";
    let run = Traced::command("valgrind").arguments(["-q", "--tool=none"]);
    let run = run.argument(&usual().path).arguments(["-S", "-c", code]);
    let outcome = run.set("PYTHONMALLOC", "malloc").run();
    // Valgrind itself remarks on system calls that it finds odd.
    assert_eq!(outcome.status.code(), Some(3), "{}", outcome.stderr);
    assert_eq!(outcome.stdout, "100\n");
    outcome.report().assert_exact();
}
