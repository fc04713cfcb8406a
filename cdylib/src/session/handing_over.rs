//! A thread in a hook hands its full buffer over: who makes room, who waits how long, who is woken.
//!
//! Invariant: no lock is waited for: the aggregator's is tried. A thread waits for room once; when there is none in time, its events are
//! counted as lost, and so are those of all threads at once until something is taken.

use core::sync::atomic::Ordering;

use super::Session;
use crate::events::buffer::Buffer;
use crate::events::transport::{CAPACITY, CROWDED};
use crate::sys::futex::Futex;
use crate::sys::{clock, heap};
use crate::thread::OwnWork;

/// How long a hook waits for room before it counts events as lost, nanoseconds.
pub(super) const PATIENCE_NS: u64 = 100_000_000;

/// How long it sleeps between two looks, nanoseconds, and what it sleeps on: nobody wakes it.
const NAP_NS: u64 = 200_000;
static NAPPING: Futex = Futex::new(0);

/// Full buffers for which the background thread is woken. Fewer wait for its next look: a wake-up is a system call of the
/// program's thread, and in a virtual machine a costly one.
const WORTH_WAKING: usize = 4;

impl Session {
    /// Takes a full buffer and gives an empty one. `None`: there was no room within [`PATIENCE_NS`].
    /// Called by a thread in a hook, which owns `full`.
    pub(crate) fn exchange(&self, full: Buffer, slot: u16, next_index: u64) -> Option<Buffer> {
        if self.saturated.load(Ordering::Relaxed) && self.transport.waiting() >= CAPACITY {
            // This was waited for once: until something is taken, events are counted as lost at once.
            return None;
        }
        if heap::is_short() {
            return None;
        }
        let mut deadline = None;
        // 64 MiB of events wait: helps, or gives the aggregator a moment.
        let make_room = || {
            if let Some(mut aggregator) = self.aggregator.try_lock() {
                self.pump(&mut aggregator);
                return true;
            }
            let now = clock::monotonic_ns();
            if now > *deadline.get_or_insert(now + PATIENCE_NS) {
                self.saturated.store(true, Ordering::Relaxed);
                return false;
            }
            // Sleeps: whoever has the lock may be waiting for this processor.
            NAPPING.wait(0, NAP_NS);
            true
        };
        let empty = self.transport.exchange(full, slot, next_index, make_room)?;
        let helps = !self.presence.is_running() || self.transport.waiting() > CROWDED;
        if helps && let Some(mut aggregator) = self.aggregator.try_lock() {
            let own = OwnWork::begin();
            self.pump(&mut aggregator);
            self.flush_if_due(&mut aggregator);
            drop(own);
        }
        self.saturated.store(false, Ordering::Relaxed);
        if self.transport.waiting() >= WORTH_WAKING {
            self.presence.attendance.wake();
        }
        Some(empty)
    }
}
