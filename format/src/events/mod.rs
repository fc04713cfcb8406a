//! Events: what each call did, in order, with its thread, its time and its site (mode `events`).
//!
//! They are in frames of their own (content 1), between those of records, so that who wants the counters alone need not unpack them. A frame is
//! a sequence of steps. A step begins with a byte: its kind in the low three bits, flags above; numbers are varints, *signed* ones zigzag-coded
//! differences that wrap, as in runs.
//!
//! | kind | step | numbers that follow |
//! |---|---|---|
//! | 0 | a block was allocated | those flagged, in this order: 8: signed (site − site of the last allocation); 16: signed (size − the site's last size); 32: signed (slack − the site's last slack); 64: signed (address − the site's last address) / 8; without 64 the address is the site's last one, or with 128 that of the last free |
//! | 1 | a block is freed | bits 3–5: the domain asked; 64: from within the allocator; without 128, signed (address − address of the last free) / 8, with 128 it is the address of the last allocation; in the domain mmap also the bytes unmapped |
//! | 2 | a block is about to be resized | as for 1 |
//! | 3 | and was: it is here now | as for 0 |
//! | 4 | it could not be resized: it stays | none |
//! | 5 | what follows was done by another thread | signed (kernel thread id − the last one) |
//! | 6 | the thread's clock | signed (nanoseconds since the start − the last ones) |
//! | 7 | bits 3–5: 0 pymalloc mapped an arena, 1 returned one (both: signed (address − the last arena's) / 8, bytes); 2 the program ended, and what the interpreter's tear-down did is left out; 3 recording was paused, 4 resumed | |
//!
//! Before the first step everything "last" is 0. A site is a row of the table of sites, which may be written after the events that name it. `served = size + slack`.
//!
//! Order: a block's events are in their true order, whichever threads they are of; see the shim's `events::segment`. A thread's clock is read again when it is
//! about 2 µs old: events between two readings have the earlier one's time. Where steps of several threads alternate, time can go back by as much.

mod decode;
mod encode;
mod state;
#[cfg(test)]
mod tests;

pub use decode::EventDecoder;
pub use encode::EventEncoder;

use crate::ids::SiteId;
use crate::record::Domain;

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// When, nanoseconds since the start.
    pub at_ns: u64,
    /// Kernel id of the thread.
    pub thread: u32,
    /// What.
    pub change: Change,
}

/// What an event did. Addresses are multiples of 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A block was born.
    Allocated(Block),
    /// A block is freed.
    Freed(Freed),
    /// A block is about to be resized.
    ResizeBegun(Freed),
    /// The block that its thread was about to resize lives on here, with this size.
    Resized(Block),
    /// It could not be resized, and lives on as it was.
    ResizeFailed,
    /// pymalloc mapped an arena.
    ArenaMapped(Arena),
    /// pymalloc returned an arena.
    ArenaUnmapped(Arena),
    /// The program ended.
    Ended,
    /// Recording was paused: blocks may be born unseen from here on.
    Paused,
    /// Recording was resumed.
    Resumed,
}

/// A block that was given out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Block {
    /// The site, which has the domain.
    pub site: SiteId,
    /// Address.
    pub address: u64,
    /// Bytes asked for.
    pub size_bytes: u64,
    /// Bytes set aside.
    pub served_bytes: u64,
}

/// A block that is given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freed {
    /// The API that was asked.
    pub domain: Domain,
    /// Address.
    pub address: u64,
    /// Bytes unmapped, in the domain `mmap`; 0 in the others, where the block tells.
    pub unmapped_bytes: u64,
    /// Whether the call came from within the allocator. Its block's birth may not have been seen.
    pub is_inner: bool,
}

/// One of pymalloc's arenas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arena {
    /// Address.
    pub address: u64,
    /// Bytes.
    pub bytes: u64,
}

mod step {
    pub(super) const ALLOCATED: u8 = 0;
    pub(super) const FREED: u8 = 1;
    pub(super) const RESIZE_BEGUN: u8 = 2;
    pub(super) const RESIZED: u8 = 3;
    pub(super) const RESIZE_FAILED: u8 = 4;
    pub(super) const THREAD: u8 = 5;
    pub(super) const CLOCK: u8 = 6;
    pub(super) const CONTROL: u8 = 7;
    /// The bits of the kind.
    pub(super) const KIND: u8 = 7;
}

/// Flags of blocks given out.
mod given {
    pub(super) const SITE: u8 = 1 << 3;
    pub(super) const SIZE: u8 = 1 << 4;
    pub(super) const SLACK: u8 = 1 << 5;
    pub(super) const ADDRESS: u8 = 1 << 6;
    pub(super) const WHERE_LAST_FREED: u8 = 1 << 7;
}

/// Flags of blocks given back.
mod freed {
    pub(super) const DOMAIN_SHIFT: u32 = 3;
    pub(super) const INNER: u8 = 1 << 6;
    pub(super) const WHERE_LAST_GIVEN: u8 = 1 << 7;
}

/// What a control step says, from bit 3 on.
mod control {
    pub(super) const ARENA_MAPPED: u8 = 0;
    pub(super) const ARENA_UNMAPPED: u8 = 1;
    pub(super) const ENDED: u8 = 2;
    pub(super) const PAUSED: u8 = 3;
    pub(super) const RESUMED: u8 = 4;
    pub(super) const SHIFT: u32 = 3;
}
