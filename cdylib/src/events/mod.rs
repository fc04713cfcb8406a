//! How an event gets from a hook to the aggregator: 16-byte events, per-thread buffers, whole buffers through a list.
//!
//! Invariant: an event is complete before it is published, and published before the call that caused it goes on (a
//! birth before the program gets the block, a death before the real free). So what happens because of an event is
//! published after it. Hooks write, the aggregator (whoever holds its lock) reads.

pub(crate) mod buffer;
pub(crate) mod event;
pub(crate) mod queue;
pub(crate) mod segment;
pub(crate) mod slot;
pub(crate) mod transport;
