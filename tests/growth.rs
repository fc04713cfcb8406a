//! What a program does again and again takes no more memory, and no more of the capture, each time.

use std::fs::File;

use pytrace_format::Decoder;
use pytrace_format::record::Record;

use crate::support::interpreters::{few, usual};
use crate::support::{Interpreter, Outcome, Traced, for_each, scale};

/// Call sites in a capture, as they are written.
fn sites(outcome: &Outcome) -> usize {
    let file = File::open(outcome.capture()).expect("the capture is there");
    Decoder::new(file)
        .filter(|record| matches!(record, Ok(Record::Site(_))))
        .count()
}

/// What events that wait for the background thread may take: as much as that is late.
const WAITING_BYTES: u64 = 64 << 20;

/// Code that is made, run and dropped, as by templates and rules: it leaves nothing behind. Kept, it would be 230 bytes each.
#[test]
fn code_that_comes_and_goes_takes_no_more_memory() {
    let own_bytes = |interpreter: &Interpreter, rounds: u64| {
        let code = format!("for _ in range({rounds}): eval('[1] * 10')");
        let run = Traced::command(&interpreter.path)
            .arguments(["-S", "-c", &code])
            .set("PYTRACE_SUMMARY", "none");
        let report = run.run().success().report();
        report.assert_exact();
        report.quality.own_memory_bytes
    };
    for_each(
        few(),
        |interpreter| interpreter.name.clone(),
        |interpreter| {
            let (few, many) = (
                own_bytes(interpreter, 100_000),
                own_bytes(interpreter, scale::passed_on(600_000, 4_000_000)),
            );
            assert!(
                many < few + WAITING_BYTES + (8 << 20),
                "{few} and {many} bytes"
            );
        },
    );
}

/// A library that is opened and closed while others keep it open: none of its code changes place, so no call site is another.
#[test]
fn closing_a_library_that_stays_makes_no_new_call_sites() {
    let sites_after = |rounds: u32| {
        let code = format!(
            "
import _ctypes
def work():
    return [bytes(1000 + n) for n in range(20)]
for _ in range({rounds}):
    handle = _ctypes.dlopen('libc.so.6', 2)
    work()
    _ctypes.dlclose(handle)
"
        );
        let outcome = Traced::command(&usual().path)
            .arguments(["-S", "-c", &code])
            .run()
            .success();
        outcome.report().assert_exact();
        sites(&outcome)
    };
    let (few, many) = (sites_after(3), sites_after(300));
    assert!(many < few + few / 10, "{few} and {many} call sites");
}
