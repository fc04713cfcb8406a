//! How the tracing closes: the program ends, which freezes the books, and then the process does.
//!
//! Invariant: each comes once, whoever brings it. Whoever holds the aggregator's lock after the process's end was announced knows
//! of it, so that nothing is written behind the final record.

use crate::sync::{AtomicBool, AtomicU64, Ordering};

/// What has ended. As new: nothing.
pub(crate) struct Closing {
    /// Time of the freeze; 0 before it.
    frozen_at_ns: AtomicU64,
    has_ended: AtomicBool,
}

impl Closing {
    pub(crate) fn new() -> Self {
        Closing {
            frozen_at_ns: AtomicU64::new(0),
            has_ended: AtomicBool::new(false),
        }
    }

    /// The program ends now. Whether this is the first call: only that one freezes the books.
    pub(crate) fn freeze(&self, now_ns: u64) -> bool {
        let exchanged = self.frozen_at_ns.compare_exchange(
            0,
            now_ns.max(1),
            Ordering::AcqRel,
            Ordering::Relaxed,
        );
        exchanged.is_ok()
    }

    /// When the program ended, nanoseconds since the start.
    pub(crate) fn frozen_at_ns(&self) -> Option<u64> {
        match self.frozen_at_ns.load(Ordering::Acquire) {
            0 => None,
            at_ns => Some(at_ns),
        }
    }

    /// The process ends now. Whether this is the first call: only that one writes the end.
    pub(crate) fn end(&self) -> bool {
        !self.has_ended.swap(true, Ordering::AcqRel)
    }

    /// Whether the process ends: nothing is written any more but by whoever ends it.
    pub(crate) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }
}
