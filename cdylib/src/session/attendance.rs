//! What the background thread and the others tell each other: that there is work, that it is to end, that it has.
//!
//! Invariant: a wish that was set before a wake-up is seen by the thread before it sleeps, or the wake-up is. Both sides exchange
//! `asleep` in one step: if the sleeper's exchange comes second, it sees what was set before the waker's; if it comes first,
//! the waker finds that it sleeps.

use crate::sync::{AtomicBool, Futex, Ordering};
use crate::sys::clock;

/// The words. As new: nobody is there.
pub(crate) struct Attendance {
    /// 1: the background thread sleeps on it.
    asleep: Futex,
    must_end: AtomicBool,
    /// 1: the background thread touches nothing of the session's any more.
    has_left: Futex,
}

impl Attendance {
    pub(crate) fn new() -> Self {
        Attendance {
            asleep: Futex::new(0),
            must_end: AtomicBool::new(false),
            has_left: Futex::new(0),
        }
    }

    /// A background thread is about to be started: nobody else uses these words.
    pub(crate) fn renew(&self) {
        self.must_end.store(false, Ordering::Release);
        self.has_left.store(0, Ordering::Release);
    }

    /// Wakes the background thread, if it sleeps.
    pub(crate) fn wake(&self) {
        if self.asleep.swap(0, Ordering::AcqRel) == 1 {
            self.asleep.wake();
        }
    }

    /// Asks the background thread to end.
    pub(crate) fn ask_to_end(&self) {
        self.must_end.store(true, Ordering::Release);
        self.wake();
    }

    /// The background thread: whether it is to end.
    pub(crate) fn must_end(&self) -> bool {
        self.must_end.load(Ordering::Acquire)
    }

    /// The background thread: sleeps until it is woken, something waits, or it is to end; in slices as long as
    /// `next_slice_ns` says, and no longer when that says nothing.
    pub(crate) fn sleep(
        &self,
        something_waits: impl Fn() -> bool,
        mut next_slice_ns: impl FnMut() -> Option<u64>,
    ) {
        self.asleep.swap(1, Ordering::AcqRel);
        while !something_waits() && !self.must_end() && self.asleep.load(Ordering::Acquire) == 1 {
            let Some(slice_ns) = next_slice_ns() else {
                break;
            };
            self.asleep.wait(1, slice_ns);
        }
        // An exchange too: a plain store would hide what a waker set just before.
        self.asleep.swap(0, Ordering::AcqRel);
    }

    /// The background thread: it is at its end.
    pub(crate) fn leave(&self) {
        self.has_left.store(1, Ordering::Release);
        self.has_left.wake();
    }

    /// Whether the background thread is at its end.
    pub(crate) fn has_left(&self) -> bool {
        self.has_left.load(Ordering::Acquire) == 1
    }

    /// Waits until the background thread is at its end, for about `patience_ns` at most; returns whether it is.
    pub(crate) fn wait_for_leaving(&self, patience_ns: u64) -> bool {
        let deadline_ns = clock::monotonic_ns().saturating_add(patience_ns);
        while !self.has_left() {
            let now_ns = clock::monotonic_ns();
            if now_ns >= deadline_ns {
                return false;
            }
            self.has_left.wait(0, deadline_ns - now_ns);
        }
        true
    }
}
