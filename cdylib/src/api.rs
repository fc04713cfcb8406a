//! What programs may call: pause, resume, mark, flush (`ctypes.CDLL(None).pytrace_mark(b"…")`).
//!
//! All do nothing in a process that is not traced.

use core::ffi::{CStr, c_char};

use crate::session;
use crate::thread::OwnWork;

/// Longest name of a mark, bytes.
const LONGEST_NAME: usize = 4096;

/// Pauses recording: blocks born from here on are not recorded.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(crate) extern "C" fn pytrace_pause() {
    let own = OwnWork::begin();
    if let Some(session) = session::current() {
        session.pause();
    }
    drop(own);
}

/// Resumes recording.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(crate) extern "C" fn pytrace_resume() {
    let own = OwnWork::begin();
    if let Some(session) = session::current() {
        session.resume();
    }
    drop(own);
}

/// Gives the present moment a name. A null name is empty.
///
/// # Safety
/// `name` is null or a NUL-terminated string.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(crate) unsafe extern "C" fn pytrace_mark(name: *const c_char) {
    let own = OwnWork::begin();
    if let Some(session) = session::current() {
        let name = if name.is_null() {
            &[]
        } else {
            // SAFETY: the caller's promise.
            unsafe { CStr::from_ptr(name) }.to_bytes()
        };
        let name = name.get(..LONGEST_NAME).unwrap_or(name);
        session.mark(String::from_utf8_lossy(name).into_owned());
    }
    drop(own);
}

/// Writes everything recorded so far to the capture, now.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(crate) extern "C" fn pytrace_flush() {
    let own = OwnWork::begin();
    if let Some(session) = session::current() {
        session.flush();
    }
    drop(own);
}
