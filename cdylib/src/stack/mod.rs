//! Call stacks: read in the hook, interned per process.
//!
//! Invariant: equal stacks have equal nodes. A thread's cache answers by comparing content (every frame's code and
//! instruction), never by assuming that what was true at the last event still is.

pub(crate) mod cache;
mod chain;
pub(crate) mod intern;
pub(crate) mod names;
pub(crate) mod native;
mod proof;
mod recent;
#[cfg(feature = "verify")]
pub(crate) mod verify;
