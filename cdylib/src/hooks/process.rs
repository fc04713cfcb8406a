//! The calls that begin, end or replace a Python process.

use core::ffi::{c_char, c_int, c_void};

use pytrace_format::record::Ended;

use super::entries;
use crate::caller::Caller;
use crate::lifecycle;
use crate::sys::real;

entries! {
    #[cfg_attr(not(test), unsafe(no_mangle))]
    setlocale / 2 => on_setlocale;
}

unsafe extern "C" fn on_setlocale(
    category: c_int,
    locale: *const c_char,
    caller: Caller,
) -> *mut c_char {
    // SAFETY: the original, with the caller's arguments.
    let result = unsafe { real::setlocale::get()(category, locale) };
    lifecycle::on_setlocale(caller.return_address());
    result
}

/// `dlclose`: addresses of code may mean something else after it.
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(crate) unsafe extern "C" fn dlclose(handle: *mut c_void) -> c_int {
    // SAFETY: the original, with the caller's argument.
    lifecycle::around_unloading(|| unsafe { real::dlclose::get()(handle) })
}

/// `unshare`: the kernel refuses some namespaces to processes with several threads, so ours is sent away first.
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(crate) unsafe extern "C" fn unshare(flags: c_int) -> c_int {
    // SAFETY: the original, with the caller's argument.
    lifecycle::without_own_thread(|| unsafe { real::unshare::get()(flags) })
}

/// `setns`: as `unshare`.
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(crate) unsafe extern "C" fn setns(fd: c_int, kind: c_int) -> c_int {
    // SAFETY: the original, with the caller's arguments.
    lifecycle::without_own_thread(|| unsafe { real::setns::get()(fd, kind) })
}

/// `_exit`.
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(crate) unsafe extern "C" fn _exit(status: c_int) -> ! {
    lifecycle::on_end(Ended::Exit);
    // SAFETY: the original, with the caller's argument.
    unsafe { real::_exit::get()(status) };
    loop {
        core::hint::spin_loop();
    }
}

/// `_Exit`: the same.
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
#[allow(non_snake_case)] // libc's name
pub(crate) unsafe extern "C" fn _Exit(status: c_int) -> ! {
    // SAFETY: the same contract.
    unsafe { _exit(status) }
}

/// `abort`.
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(crate) unsafe extern "C" fn abort() -> ! {
    lifecycle::on_end(Ended::Signal);
    // SAFETY: the original.
    unsafe { real::abort::get()() };
    loop {
        core::hint::spin_loop();
    }
}

/// Signals whose default action is not to end the process.
const HARMLESS: [c_int; 8] = [
    0,
    libc::SIGCHLD,
    libc::SIGCONT,
    libc::SIGURG,
    libc::SIGWINCH,
    libc::SIGSTOP,
    libc::SIGTSTP,
    libc::SIGTTIN,
];

/// Whether a signal to this process would end it: nobody handles it.
fn is_fatal(signal: c_int) -> bool {
    if HARMLESS.contains(&signal) || signal == libc::SIGTTOU {
        return false;
    }
    // SAFETY: `sigset_t` is plain data, for which all zeroes is a value; with a null new mask the call only reads.
    let is_blocked = unsafe {
        let mut blocked: libc::sigset_t = core::mem::zeroed();
        libc::pthread_sigmask(libc::SIG_BLOCK, core::ptr::null(), &raw mut blocked) == 0
            && libc::sigismember(&raw const blocked, signal) == 1
    };
    if is_blocked {
        return false;
    }
    // SAFETY: `sigaction` is plain data, for which all zeroes is a value; with a null new action the call only reads.
    unsafe {
        let mut action: libc::sigaction = core::mem::zeroed();
        libc::sigaction(signal, core::ptr::null(), &raw mut action) == 0
            && action.sa_sigaction == libc::SIG_DFL
    }
}

/// `kill`: CPython ends itself with it after an unhandled `KeyboardInterrupt`.
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(crate) unsafe extern "C" fn kill(pid: libc::pid_t, signal: c_int) -> c_int {
    // SAFETY: getpid has no preconditions.
    if pid == unsafe { libc::getpid() } && is_fatal(signal) {
        lifecycle::on_end(Ended::Signal);
    }
    // SAFETY: the original, with the caller's arguments.
    unsafe { real::kill::get()(pid, signal) }
}

/// `execv`.
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(crate) unsafe extern "C" fn execv(
    path: *const c_char,
    arguments: *const *const c_char,
) -> c_int {
    lifecycle::on_exec();
    // SAFETY: the original, with the caller's arguments.
    unsafe { real::execv::get()(path, arguments) }
}

/// `execve`.
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(crate) unsafe extern "C" fn execve(
    path: *const c_char,
    arguments: *const *const c_char,
    environment: *const *const c_char,
) -> c_int {
    lifecycle::on_exec();
    // SAFETY: the original, with the caller's arguments.
    unsafe { real::execve::get()(path, arguments, environment) }
}

/// `fexecve`.
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(crate) unsafe extern "C" fn fexecve(
    fd: c_int,
    arguments: *const *const c_char,
    environment: *const *const c_char,
) -> c_int {
    lifecycle::on_exec();
    // SAFETY: the original, with the caller's arguments.
    unsafe { real::fexecve::get()(fd, arguments, environment) }
}
