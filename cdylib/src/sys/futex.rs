//! A word on which threads can sleep.

use core::ops::Deref;
use core::sync::atomic::AtomicU32;

use super::syscall;

/// The word. Who changes it so that sleepers have to look again wakes them.
pub(crate) struct Futex(AtomicU32);

impl Futex {
    pub(crate) const fn new(value: u32) -> Futex {
        Futex(AtomicU32::new(value))
    }

    /// Sleeps while the word is `expected`, at most `timeout_ns`; a wake-up or a signal ends it early.
    pub(crate) fn wait(&self, expected: u32, timeout_ns: u64) {
        syscall::futex_wait(&self.0, expected, timeout_ns);
    }

    /// Wakes one sleeper.
    pub(crate) fn wake(&self) {
        syscall::futex_wake(&self.0, 1);
    }
}

impl Deref for Futex {
    type Target = AtomicU32;

    #[inline(always)]
    fn deref(&self) -> &AtomicU32 {
        &self.0
    }
}
