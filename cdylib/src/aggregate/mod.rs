//! From events to numbers: whoever holds the aggregator's lock takes what the threads have published, puts it in order
//! and applies it.
//!
//! Invariant: nothing here calls libc's allocator, the loader or Python, so any thread may help when the background
//! thread lags. `books` is pure; `merge` alone knows buffers and threads.

pub(crate) mod books;
pub(crate) mod counters;
pub(crate) mod journal;
pub(crate) mod live;
pub(crate) mod merge;
pub(crate) mod peak;
pub(crate) mod pools;
pub(crate) mod sizes;
