//! The order of events between threads.
//!
//! One global word names the thread that recorded last and how often that changed. A thread that finds another's name
//! there starts a new *segment*: it puts its own name and the next number in, by compare-and-swap, and marks the number
//! in its event stream. While one thread records alone (as under the GIL) this costs a load and a compare per event.
//!
//! Invariant: if event x happened before event y (in the sense of the memory model: x's thread handed something on, and
//! y's thread took it), then x's segment is not after y's. Proof: x's thread saw `(s, x)` when it recorded x. y's thread
//! then reads the word at `(s, x)` or later in its modification order: either it is somebody else's, and y gets a new,
//! higher number; or it is y's own, which it put there after `(s, x)`, with a higher number. So applying segments in the
//! order of their numbers applies the history of every address in its true order: a block is born, handed on, freed,
//! its address given out again, and each step comes after the one before.
//!
//! A reader takes a consistent cut of streams that go on growing: it reads the word, `(s, o)`, then what `o` has published,
//! then what the others have, and applies segments up to `s` only. Whatever happened before an event inside the cut is
//! inside it too: take y inside, and x before it. If y is in segment `s`, it was published before `o` was read, so x was
//! published before the others were read. If y is in an earlier one, its thread read the word before it was `(s, o)`,
//! so x was published before the cut began.

use crate::sync::{AtomicU64, Ordering};

const NUMBER_SHIFT: u32 = 16;

/// The last segment: its number, and the name of the thread that records in it. Alone on its cache lines, as every
/// hook reads it.
#[repr(align(128))]
pub(crate) struct Segments(AtomicU64);

impl Segments {
    #[cfg(not(feature = "loom"))]
    pub(crate) const fn new() -> Self {
        Segments(AtomicU64::new(0))
    }

    #[cfg(feature = "loom")]
    pub(crate) fn new() -> Self {
        Segments(AtomicU64::new(0))
    }

    /// Whether `thread` recorded last. The common case: one load, one compare.
    #[inline(always)]
    pub(crate) fn is_current(&self, thread: u16) -> bool {
        self.0.load(Ordering::Relaxed) as u16 == thread
    }

    /// The last segment's number, and the thread that records in it (0: none yet).
    pub(crate) fn latest(&self) -> (u64, u16) {
        // Acquire pairs with `start`: what was published before the segment began is seen.
        let word = self.0.load(Ordering::Acquire);
        (word >> NUMBER_SHIFT, word as u16)
    }

    /// Starts a segment of `thread`; returns its number.
    #[cold]
    #[inline(never)]
    pub(crate) fn start(&self, thread: u16) -> u64 {
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            let number = (word >> NUMBER_SHIFT) + 1;
            let next = (number << NUMBER_SHIFT) | u64::from(thread);
            // AcqRel: the numbers of this word order the events; see the module's proof.
            match self
                .0
                .compare_exchange_weak(word, next, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => return number,
                Err(now) => word = now,
            }
        }
    }

    /// Forgets everything, as a forked child must.
    pub(crate) fn reset(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    #[test]
    fn numbers_rise_whenever_the_thread_changes() {
        let segments = Segments::new();
        assert!(!segments.is_current(1));
        assert_eq!(segments.start(1), 1);
        assert!(segments.is_current(1));
        assert_eq!(segments.start(2), 2);
        assert!(!segments.is_current(1));
        assert_eq!(segments.start(1), 3);
        assert_eq!(segments.latest(), (3, 1));
    }
}
