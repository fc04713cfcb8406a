//! Processes and threads: who there are, waiting for and waking each other.

use super::{is_error, raw};

/// Waits while `*word == expected`, at most `timeout_ns`; returns early on a wake-up or a signal.
pub(crate) fn futex_wait(word: &core::sync::atomic::AtomicU32, expected: u32, timeout_ns: u64) {
    let timeout = libc::timespec {
        tv_sec: (timeout_ns / 1_000_000_000) as i64,
        tv_nsec: (timeout_ns % 1_000_000_000) as i64,
    };
    let operation = (libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG) as usize;
    // SAFETY: the word outlives the call by its borrow; the timeout is a local.
    unsafe {
        raw(
            libc::SYS_futex,
            [
                word.as_ptr() as usize,
                operation,
                expected as usize,
                &raw const timeout as usize,
                0,
                0,
            ],
        );
    }
}

/// Wakes at most `count` waiters of `word`.
pub(crate) fn futex_wake(word: &core::sync::atomic::AtomicU32, count: u32) {
    let operation = (libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG) as usize;
    // SAFETY: waking reads nothing but the address.
    unsafe {
        raw(
            libc::SYS_futex,
            [word.as_ptr() as usize, operation, count as usize, 0, 0, 0],
        );
    }
}

/// The user whose rights the process has.
pub(crate) fn effective_user() -> u32 {
    // SAFETY: no arguments.
    unsafe { raw(libc::SYS_geteuid, [0; 6]) as u32 }
}

/// Process id, asked of the kernel (libc may cache it).
pub(crate) fn process_id() -> u32 {
    // SAFETY: no arguments.
    unsafe { raw(libc::SYS_getpid, [0; 6]) as u32 }
}

/// Parent's process id.
pub(crate) fn parent_process_id() -> u32 {
    // SAFETY: no arguments.
    unsafe { raw(libc::SYS_getppid, [0; 6]) as u32 }
}

/// Kernel id of the calling thread.
pub(crate) fn thread_id() -> u32 {
    // SAFETY: no arguments.
    unsafe { raw(libc::SYS_gettid, [0; 6]) as u32 }
}

/// Whether a thread of this process still exists.
pub(crate) fn thread_exists(pid: u32, tid: u32) -> bool {
    // SAFETY: signal 0 only checks.
    let result = unsafe { raw(libc::SYS_tgkill, [pid as usize, tid as usize, 0, 0, 0, 0]) };
    result != -(libc::ESRCH as isize)
}

/// Whether a thread of this process, or what is left of an ended one, has a list of robust futexes: libc gives each thread one, and
/// the kernel takes it away when the thread ends. True where the kernel does not answer.
pub(crate) fn has_robust_list(tid: u32) -> bool {
    let (mut head, mut length) = (usize::MAX, 0_usize);
    // SAFETY: the kernel writes a pointer and a length to two locals.
    let result = unsafe {
        raw(
            libc::SYS_get_robust_list,
            [
                tid as usize,
                &raw mut head as usize,
                &raw mut length as usize,
                0,
                0,
                0,
            ],
        )
    };
    is_error(result) || head != 0
}

/// Gives up the rest of the calling thread's time slice.
pub(crate) fn yield_processor() {
    // SAFETY: no arguments.
    unsafe { raw(libc::SYS_sched_yield, [0; 6]) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::AtomicU32;

    #[test]
    fn futex_wait_returns_at_once_when_the_word_differs() {
        futex_wait(&AtomicU32::new(1), 0, u64::MAX / 4);
    }

    #[test]
    fn threads_are_seen_while_they_live() {
        assert!(thread_exists(process_id(), thread_id()));
        assert!(!thread_exists(process_id(), i32::MAX as u32));
    }

    #[test]
    fn living_threads_have_a_robust_list() {
        assert!(has_robust_list(thread_id()));
        assert!(has_robust_list(i32::MAX as u32));
    }
}
