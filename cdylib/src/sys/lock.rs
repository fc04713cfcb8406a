//! A mutual-exclusion lock on a futex: no allocation, no poisoning, no thread-locals, `errno` untouched.
//!
//! Invariant: what runs under a [`Lock`] of the shim is pure computation on the shim's own memory (and its own files),
//! never libc's allocator, the loader or Python; so no lock order with the program's locks exists.

use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::Ordering;

use super::clock;
use super::futex::Futex;

const FREE: u32 = 0;
const HELD: u32 = 1;
/// Held, and somebody sleeps on it.
const CONTENDED: u32 = 2;

/// How often a held lock is looked at before its taker sleeps; in models, where each look multiplies the interleavings, once.
const SPINS: u32 = if cfg!(feature = "loom") { 1 } else { 64 };

/// A value that one thread at a time may use.
pub(crate) struct Lock<T> {
    word: Futex,
    value: UnsafeCell<T>,
}

// SAFETY: the value is only reached through a guard, and only one guard exists at a time.
unsafe impl<T: Send> Sync for Lock<T> {}

/// The right to use the value; gives it back when dropped.
pub(crate) struct LockGuard<'a, T> {
    lock: &'a Lock<T>,
}

impl<T> Lock<T> {
    pub(crate) const fn new(value: T) -> Self {
        Lock {
            word: Futex::new(FREE),
            value: UnsafeCell::new(value),
        }
    }

    /// Takes the lock, sleeping while another thread has it.
    pub(crate) fn lock(&self) -> LockGuard<'_, T> {
        // Acquire pairs with the Release in `drop`: what the last holder wrote is seen.
        if self
            .word
            .compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed)
            .is_err()
        {
            self.lock_slowly();
        }
        LockGuard { lock: self }
    }

    /// Takes the lock if it is free.
    pub(crate) fn try_lock(&self) -> Option<LockGuard<'_, T>> {
        self.word
            .compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed)
            .ok()
            .map(|_| LockGuard { lock: self })
    }

    /// Takes the lock, trying for about `limit_ns` at most.
    pub(crate) fn lock_within(&self, limit_ns: u64) -> Option<LockGuard<'_, T>> {
        if let Some(guard) = self.try_lock() {
            return Some(guard);
        }
        let deadline = clock::monotonic_ns().saturating_add(limit_ns);
        // As in `lock_slowly`, and the last look comes after the last sleep: a wake-up that came here is not kept from others.
        while self.word.swap(CONTENDED, Ordering::Acquire) != FREE {
            let now = clock::monotonic_ns();
            if now >= deadline {
                return None;
            }
            self.word
                .wait(CONTENDED, (deadline - now).min(1_000_000_000));
        }
        Some(LockGuard { lock: self })
    }

    #[cold]
    #[inline(never)]
    fn lock_slowly(&self) {
        for _ in 0..SPINS {
            if self
                .word
                .compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed)
                .is_ok()
            {
                return;
            }
            core::hint::spin_loop();
        }
        while self.word.swap(CONTENDED, Ordering::Acquire) != FREE {
            self.word.wait(CONTENDED, 1_000_000_000);
        }
    }
}

impl<T> Deref for LockGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the guard exists, so this thread holds the lock.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> DerefMut for LockGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard exists and is borrowed mutably, so this is the only reference.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T> Drop for LockGuard<'_, T> {
    fn drop(&mut self) {
        if self.lock.word.swap(FREE, Ordering::Release) == CONTENDED {
            self.lock.word.wake();
        }
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    #[test]
    fn threads_take_turns() {
        static COUNT: Lock<u64> = Lock::new(0);
        let threads: Vec<_> = (0..4)
            .map(|_| {
                std::thread::spawn(|| {
                    for _ in 0..10_000 {
                        *COUNT.lock() += 1;
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().expect("no panic");
        }
        assert_eq!(*COUNT.lock(), 40_000);
    }

    #[test]
    fn a_held_lock_is_not_taken_again() {
        let lock = Lock::new(());
        let guard = lock.lock();
        assert!(lock.try_lock().is_none());
        assert!(lock.lock_within(2_000_000).is_none());
        drop(guard);
        assert!(lock.lock_within(2_000_000).is_some());
    }
}
