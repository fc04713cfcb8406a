//! A background thread of the shim, invisible to the program's signals, and whether it is the last that is left.
//!
//! `pthread_create` allocates and takes libc's locks: only call [`start`] where the program holds none of them (see
//! `session::background`).

use core::ffi::c_void;

use super::{file, syscall};

/// Bytes of the thread's stack: what aggregation and writing need, many times over. The default takes as much of a limited
/// address space as the limit on stacks says.
const STACK_BYTES: usize = 1 << 20;

/// A running thread.
pub(crate) struct Thread(libc::pthread_t);

/// Starts `body` on a new thread with all signals blocked, so that none of the program's is ever delivered there.
/// Returns `None` when the system refuses. `errno` is kept.
pub(crate) fn start(body: extern "C" fn(*mut c_void) -> *mut c_void) -> Option<Thread> {
    // SAFETY: plain libc calls on locals that are initialised by the functions named before they are read.
    unsafe {
        let errno = *libc::__errno_location();
        let mut all: libc::sigset_t = core::mem::zeroed();
        let mut old: libc::sigset_t = core::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut old);
        let mut attributes: libc::pthread_attr_t = core::mem::zeroed();
        libc::pthread_attr_init(&raw mut attributes);
        libc::pthread_attr_setstacksize(&raw mut attributes, STACK_BYTES);
        let mut thread: libc::pthread_t = core::mem::zeroed();
        let failed = libc::pthread_create(
            &raw mut thread,
            &raw const attributes,
            body,
            core::ptr::null_mut(),
        );
        libc::pthread_attr_destroy(&raw mut attributes);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const old, core::ptr::null_mut());
        *libc::__errno_location() = errno;
        (failed == 0).then_some(Thread(thread))
    }
}

impl Thread {
    /// Waits until the thread has ended.
    pub(crate) fn join(self) {
        // SAFETY: the handle is of a thread that was started joinable and is joined once, as `self` is consumed.
        unsafe { libc::pthread_join(self.0, core::ptr::null_mut()) };
    }
}

/// Whether the calling thread is the process's last: the main thread has ended by itself, and so have all others. `pid` is the
/// process's. Cheap while the main thread lives: no file is opened then. Without /proc it is never said.
pub(crate) fn is_last(pid: u32) -> bool {
    if syscall::has_robust_list(pid) {
        return false;
    }
    let status = file::read("/proc/self/stat", 4096).unwrap_or_default();
    is_last_by(&String::from_utf8_lossy(&status))
}

/// The same, by the text of /proc/self/stat: the main thread is counted until the process ends, dead as it is.
fn is_last_by(status: &str) -> bool {
    let Some((_, after_name)) = status.rsplit_once(')') else {
        return false;
    };
    let mut fields = after_name.split_ascii_whitespace();
    let state = fields.next();
    let threads = fields.nth(16);
    (state, threads) == (Some("Z"), Some("2"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_says_how_many_threads_it_has() {
        let status = |state, threads| {
            format!("7 (a) S 9 (b) {state} 1 7 7 0 -1 64 204 0 0 0 10 19 0 0 39 19 {threads} 0 35")
        };
        assert!(is_last_by(&status("Z", 2)));
        assert!(!is_last_by(&status("Z", 3)), "one of the program's lives");
        assert!(!is_last_by(&status("S", 2)), "the main thread lives");
        assert!(!is_last_by(""), "no /proc");
        assert!(
            !is_last(syscall::process_id()),
            "the tests' process has one that waits for this one"
        );
    }
}
