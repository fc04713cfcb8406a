//! The atomics of the protocols between threads: the hand-over of buffers, the order of segments, the background thread.
//!
//! In the model build (feature `loom`) they are such that every interleaving is tried, and every value that the memory model
//! lets a load return: see `models`. What is not modelled uses `core`'s directly.

#[cfg(not(feature = "loom"))]
pub(crate) use crate::sys::futex::Futex;
#[cfg(feature = "loom")]
pub(crate) use crate::watch::Futex;
#[cfg(not(feature = "loom"))]
pub(crate) use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize};
#[cfg(feature = "loom")]
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize};

pub(crate) use core::sync::atomic::Ordering;
