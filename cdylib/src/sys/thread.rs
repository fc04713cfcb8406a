//! A background thread of the shim, invisible to the program's signals.
//!
//! `pthread_create` allocates and takes libc's locks: only call [`start`] where the program holds none of them (see
//! `session::background`).

use core::ffi::c_void;

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
