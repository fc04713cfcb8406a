//! The operating system, as the shim uses it: raw system calls, its own heap, a lock, the clock, the loader.
//!
//! Invariant: nothing here calls a libc function that allocates, takes a lock the program may hold, or sets `errno`, with
//! two exceptions that say so: [`real`] (the dynamic loader, once per symbol) and [`thread`] (`pthread_create`).

pub(crate) mod clock;
pub(crate) mod descriptor;
pub(crate) mod file;
pub(crate) mod futex;
pub(crate) mod heap;
pub(crate) mod lock;
pub(crate) mod memory_map;
pub(crate) mod objects;
pub(crate) mod real;
mod reserve;
mod signals;
pub(crate) mod syscall;
pub(crate) mod thread;
