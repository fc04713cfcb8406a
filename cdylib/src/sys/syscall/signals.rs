//! The calling thread's signals: its mask, and what is pending.

use super::{is_error, raw};

/// A set of signals as the kernel has it: bit n − 1 for signal n.
pub(crate) type SignalSet = u64;

/// One call of `rt_sigprocmask`; the mask before it.
fn change_signal_mask(how: i32, set: SignalSet) -> Option<SignalSet> {
    let mut before: SignalSet = 0;
    // SAFETY: the kernel reads and writes a set each, of the size that is said.
    let result = unsafe {
        raw(
            libc::SYS_rt_sigprocmask,
            [
                how as usize,
                &raw const set as usize,
                &raw mut before as usize,
                size_of::<SignalSet>(),
                0,
                0,
            ],
        )
    };
    (!is_error(result)).then_some(before)
}

/// Blocks signals for this thread, beside those that are; the mask before.
pub(crate) fn block_signals(set: SignalSet) -> Option<SignalSet> {
    change_signal_mask(libc::SIG_BLOCK, set)
}

/// Sets this thread's mask.
pub(crate) fn set_signal_mask(mask: SignalSet) {
    change_signal_mask(libc::SIG_SETMASK, mask);
}

/// Signals that wait for this thread or its process to unblock them.
pub(crate) fn pending_signals() -> SignalSet {
    let mut set: SignalSet = 0;
    // SAFETY: the kernel writes a set, of the size that is said.
    unsafe {
        raw(
            libc::SYS_rt_sigpending,
            [&raw mut set as usize, size_of::<SignalSet>(), 0, 0, 0, 0],
        );
    }
    set
}

/// Takes a pending signal of the set away, if there is one.
pub(crate) fn take_pending_signal(set: SignalSet) {
    let no_time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the kernel reads the set, of the size that is said, and the time.
    unsafe {
        raw(
            libc::SYS_rt_sigtimedwait,
            [
                &raw const set as usize,
                0,
                &raw const no_time as usize,
                size_of::<SignalSet>(),
                0,
                0,
            ],
        );
    }
}
