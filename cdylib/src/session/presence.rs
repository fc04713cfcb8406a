//! Whether a thread of ours runs: started where that is allowed, sent away before a fork.
//!
//! Invariant: from the beginning of a fork to the end of its pause no thread is started. Two are never there at a time: one that
//! did not end in time for a fork is joined before the next is started.

use super::attendance::Attendance;
use super::fork_pause::ForkPause;
use crate::sync::{AtomicBool, Lock, Ordering};

/// How long a fork waits for whoever starts or joins the thread, nanoseconds.
const TURN_PATIENCE_NS: u64 = if cfg!(feature = "loom") {
    u64::MAX // a model has no clock
} else {
    2_000_000_000
};

/// The thread, by its handle.
enum State<T> {
    Absent,
    Running(T),
    /// It did not end in time for a fork: it is held in a write, or by a debugger. It ends when it is let go.
    Leaving(T),
    /// It could not be started.
    Never,
}

/// The thread's presence. `T` is what it is joined by.
pub(crate) struct Presence<T> {
    state: Lock<State<T>>,
    is_running: AtomicBool,
    pub(crate) attendance: Attendance,
    fork_pause: ForkPause,
}

impl<T> Presence<T> {
    pub(crate) fn new() -> Self {
        Presence {
            state: Lock::new(State::Absent),
            is_running: AtomicBool::new(false),
            attendance: Attendance::new(),
            fork_pause: ForkPause::default(),
        }
    }

    /// Whether the thread runs, about: while it is started and sent away the answer may be that of before.
    pub(crate) fn is_running(&self) -> bool {
        self.is_running.load(Ordering::Relaxed)
    }

    /// Whether no fork, and no moment after one, forbids threads.
    pub(crate) fn is_allowed(&self, now_ns: impl FnOnce() -> u64) -> bool {
        self.fork_pause.is_over(now_ns)
    }

    /// Starts the thread, if it is allowed, none is there and nobody else is at it. `start` gives its handle, or `None` when the
    /// system refuses: then it is never asked again. `join` waits for the end of one that is leaving.
    pub(crate) fn start(
        &self,
        now_ns: impl FnOnce() -> u64,
        start: impl FnOnce() -> Option<T>,
        join: impl FnOnce(T),
    ) {
        let Some(mut state) = self.state.try_lock() else {
            return;
        };
        if matches!(*state, State::Leaving(_)) && self.attendance.has_left() {
            self.join(&mut state, join);
        }
        // Asked under the lock, which a fork takes after it has forbidden threads: none comes between it and the fork.
        if matches!(*state, State::Absent) && self.is_allowed(now_ns) {
            self.attendance.renew();
            *state = start().map_or(State::Never, State::Running);
            self.is_running
                .store(matches!(*state, State::Running(_)), Ordering::Relaxed);
        }
    }

    /// A fork begins: asks the thread to end, and waits for that, for about `patience_ns` at most. Returns false when it did not
    /// end in time, once: it is not waited for again.
    pub(crate) fn send_away(&self, patience_ns: u64, join: impl FnOnce(T)) -> bool {
        self.fork_pause.begin();
        // A handler that forks may have interrupted whoever holds it.
        let Some(mut state) = self.state.lock_within(TURN_PATIENCE_NS) else {
            return true;
        };
        let (was_running, patience_ns) = match &*state {
            State::Running(_) => (true, patience_ns),
            State::Leaving(_) => (false, 0),
            State::Absent | State::Never => return true,
        };
        self.attendance.ask_to_end();
        if self.attendance.wait_for_leaving(patience_ns) {
            self.join(&mut state, join);
            return true;
        }
        *state = match core::mem::replace(&mut *state, State::Absent) {
            State::Running(thread) => State::Leaving(thread),
            other => other,
        };
        self.is_running.store(false, Ordering::Relaxed);
        !was_running
    }

    /// A fork is over in the parent.
    pub(crate) fn fork_is_over(&self, now_ns: u64) {
        self.fork_pause.end(now_ns);
    }

    /// Joins the thread, which is at its end.
    fn join(&self, state: &mut State<T>, join: impl FnOnce(T)) {
        if let State::Running(thread) | State::Leaving(thread) =
            core::mem::replace(state, State::Absent)
        {
            join(thread);
            self.is_running.store(false, Ordering::Relaxed);
        }
    }
}
