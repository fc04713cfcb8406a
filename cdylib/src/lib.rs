//! libpytrace.so: preloaded into a Python process, it sees every allocation through CPython's allocator tables and libc's
//! malloc family, and writes what they come to.
//!
//! What is intercepted: [`hooks::malloc`] (libc's family), [`hooks::mapping`] (anonymous mappings), [`hooks::allocators`]
//! (raw, mem, object, arenas), [`hooks::process`] (setlocale, exits, exec). What programs may call: [`api`].
//!
//! The path of an event: `hooks → record → {stack, events} → session → aggregate → output`.
//!
//! Invariant: the traced program never gets worse than slower. No panic, no lock that others hold, no allocation on its
//! heap, no Python call in a hook; `errno` is kept; any trouble stops the recording and passes calls on.

#![cfg_attr(
    test,
    expect(
        dead_code,
        reason = "unit tests export nothing, so what lies behind the exports looks unused"
    )
)]

#[cfg(not(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu")))]
compile_error!(
    "libpytrace is written for x86-64 Linux with glibc: registers, system calls and thread-locals are its own"
);

mod aggregate;
mod api;
mod caller;
mod counts;
mod events;
mod hooks;
mod lifecycle;
#[cfg(all(test, feature = "loom"))]
mod models;
mod output;
mod python;
mod record;
mod session;
mod settings;
mod stack;
mod sync;
mod sys;
mod thread;
mod watch;

/// Runs when the loader has loaded the library, before the program's `main`.
#[cfg(not(test))]
#[ctor::ctor(unsafe)]
fn on_load() {
    lifecycle::on_load();
}

/// Runs when the process ends by `exit` or by returning from `main`.
#[cfg(not(test))]
extern "C" fn on_unload() {
    lifecycle::on_end(pytrace_format::record::Ended::Exit);
}

#[cfg(not(test))]
#[used]
#[unsafe(link_section = ".fini_array")]
static ON_UNLOAD: extern "C" fn() = on_unload;
