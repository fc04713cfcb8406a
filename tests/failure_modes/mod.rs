//! The failure modes of tracers of this kind that docs/FAILURE_MODES.md lists, each with the test that proves this one free
//! of it. A test is named after its entry.

mod beside; // a run with the library beside one without
mod bootstrapping; // F09–F16: before there is anything, after everything is gone
mod contract; // F17–F29: what an allocator promises
mod cpython; // F51–F58: CPython's own
mod environment; // F61–F68: other programs, disks, limits, descriptors, other tools
mod locks; // F01–F08: locks, and the loader
mod names; // hostile names on every sink
mod privileges; // F69: set-uid programs, files that lie in the way, secrets
mod processes; // F38–F50, F59, F60: fork, exec, exit, and the servers and pools that are made of them
mod table; // docs/FAILURE_MODES.md against the tests
mod transparency; // signals, namespaces, the loader: what else the program would notice
mod unwinding; // F30–F37: unwinding, threads, signals

use crate::support::{Interpreter, Report, Traced, for_each};
use std::path::Path;

/// What each of the ways to record has in its environment.
const WAYS: [(&str, &str); 4] = [
    ("PYTRACE_NATIVE", "caller"),
    ("PYTRACE_NATIVE", "full"),
    ("PYTRACE_NATIVE", "off"),
    ("PYTRACE_MODE", "counts"),
];

/// Checks each of the ways to record: a variable and its value.
fn each_way(check: impl Fn(&str, &str)) {
    for_each(
        WAYS,
        |(name, value)| format!("{name}={value}"),
        |(name, value)| check(name, value),
    );
}

/// A run that calls one function of a C library.
fn call(interpreter: &Interpreter, library: &Path, function: &str, numbers: &[u64]) -> Traced {
    Traced::script(interpreter, "call.py")
        .argument(library)
        .argument(function)
        .arguments(numbers.iter().map(u64::to_string))
}

/// Allocations, live blocks and live bytes of all sites of a C function.
fn made_by(report: &Report, function: &str) -> (u64, u64, u64) {
    (report.sites_of_caller(function).iter()).fold((0, 0, 0), |sum, site| {
        (
            sum.0 + site.allocations,
            sum.1 + site.live_blocks,
            sum.2 + site.live_bytes,
        )
    })
}
