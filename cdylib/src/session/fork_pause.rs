//! When a thread of ours may be started: not while the program forks, and not for a moment after.
//!
//! Invariant: a fork forbids threads from its beginning to the end of its pause, whatever other forks begin or end meanwhile:
//! several threads may fork at once.

use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// How long after a fork the parent stays without a background thread, nanoseconds: CPython 3.12+ counts the process's
/// threads right after `fork` and warns of more than one.
const PAUSE_NS: u64 = 20_000_000;

/// The forks under way, and the end of the pause after the last. As new: none.
#[derive(Default)]
pub(super) struct ForkPause {
    under_way: AtomicU32,
    until_ns: AtomicU64,
}

impl ForkPause {
    /// A fork begins.
    pub(super) fn begin(&self) {
        self.under_way.fetch_add(1, Ordering::SeqCst);
    }

    /// A fork is over in the parent; it may have begun before there was a session.
    pub(super) fn end(&self, now_ns: u64) {
        // The pause first: whoever sees that no fork is under way sees the pause after the last.
        self.until_ns.fetch_max(now_ns + PAUSE_NS, Ordering::SeqCst);
        let one_less = |forks: u32| forks.checked_sub(1);
        let _ = self
            .under_way
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less);
    }

    /// Whether the process neither forks nor has just forked.
    pub(super) fn is_over(&self, now_ns: impl FnOnce() -> u64) -> bool {
        if self.under_way.load(Ordering::SeqCst) != 0 {
            return false;
        }
        match self.until_ns.load(Ordering::SeqCst) {
            0 => true,
            until_ns => now_ns() >= until_ns,
        }
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    #[test]
    fn a_fork_forbids_threads_to_the_end_of_its_pause_whatever_other_forks_do() {
        let pause = ForkPause::default();
        assert!(pause.is_over(|| 0), "no fork yet");
        pause.begin(); // a long one
        pause.begin(); // a short one within it
        pause.end(100);
        assert!(
            !pause.is_over(|| 100 + PAUSE_NS),
            "the long one is under way"
        );
        pause.end(500 + PAUSE_NS);
        assert!(!pause.is_over(|| 499 + 2 * PAUSE_NS), "its pause");
        assert!(pause.is_over(|| 500 + 2 * PAUSE_NS));
    }

    #[test]
    fn a_pause_is_not_cut_short_by_a_fork_that_ended_earlier() {
        let pause = ForkPause::default();
        pause.begin();
        pause.begin();
        pause.end(2000);
        pause.end(1000); // read the clock first, came second
        assert!(!pause.is_over(|| 1999 + PAUSE_NS));
        assert!(pause.is_over(|| 2000 + PAUSE_NS));
    }

    #[test]
    fn a_fork_that_began_before_the_session_ends_in_a_pause_as_well() {
        let pause = ForkPause::default();
        pause.end(1000);
        assert!(!pause.is_over(|| 1000));
        assert!(pause.is_over(|| 1000 + PAUSE_NS));
    }
}
