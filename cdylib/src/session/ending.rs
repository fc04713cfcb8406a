//! The end of the program: the freeze when the interpreter begins to tear down, the end of the process, exec.
//!
//! Invariant: the books are closed by the freeze; the final record is written once, by whoever ends the process.

use core::sync::atomic::{AtomicU64, Ordering};

use pytrace_format::record::{Ended, Shutdown};

use super::{Aggregator, Session, state, stop, word};
use crate::events::event::Control;
use crate::sys::{file, heap};
use crate::thread::{self, OwnWork};

/// How long the end of the process waits for the aggregator's lock, nanoseconds.
const EXIT_PATIENCE_NS: u64 = 2_000_000_000;

/// What is counted after the program ended, while the interpreter tears down: by the hooks themselves, as nothing more is
/// asked of it.
#[derive(Default)]
pub(crate) struct TearDown {
    allocations: AtomicU64,
    frees: AtomicU64,
    requested_bytes: AtomicU64,
}

impl TearDown {
    pub(crate) fn birth(&self, size: usize) {
        self.allocations.fetch_add(1, Ordering::Relaxed);
        self.requested_bytes
            .fetch_add(size as u64, Ordering::Relaxed);
    }

    pub(crate) fn death(&self) {
        self.frees.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes the counts into the books.
    fn take_into(&self, shutdown: &mut Shutdown) {
        shutdown.allocations += self.allocations.swap(0, Ordering::Relaxed);
        shutdown.frees += self.frees.swap(0, Ordering::Relaxed);
        shutdown.requested_bytes += self.requested_bytes.swap(0, Ordering::Relaxed);
    }
}

impl Session {
    /// The program has ended and the interpreter begins to tear down: freezes the books at this event, and walks the
    /// pools if the calling thread holds the GIL. Later calls do nothing.
    #[cold]
    #[inline(never)]
    pub(crate) fn freeze(&self, holds_gil: bool) {
        if !self.closing.freeze(self.now_ns()) {
            return;
        }
        self.control(Control::Freeze);
        word::enter_if_on(state::TEAR_DOWN);
        if holds_gil {
            self.walk_arenas();
        }
    }

    /// A mem or object hook sees the interpreter tear down: freezes the books, and writes what they say while the
    /// interpreter is whole. `errno` is kept.
    #[cold]
    #[inline(never)]
    pub(crate) fn begin_tear_down(&self) {
        self.freeze(true);
        if !self.is_this_process() || heap::is_short() || self.closing.has_ended() {
            return;
        }
        let own = OwnWork::begin();
        if let Some(mut aggregator) = self.aggregator.lock_within(EXIT_PATIENCE_NS) {
            self.pump(&mut aggregator);
            self.complete_quality(&mut aggregator);
            let Aggregator { books, output, .. } = &mut *aggregator;
            output.prepare(self, books);
        }
        drop(own);
    }

    /// Walks pymalloc's pools. The calling thread holds the GIL.
    pub(super) fn walk_arenas(&self) {
        let arenas = self.arenas.lock();
        // SAFETY: the arena hook takes this lock before it lets an arena be unmapped, and this thread holds the GIL.
        *self.walked.lock() = unsafe { arenas.walk() };
    }

    /// When the program ended, nanoseconds since the start; now, if it has not.
    pub(crate) fn end_ns(&self) -> u64 {
        self.closing.frozen_at_ns().unwrap_or_else(|| self.now_ns())
    }

    /// The process is about to end: writes everything and prints the summary. Only the first call does. From a signal handler
    /// that interrupted the shim's own work nothing is done: this thread holds what would be needed, and the capture
    /// ends with its last flush.
    pub(crate) fn finish(&self, ended: Ended) {
        if !self.is_this_process() || thread::word().is_writing() || !self.closing.end() {
            return;
        }
        let own = OwnWork::begin();
        let holds_gil = self.python.is_attached();
        self.freeze(holds_gil);
        stop();
        if heap::is_short() {
            return super::tell_of_shortage();
        }
        match self.aggregator.lock_within(EXIT_PATIENCE_NS) {
            Some(mut aggregator) => {
                if !aggregator.output.is_prepared() {
                    self.pump(&mut aggregator);
                    self.complete_quality(&mut aggregator);
                }
                self.tear_down.take_into(&mut aggregator.books.shutdown);
                let Aggregator { books, output, .. } = &mut *aggregator;
                output.finish(self, books, ended);
            }
            None => file::say(
                "the aggregator did not stop in time: the capture ends with its last flush",
            ),
        }
        drop(own);
    }

    /// The process is about to become another program, which may fail: everything is written, nothing ends. A forked
    /// child that has written nothing yet leaves no file: it was only made for this.
    pub(crate) fn before_exec(&self) {
        if !self.is_this_process() || heap::is_short() {
            return;
        }
        let own = OwnWork::begin();
        if let Some(mut aggregator) = self
            .aggregator
            .lock_within(EXIT_PATIENCE_NS)
            .filter(|aggregator| !self.is_forked_child || aggregator.output.has_begun())
        {
            self.pump(&mut aggregator);
            self.complete_quality(&mut aggregator);
            let now_ns = self.end_ns();
            if self.python.is_attached() {
                self.walk_arenas();
            }
            let Aggregator { books, output, .. } = &mut *aggregator;
            output.flush(self, books, now_ns, Ended::Exec);
        }
        drop(own);
    }
}
