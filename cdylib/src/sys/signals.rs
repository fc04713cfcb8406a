//! Signals that a write may raise, kept from the program: its exit status must not tell that it was traced.
//!
//! A closed pipe raises SIGPIPE and a limit on the size of files SIGXFSZ, both on the writing thread alone and by default deadly.
//! CPython ignores them; programs that restore the default (`signal(SIGPIPE, SIG_DFL)`), and those that embed it, do not.
//!
//! Invariant: the thread's mask, and signals that were pending before, are as they were. Entered by any thread.

use super::syscall::{self, SignalSet};

const RAISED_BY_WRITES: SignalSet = bit(libc::SIGPIPE) | bit(libc::SIGXFSZ);

const fn bit(signal: i32) -> SignalSet {
    1 << (signal - 1)
}

/// While it lives, writes of this thread raise nothing.
pub(super) struct QuietWrites {
    mask_before: Option<SignalSet>,
    pending_before: SignalSet,
}

impl QuietWrites {
    pub(super) fn begin() -> QuietWrites {
        QuietWrites {
            mask_before: syscall::block_signals(RAISED_BY_WRITES),
            pending_before: syscall::pending_signals(),
        }
    }
}

impl Drop for QuietWrites {
    fn drop(&mut self) {
        let raised = syscall::pending_signals() & RAISED_BY_WRITES & !self.pending_before;
        for signal in [libc::SIGPIPE, libc::SIGXFSZ] {
            if raised & bit(signal) != 0 {
                syscall::take_pending_signal(bit(signal));
            }
        }
        if let Some(mask) = self.mask_before {
            syscall::set_signal_mask(mask);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_pipe_raises_nothing_and_the_mask_stays() {
        let mut ends = [0; 2];
        // SAFETY: two descriptors are written into the array; the handler is the default one, which ends the process.
        unsafe {
            assert_eq!(libc::pipe(ends.as_mut_ptr()), 0);
            libc::close(ends[0]);
            libc::signal(libc::SIGPIPE, libc::SIG_DFL);
        }
        let quiet = QuietWrites::begin();
        assert_eq!(syscall::write(ends[1], b"x"), -(libc::EPIPE as isize));
        assert_ne!(syscall::pending_signals() & bit(libc::SIGPIPE), 0);
        drop(quiet);
        assert_eq!(syscall::pending_signals() & RAISED_BY_WRITES, 0);
        let mask = syscall::block_signals(0);
        assert_eq!(mask.map(|mask| mask & RAISED_BY_WRITES), Some(0));
        syscall::close(ends[1]);
    }
}
