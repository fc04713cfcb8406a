//! The background thread: when it is started, woken, and sent away for a fork.
//!
//! Invariant: it is joined before a fork, and started again by a mem or object hook, in which no lock of libc's is held.

use core::sync::atomic::Ordering;

use super::{STATE, Session, current, state};
use crate::sys::{syscall, thread as sys_thread};
use crate::thread::{self, OwnWork};

/// How long after a fork the parent stays without a background thread, nanoseconds: CPython 3.12+ counts the process's
/// threads right after `fork` and warns of more than one.
const FORK_PAUSE_NS: u64 = 20_000_000;

/// The background thread.
pub(super) enum Background {
    NotStarted,
    Running(sys_thread::Thread),
    /// It could not be started, or must not be: producers aggregate.
    Never,
}

impl Session {
    pub(super) fn wake_background(&self) {
        if self.asleep.swap(0, Ordering::SeqCst) == 1 {
            syscall::futex_wake(&self.asleep, 1);
        }
    }

    /// Does what was asked for by [`state::ATTENTION`]. Call it in a mem or object hook only: CPython's allocator calls
    /// are made without any of libc's locks, which `pthread_create` takes.
    pub(crate) fn attend(&self) {
        STATE.fetch_and(!state::ATTENTION, Ordering::AcqRel);
        if !self.background_started.load(Ordering::Relaxed) {
            self.start_background();
        }
    }

    #[cold]
    #[inline(never)]
    pub(super) fn start_background(&self) {
        let Some(mut background) = self.background.try_lock() else {
            return;
        };
        if matches!(*background, Background::NotStarted) {
            let own = OwnWork::begin();
            self.background_must_end.store(false, Ordering::Release);
            *background = match sys_thread::start(background_main) {
                Some(thread) => Background::Running(thread),
                None => Background::Never,
            };
            self.background_started.store(
                matches!(*background, Background::Running(_)),
                Ordering::Release,
            );
            drop(own);
        }
    }

    /// Before fork: the background thread ends at a batch boundary, and no lock of ours is left held by a thread that the
    /// child will not have.
    pub(crate) fn before_fork(&self) {
        let thread = {
            let mut background = self.background.lock();
            match core::mem::replace(&mut *background, Background::NotStarted) {
                Background::Running(thread) => Some(thread),
                other => {
                    *background = other;
                    None
                }
            }
        };
        if let Some(thread) = thread {
            self.background_must_end.store(true, Ordering::SeqCst);
            self.wake_background();
            thread.join();
            self.background_started.store(false, Ordering::Release);
        }
    }

    /// After fork, in the parent: the background thread is started again when CPython has counted the threads.
    pub(crate) fn after_fork_in_parent(&self) {
        self.forked_at_ns.store(self.now_ns(), Ordering::Relaxed);
        // SAFETY: null or a slot, which is never unmapped.
        if let Some(slot) = unsafe { thread::word().slot().as_ref() } {
            slot.look_again_soon();
        }
    }

    /// Whether it is too early after a fork to start a thread.
    pub(crate) fn has_just_forked(&self) -> bool {
        match self.forked_at_ns.load(Ordering::Relaxed) {
            0 => false,
            forked => self.now_ns() < forked + FORK_PAUSE_NS,
        }
    }

    /// Asks the next mem or object hook to start the background thread, if none runs and one may.
    pub(crate) fn want_background(&self) {
        if !self.is_counting()
            && !self.background_started.load(Ordering::Relaxed)
            && !self.has_just_forked()
        {
            STATE.fetch_or(state::ATTENTION, Ordering::Release);
        }
    }

    pub(super) fn run_background(&self) {
        let interval_ns = u64::from(self.settings.interval_ms) * 1_000_000;
        loop {
            if let Some(mut aggregator) = self.aggregator.try_lock() {
                self.pump(&mut aggregator);
                if !self.ended.load(Ordering::Acquire) {
                    self.flush_if_due(&mut aggregator);
                }
            }
            if self.background_must_end.load(Ordering::Acquire)
                || self.ended.load(Ordering::Acquire)
            {
                return;
            }
            // SeqCst: whoever sets a wish after this sees that we sleep, and we see a wish that was set before.
            self.asleep.store(1, Ordering::SeqCst);
            if self.transport.waiting() == 0 && !self.background_must_end.load(Ordering::SeqCst) {
                syscall::futex_wait(&self.asleep, 1, interval_ns);
            }
            self.asleep.store(0, Ordering::Release);
        }
    }
}

extern "C" fn background_main(_: *mut core::ffi::c_void) -> *mut core::ffi::c_void {
    // For the thread's whole life: whatever libc does on its behalf is nobody's.
    let own = OwnWork::begin();
    if let Some(session) = current() {
        session.run_background();
    }
    drop(own);
    core::ptr::null_mut()
}
