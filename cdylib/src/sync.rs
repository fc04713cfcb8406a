//! The atomics of the protocols between threads: the hand-over of buffers, the order of segments, the background thread.
//!
//! In the model build (feature `loom`) they are such that every interleaving is tried, and every value that the memory model
//! lets a load return: see `models`. What is not modelled uses `core`'s directly. The lock is there a second time then, over a
//! word of loom's: the first is that of the heap, which serves loom itself.

#[cfg(not(feature = "loom"))]
pub(crate) use crate::sys::futex::Futex;
#[cfg(not(feature = "loom"))]
pub(crate) use crate::sys::lock::Lock;
#[cfg(feature = "loom")]
pub(crate) use crate::watch::Futex;
#[cfg(not(feature = "loom"))]
pub(crate) use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize};
#[cfg(feature = "loom")]
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize};

pub(crate) use core::sync::atomic::Ordering;

#[cfg(feature = "loom")]
pub(crate) use modelled::Lock;

#[cfg(feature = "loom")]
#[allow(
    clippy::duplicate_mod,
    reason = "the same source over another word is what is meant"
)]
#[path = "sys/lock.rs"]
mod modelled;

/// What the second lock finds around it.
#[cfg(feature = "loom")]
use {crate::sys::clock, crate::watch as futex};
