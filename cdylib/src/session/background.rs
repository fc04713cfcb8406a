//! The background thread: when it is started, woken, and sent away for a fork.
//!
//! Invariant: it is joined before a fork (or given up, if it does not end), and started again by a mem or object hook, in which no lock of libc's is held.
//! It never outlives the program's last thread: libc ends a process when its last thread ends, and would take ours for one.

use core::sync::atomic::Ordering;

use super::{Session, current, word};
use crate::sys::{clock, file, heap, syscall, thread as sys_thread};
use crate::thread::OwnWork;

/// How long a fork waits for the background thread to end, nanoseconds.
const FORK_PATIENCE_NS: u64 = 2_000_000_000;

/// How long a fork waits for the kernel to forget the joined thread, nanoseconds.
const FORGETTING_PATIENCE_NS: u64 = 100_000_000;

/// How often the background thread looks whether the program's threads have all ended, nanoseconds.
const LOOK_NS: u64 = 100_000_000;

/// The background thread.
pub(super) enum Background {
    NotStarted,
    Running(sys_thread::Thread),
    /// It did not end in time for a fork: it is held in a write, or by a debugger. It ends when it is let go.
    Leaving(sys_thread::Thread),
    /// It could not be started, or must not be: producers aggregate.
    Never,
}

/// What the background thread is awake for.
#[derive(PartialEq)]
enum Woken {
    ForWork,
    /// The program's threads have all ended. When this one ends too, libc ends the process, as it would have done without us.
    Last,
}

impl Session {
    /// Does what was asked for by [`super::state::ATTENTION`]. Call it in a mem or object hook only: CPython's allocator calls
    /// are made without any of libc's locks, which `pthread_create` takes. Right after a fork the wish stays for later.
    pub(crate) fn attend(&self) {
        if self.fork_pause.is_over(|| self.now_ns()) {
            word::attention_given();
            self.start_background();
        }
    }

    #[cold]
    #[inline(never)]
    pub(super) fn start_background(&self) {
        let Some(mut background) = self.background.try_lock() else {
            return;
        };
        if matches!(*background, Background::Leaving(_)) && self.attendance.has_left() {
            self.join(&mut background);
        }
        // Asked again under the lock, which a fork takes after it has forbidden threads: none comes between it and the fork.
        if matches!(*background, Background::NotStarted)
            && self.fork_pause.is_over(|| self.now_ns())
        {
            let own = OwnWork::begin();
            self.attendance.renew();
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
        word::remember_for_child();
        if !self.is_this_process() {
            return; // a child made by a bare `clone` has no background thread that could be joined
        }
        self.fork_pause.begin();
        // A handler that forks may have interrupted whoever holds it.
        let Some(mut background) = self.background.lock_within(FORK_PATIENCE_NS) else {
            return;
        };
        let patience_ns = match &*background {
            Background::Running(_) => FORK_PATIENCE_NS,
            Background::Leaving(_) => 0, // it was waited for once
            Background::NotStarted | Background::Never => return,
        };
        self.attendance.ask_to_end();
        if self.attendance.wait_for_leaving(patience_ns) {
            return self.join(&mut background);
        }
        *background = match core::mem::replace(&mut *background, Background::NotStarted) {
            Background::Running(thread) => {
                file::say(
                    "the background thread did not stop in time for a fork: the program goes on without it",
                );
                self.background_started.store(false, Ordering::Release);
                Background::Leaving(thread)
            }
            other => other,
        };
    }

    /// Joins the background thread, which is at its end.
    fn join(&self, background: &mut Background) {
        if let Background::Running(thread) | Background::Leaving(thread) =
            core::mem::replace(background, Background::NotStarted)
        {
            thread.join();
            self.background_started.store(false, Ordering::Release);
            self.wait_until_forgotten();
        }
    }

    /// A joined thread counts in the kernel's number of threads until it is reaped, a moment after whoever joined it was woken.
    fn wait_until_forgotten(&self) {
        let thread_id = self.background_thread_id.load(Ordering::Acquire);
        let deadline_ns = clock::monotonic_ns() + FORGETTING_PATIENCE_NS;
        while syscall::thread_exists(self.pid, thread_id) && clock::monotonic_ns() < deadline_ns {
            syscall::yield_processor();
        }
    }

    /// After fork, in the parent: the background thread is started again when CPython has counted the threads.
    pub(crate) fn after_fork_in_parent(&self) {
        if !self.is_this_process() {
            return; // a child made by a bare `clone`
        }
        self.fork_pause.end(self.now_ns());
        self.want_background();
    }

    /// Asks the next mem or object hook to start the background thread, if none runs.
    pub(crate) fn want_background(&self) {
        if !self.is_counting()
            && !heap::is_short()
            && !self.background_started.load(Ordering::Relaxed)
        {
            word::ask_for_attention();
        }
    }

    pub(super) fn run_background(&self) {
        let interval_ns = u64::from(self.settings.interval_ms) * 1_000_000;
        loop {
            let mut pause_ns = interval_ns;
            if let Some(mut aggregator) = self.aggregator.try_lock() {
                self.pump(&mut aggregator);
                if !self.ended.load(Ordering::Acquire) {
                    self.flush_if_due(&mut aggregator);
                }
                // What is due and was not written (the program has ended) is not waited for again and again.
                let until_due_ns = aggregator
                    .output
                    .next_flush_ns()
                    .saturating_sub(self.now_ns());
                if until_due_ns != 0 {
                    pause_ns = until_due_ns.min(interval_ns);
                }
            }
            super::tell_of_shortage();
            if self.attendance.must_end() || self.ended.load(Ordering::Acquire) {
                return;
            }
            if self.sleep(pause_ns) == Woken::Last {
                return;
            }
        }
    }

    /// Sleeps until there is something to do, at most `pause_ns`.
    fn sleep(&self, pause_ns: u64) -> Woken {
        let until_ns = self.now_ns() + pause_ns;
        let mut woken = Woken::ForWork;
        let mut has_slept = false;
        let next_slice_ns = || {
            if has_slept && sys_thread::is_last(self.pid) {
                woken = Woken::Last;
                return None;
            }
            has_slept = true;
            let rest_ns = until_ns.saturating_sub(self.now_ns());
            (rest_ns != 0).then_some(rest_ns.min(LOOK_NS))
        };
        self.attendance
            .sleep(|| self.transport.has_full(), next_slice_ns);
        woken
    }
}

extern "C" fn background_main(_: *mut core::ffi::c_void) -> *mut core::ffi::c_void {
    // For the thread's whole life: whatever libc does on its behalf is nobody's.
    let own = OwnWork::begin();
    if let Some(session) = current() {
        session
            .background_thread_id
            .store(syscall::thread_id(), Ordering::Release);
        session.run_background();
        session.attendance.leave();
    }
    drop(own);
    core::ptr::null_mut()
}
