//! F67, F68: other tools in the same process.

use crate::support::compile::{Product, compiled, shared_library};
use crate::support::installation::library;
use crate::support::interpreters::usual;
use crate::support::{Traced, skipped};

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
