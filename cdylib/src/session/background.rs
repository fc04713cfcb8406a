//! The background thread: what it does, when it is wanted, and how it is sent away for a fork.
//!
//! Invariant: it is started by a mem or object hook, in which no lock of libc's is held, where [`super::presence`] allows it.
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
        if self.presence.is_allowed(|| self.now_ns()) {
            word::attention_given();
            self.start_background();
        }
    }

    #[cold]
    #[inline(never)]
    fn start_background(&self) {
        let own = OwnWork::begin();
        self.presence.start(
            || self.now_ns(),
            || sys_thread::start(background_main),
            |thread| self.join(thread),
        );
        drop(own);
    }

    /// Before fork: the background thread ends at a batch boundary, and no lock of ours is left held by a thread that the
    /// child will not have.
    pub(crate) fn before_fork(&self) {
        word::remember_for_child();
        if !self.is_this_process() {
            return; // a child made by a bare `clone` has no background thread that could be joined
        }
        let has_left = self
            .presence
            .send_away(FORK_PATIENCE_NS, |thread| self.join(thread));
        if !has_left {
            file::say(
                "the background thread did not stop in time for a fork: the program goes on without it",
            );
        }
    }

    /// Joins the background thread, and waits until the kernel has forgotten it: it counts in the number of threads until it is
    /// reaped, a moment after whoever joined it was woken.
    fn join(&self, thread: sys_thread::Thread) {
        thread.join();
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
        self.presence.fork_is_over(self.now_ns());
        self.want_background();
    }

    /// Asks the next mem or object hook to start the background thread, if none runs.
    pub(crate) fn want_background(&self) {
        if !self.is_counting() && !heap::is_short() && !self.presence.is_running() {
            word::ask_for_attention();
        }
    }

    pub(super) fn run_background(&self) {
        let interval_ns = u64::from(self.settings.interval_ms) * 1_000_000;
        loop {
            let mut pause_ns = interval_ns;
            if let Some(mut aggregator) = self.aggregator.try_lock() {
                self.pump(&mut aggregator);
                if !self.closing.has_ended() {
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
            if self.presence.attendance.must_end() || self.closing.has_ended() {
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
        self.presence
            .attendance
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
        session.presence.attendance.leave();
    }
    drop(own);
    core::ptr::null_mut()
}
