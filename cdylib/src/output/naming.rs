//! Names of native addresses, found in the traced process after recording has stopped.
//!
//! `backtrace` reads a module's debug information; where that is large it takes tens of milliseconds, so there is a
//! budget, and what it does not cover is left to the command line, which names it from the capture. Modules whose debug
//! information is over [`LARGE_DEBUG_BYTES`] are named from their symbol tables alone.

use crate::sys::clock;

/// Time that naming may take in all, nanoseconds.
const BUDGET_NS: u64 = 30_000_000;

/// The namer.
pub(crate) struct Names {
    deadline_ns: u64,
}

impl Names {
    pub(crate) fn new() -> Self {
        Names {
            deadline_ns: clock::monotonic_ns() + BUDGET_NS,
        }
    }

    /// The function that a return address returns into; `None` when it has no name or the time is up.
    pub(crate) fn of_return_address(&mut self, address: usize) -> Option<String> {
        if clock::monotonic_ns() >= self.deadline_ns {
            return None;
        }
        let mut name = None;
        // The call lies before the address that it returns to.
        backtrace::resolve(
            address.wrapping_sub(1) as *mut core::ffi::c_void,
            |symbol| {
                // Inlined functions come first; the last one is the function that has the code.
                name = symbol.name().map(|found| format!("{found:#}"));
            },
        );
        name
    }
}
