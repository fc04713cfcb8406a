//! Every system call of the library fails, one in each run: the program's output and exit status stay.
//!
//! Its own calls are failed from outside, by a tracer that knows them by the address of their `syscall` instruction
//! (`programs/faults.c`); those that libc makes on its behalf by a second preloaded library (`programs/failing_libc.c`).

use crate::support::compile::{Product, compiled, shared_library};
use crate::support::installation::{library, program};
use crate::support::interpreters::usual;
use crate::support::{Outcome, Traced, for_each, measured, scale};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The ways in which a call fails: numbers of `<errno.h>`, and reading or writing less than was asked for.
const KINDS: [(&str, &str); 7] = [
    ("ENOMEM", "12"),
    ("ENOSPC", "28"),
    ("EIO", "5"),
    ("EINTR", "4"),
    ("EAGAIN", "11"),
    ("EMFILE", "24"),
    ("half of it", "short"),
];

const ENDINGS: [&str; 2] = ["orderly", "at once"];

/// What the program says on standard output, with its exit status.
fn untouched(ending: &str) -> Outcome {
    let run = Traced::script(usual(), "many_calls.py").argument(ending);
    let plain = run.argument(nameless()).untraced().run();
    assert_eq!(plain.status.code(), Some(7), "{}", plain.stderr);
    assert!(plain.stdout.ends_with("blocks 40000\n"), "{}", plain.stdout);
    plain
}

/// A library with a function that only debug information knows: naming it makes `backtrace` read the file.
pub(crate) fn nameless() -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| {
        let options = ["-O1", "-g", "-fno-optimize-sibling-calls", "-Wl,-x"];
        shared_library("nameless.c", "nameless.so", &options)
    })
}

#[track_caller]
fn assert_unharmed(outcome: &Outcome, plain: &Outcome) {
    assert_eq!(
        (outcome.status, outcome.stdout.as_str()),
        (plain.status, plain.stdout.as_str()),
        "{}",
        outcome.stderr
    );
    let said = |outcome: &Outcome| {
        let lines = outcome.stderr.lines();
        lines.filter(|line| *line == "said by the program").count()
    };
    assert_eq!(said(outcome), said(plain), "{}", outcome.stderr);
}

/// Which calls are failed of so many: the first, some between and the last; in full, all.
fn chosen(calls: u64) -> impl Iterator<Item = u64> {
    let steps = if scale::is_full() { calls } else { 3 };
    (0..steps).map(move |step| 1 + step * (calls - 1) / (steps - 1).max(1))
}

/// Runs the program once for every call that is to fail in every way. `run` makes call number `nth` fail so.
fn fail_each(
    calls: u64,
    kinds: &[(&'static str, &'static str)],
    plain: &Outcome,
    run: impl Fn(u64, &str) -> Outcome,
) {
    let runs: Vec<_> = kinds
        .iter()
        .flat_map(|kind| chosen(calls).map(move |nth| (nth, kind)))
        .collect();
    let count = runs.len();
    for_each(
        runs,
        |(nth, kind)| format!("call {nth} of {calls}, {}", kind.0),
        |(nth, kind)| assert_unharmed(&run(*nth, kind.1), plain),
    );
    measured(&format!("{count} runs with a failing call, all unaffected"));
}

/// Runs under the tracer, and tells the calls that it saw.
fn under_tracer(tracer: &Path, ending: &str, nth: u64, kind: &str) -> (Outcome, u64) {
    let run = Traced::command(tracer);
    let report = run.folder().join("seen");
    let outcome = run
        .argument(library())
        .arguments([nth.to_string().as_str(), kind])
        .argument(&report)
        .argument(&usual().path)
        .argument("-S")
        .argument(program("many_calls.py"))
        .argument(ending)
        .argument(nameless())
        .set("PYTRACE_TOP", "1000")
        .run();
    let seen = std::fs::read_to_string(report).expect("the tracer leaves its report");
    let calls = seen.split(' ').next().and_then(|word| word.parse().ok());
    (outcome, calls.expect("a number"))
}

#[test]
fn every_system_call_may_fail() {
    let tracer = compiled("faults.c", Product::Executable);
    for ending in ENDINGS {
        let plain = untouched(ending);
        for kinds in [&KINDS[..6], &KINDS[6..]] {
            // No call has the number 0: this one counts those that can fail in this way.
            let (outcome, calls) = under_tracer(&tracer, ending, 0, kinds[0].1);
            assert_unharmed(&outcome, &plain);
            assert_eq!(outcome.captures().len(), 2, "the program's and its child's");
            assert!(calls > 20, "{calls} system calls were seen");
            fail_each(calls, kinds, &plain, |nth, kind| {
                under_tracer(&tracer, ending, nth, kind).0
            });
        }
    }
}

/// Runs with the second library, and tells the calls that it saw.
fn with_failing_libc(failing: &Path, ending: &str, nth: u64, kind: &str) -> (Outcome, u64) {
    let run = Traced::script(usual(), "many_calls.py").argument(ending);
    let count = run.folder().join("count");
    std::fs::write(&count, [0; 8]).expect("the folder is ours");
    let mut both = library().as_os_str().to_owned();
    both.push(" ");
    both.push(failing);
    let outcome = run
        .argument(nameless())
        .set("LD_PRELOAD", both)
        .set("PYTRACE_TOP", "1000")
        .set("FAIL_COUNT", &count)
        .set("FAIL_NTH", nth.to_string())
        .set("FAIL_WITH", kind)
        .run();
    let seen = std::fs::read(count).expect("it was made above");
    let calls = u32::from_ne_bytes([seen[0], seen[1], seen[2], seen[3]]);
    (outcome, calls.into())
}

#[test]
fn every_call_of_libc_may_fail() {
    let failing = compiled("failing_libc.c", Product::Library);
    for ending in ENDINGS {
        let plain = untouched(ending);
        let (outcome, calls) = with_failing_libc(&failing, ending, 0, "5");
        assert_unharmed(&outcome, &plain);
        assert!(calls > 5, "{calls} calls of libc were seen");
        fail_each(calls, &KINDS[..6], &plain, |nth, kind| {
            with_failing_libc(&failing, ending, nth, kind).0
        });
    }
}
