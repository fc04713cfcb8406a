//! A thread's last chain of Python frames, verified at every event: the *verified cache*.
//!
//! The chain is kept as frames, each with its position (code and instruction) and, above an entry that stands for nothing,
//! root first. An event finds the running frame in it (mostly at the top) and then checks, leaf to root, that each frame's
//! caller is the one remembered and stands where it stood. The addresses to check come from the chain, not from the load
//! before, so the processor overlaps the checks. A remembered frame is read only after the link to it was seen to hold, so
//! that it is live; but frames on the data stack (3.11+), whose memory is unmapped through a hook of ours, are compared
//! all at once: dead ones can be read, and do not compare equal. Equal content means an equal stack. Where only positions
//! moved, nodes are looked up anew from there; where a link broke, the chain is read again.
//!
//! Invariant: entry 0 has no frame and node 0, the empty stack. Entered by the owner thread alone, in allocation hooks.

use core::arch::x86_64::{
    _mm_and_si128, _mm_cmpeq_epi32, _mm_loadu_si128, _mm_movemask_epi8, _mm_set1_epi8,
};

use crate::python::Python;
use crate::python::layout::{Activation, Layout};
use crate::sys::memory_map::Region;

/// A frame of the last chain. The order of the fields matters: see `plain_hold`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Entry {
    /// Code and instruction, as [`Layout::position`] packs them.
    pub(super) position: u64,
    pub(super) frame: *const u8,
}

/// The entry below the outermost frame.
const NOTHING: Entry = Entry {
    position: 0,
    frame: core::ptr::null(),
};

/// A node that was not asked for yet.
pub(super) const UNKNOWN: u32 = u32::MAX;

/// How many frames were called, or have returned, since the last event, before the whole chain is read again.
const MOST_CALLS: usize = 4;
const MOST_RETURNS: usize = 12;

/// The chain. Its vectors are as long as each other.
pub(super) struct Chain {
    entries: Vec<Entry>,
    /// The node of each entry in the stack tree.
    nodes: Vec<u32>,
    /// Whether each entry is a frame on a data stack, which can be read even when it is dead.
    plain: Vec<bool>,
    /// The highest entry that is not plain.
    guarded: usize,
    /// The entries at which the interpreter's loop was entered, outermost first, if native frames are wanted.
    boundaries: Vec<u32>,
    /// The stack of shims that count as such entries; empty: native frames are not wanted.
    stack: Option<Region>,
    /// Frames that are read anew, leaf first.
    fresh: Vec<Entry>,
}

impl Chain {
    pub(super) const fn new() -> Chain {
        Chain {
            entries: Vec::new(),
            nodes: Vec::new(),
            plain: Vec::new(),
            guarded: 0,
            boundaries: Vec::new(),
            stack: None,
            fresh: Vec::new(),
        }
    }

    /// Forgets all frames.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.nodes.clear();
        self.plain.clear();
        self.guarded = 0;
        self.boundaries.clear();
    }

    /// From now on notes at which entries the interpreter's loop was entered, shims lying on this stack.
    ///
    /// # Safety
    /// All entries are live.
    pub(super) unsafe fn note_boundaries_on(&mut self, python: &Python, stack: Region) {
        self.stack = Some(stack);
        if !matches!(python.layout().activation, Activation::EntryFlag { .. }) {
            // SAFETY: the caller's promise.
            return unsafe { self.note_boundaries(python, 0) };
        }
        // A generator into whose own generator an exception is being thrown is in the chain, flagged, but nobody runs it. So
        // what counts is where the outer activations stand.
        self.boundaries.clear();
        let mut outer = python.c_frames().skip(1).map(|(_, frame)| frame).peekable();
        for at in (1..self.entries.len()).rev() {
            let outside = self
                .entries
                .get(at - 1)
                .map_or(core::ptr::null(), |entry| entry.frame);
            if at == 1 || outer.next_if_eq(&outside).is_some() {
                self.boundaries.push(at as u32);
            }
        }
        self.boundaries.reverse();
    }

    /// The entry of the leaf: the last one.
    #[inline(always)]
    pub(super) fn leaf(&self) -> usize {
        self.entries.len() - 1
    }

    pub(super) fn entry(&self, at: usize) -> Option<Entry> {
        self.entries.get(at).copied()
    }

    /// The node of the entry outside of the leaf.
    #[inline(always)]
    pub(super) fn node_outside_leaf(&self) -> u32 {
        // SAFETY: after `verify` there is a leaf, and an entry below it.
        unsafe { *self.nodes.get_unchecked(self.nodes.len() - 2) }
    }

    /// The highest entry outside of the leaf whose node is known, and that node.
    pub(super) fn highest_known(&self) -> (usize, u32) {
        let callers = self.nodes.get(..self.leaf()).unwrap_or(&[]);
        let known = callers.iter().rposition(|&node| node != UNKNOWN);
        known.map_or((0, 0), |at| {
            (at, callers.get(at).copied().unwrap_or_default())
        })
    }

    pub(super) fn set_node(&mut self, at: usize, node: u32) {
        if let Some(place) = self.nodes.get_mut(at) {
            *place = node;
        }
    }

    /// Forgets the nodes from an entry on.
    #[inline(never)]
    pub(super) fn forget_nodes_from(&mut self, lowest: usize) {
        if let Some(nodes) = self.nodes.get_mut(lowest.max(1)..) {
            nodes.fill(UNKNOWN);
        }
    }

    /// The entries at which the interpreter's loop was entered, outermost first.
    #[inline(always)]
    pub(super) fn boundaries(&self) -> &[u32] {
        &self.boundaries
    }

    /// Makes the chain that begins at `leaf` the last one.
    ///
    /// # Safety
    /// `leaf` is a live frame of this thread.
    #[inline(always)]
    pub(super) unsafe fn verify(&mut self, python: &Python, layout: &Layout, leaf: *const u8) {
        if self.entries.last().is_none_or(|top| top.frame != leaf) {
            // SAFETY: the caller's promise.
            unsafe { self.align(python, leaf) };
        }
        let bottom = self.entries.as_mut_ptr();
        // SAFETY: `align` made the leaf the last entry, above the first.
        let mut entry = unsafe { bottom.add(self.leaf()) };
        // The lowest entry whose position moved: its node and those above it must be looked up anew.
        let mut lowest_moved = core::ptr::null_mut();
        // The leaf's caller often stands elsewhere in a loop; those below it seldom do, so they are tried at once.
        let mut tried = !layout.has_header();
        loop {
            // SAFETY: `entry` is above the first, and its frame is live: the leaf, or what the link above led to.
            unsafe {
                let previous = layout.previous((*entry).frame);
                entry = entry.sub(1);
                if previous != (*entry).frame {
                    return self.read_again(python, leaf);
                }
                if entry == bottom {
                    break;
                }
                let position = layout.position((*entry).frame);
                if position != (*entry).position {
                    (*entry).position = position;
                    lowest_moved = entry;
                }
                if !tried {
                    tried = true;
                    if self.plain_hold(layout, entry) {
                        entry = bottom.add(self.guarded);
                        if entry == bottom {
                            break;
                        }
                        // The link to it holds, and it has not been looked at.
                        entry = entry.add(1);
                    }
                }
            }
        }
        if !lowest_moved.is_null() {
            // SAFETY: both point into the vector.
            let lowest = unsafe { lowest_moved.offset_from(bottom) } as usize;
            self.forget_nodes_from(lowest);
        }
    }

    /// Whether the entry at `highest` leads to the next one, and those below it, down to the highest one that is not plain,
    /// stand where they stood and lead on. False also when there is none to try.
    ///
    /// # Safety
    /// `highest` is an entry's and its frame is live.
    #[inline(always)]
    unsafe fn plain_hold(&self, layout: &Layout, highest: *const Entry) -> bool {
        // SAFETY: all entries down to `guarded` exist. Frames above it lie in memory that stays mapped until
        // `note_frames_unmapped`, which the event has looked at: they may be dead, but they can be read.
        unsafe {
            let guarded = self.entries.as_ptr().add(self.guarded);
            if highest <= guarded {
                return false;
            }
            let mut equal = [_mm_set1_epi8(-1); 2];
            let mut entry = highest;
            let compare = |entry: *const Entry| {
                let seen = layout.header((*entry).frame);
                // The frame of the entry below, and the position of this one, lie side by side.
                let expected = _mm_loadu_si128((&raw const (*entry.sub(1)).frame).cast());
                _mm_cmpeq_epi32(seen, expected)
            };
            while entry.offset_from(guarded) >= 4 {
                equal[0] = _mm_and_si128(equal[0], compare(entry));
                equal[1] = _mm_and_si128(equal[1], compare(entry.sub(1)));
                equal[0] = _mm_and_si128(equal[0], compare(entry.sub(2)));
                equal[1] = _mm_and_si128(equal[1], compare(entry.sub(3)));
                entry = entry.sub(4);
            }
            while entry > guarded {
                equal[0] = _mm_and_si128(equal[0], compare(entry));
                entry = entry.sub(1);
            }
            _mm_movemask_epi8(_mm_and_si128(equal[0], equal[1])) == 0xffff
        }
    }

    /// Whether the chain that begins at `leaf` is the last one, and all frames outside of the leaf stand where they stood. Only
    /// remembered frames are read, whatever `leaf` is.
    pub(super) fn stands(&self, layout: &Layout, leaf: *const u8) -> bool {
        let bottom = self.entries.as_ptr();
        if self.entries.last().is_none_or(|top| top.frame != leaf) {
            return false;
        }
        // SAFETY: the entry of a leaf lies above the first. Remembered frames lie where frames lay: on the data stack, which
        // stays mapped until `note_frames_unmapped`; or in a generator or on the C stack, reached by a link that holds.
        unsafe {
            let mut entry = bottom.add(self.leaf());
            if layout.previous(leaf) != (*entry.sub(1)).frame {
                return false;
            }
            entry = entry.sub(1);
            if layout.has_header() && entry != bottom && self.plain_hold(layout, entry) {
                entry = bottom.add(self.guarded);
            }
            while entry != bottom {
                let frame = (*entry).frame;
                if layout.previous(frame) != (*entry.sub(1)).frame
                    || layout.position(frame) != (*entry).position
                {
                    return false;
                }
                entry = entry.sub(1);
            }
        }
        true
    }

    /// Makes `leaf` the top entry: a frame that was called or returned to since the last event.
    ///
    /// # Safety
    /// As for [`Chain::verify`].
    #[inline(never)]
    unsafe fn align(&mut self, python: &Python, leaf: *const u8) {
        let layout = python.layout();
        self.fresh.clear();
        let mut frame = leaf;
        while !frame.is_null() && self.fresh.len() < MOST_CALLS {
            let lowest = self.entries.len().saturating_sub(MOST_RETURNS);
            let found = self
                .entries
                .get(lowest..)
                .unwrap_or(&[])
                .iter()
                .rposition(|entry| entry.frame == frame);
            if let Some(found) = found {
                self.keep(lowest + found + 1);
                self.refresh_top(layout);
                // SAFETY: they were read just now.
                return unsafe { self.append_fresh(python, self.fresh.len()) };
            }
            // SAFETY: `frame` is the leaf or a caller of it, all live.
            unsafe {
                let position = layout.position(frame);
                self.fresh.push(Entry { position, frame });
                frame = layout.previous(frame);
            }
        }
        // SAFETY: as above.
        unsafe {
            self.read_chain(layout, frame);
            self.keep(0);
            self.append_fresh(python, self.fresh.len());
        }
    }

    /// Keeps the lowest entries, one at least.
    fn keep(&mut self, count: usize) {
        if self.entries.is_empty() {
            self.entries.push(NOTHING);
            self.nodes.push(0);
            self.plain.push(false);
        }
        let count = count.max(1);
        self.entries.truncate(count);
        self.nodes.truncate(count);
        self.plain.truncate(count);
        if self.guarded >= count {
            let guarded = self.plain.iter().rposition(|&plain| !plain);
            self.guarded = guarded.unwrap_or(0);
        }
        let left = self.boundaries.partition_point(|&at| (at as usize) < count);
        self.boundaries.truncate(left);
    }

    /// Notes where the top entry stands now: it ran since it was last seen. It is live.
    fn refresh_top(&mut self, layout: &Layout) {
        let Some(top) = self.entries.last_mut() else {
            return;
        };
        // SAFETY: a frame of the running chain, which was just seen to be this entry's.
        let position = unsafe { layout.position(top.frame) };
        if position != top.position {
            top.position = position;
            self.forget_nodes_from(self.leaf());
        }
    }

    /// Puts the innermost `count` of the fresh frames on top.
    ///
    /// # Safety
    /// They are live frames of this thread.
    unsafe fn append_fresh(&mut self, python: &Python, count: usize) {
        let layout = python.layout();
        let first = self.entries.len();
        for &entry in self.fresh.iter().take(count).rev() {
            // SAFETY: the caller's promise.
            let plain = unsafe { layout.is_on_data_stack(entry.frame) };
            if !plain {
                self.guarded = self.entries.len();
            }
            self.entries.push(entry);
            self.nodes.push(UNKNOWN);
            self.plain.push(plain);
        }
        // SAFETY: the caller's promise.
        unsafe { self.note_boundaries(python, first) };
    }

    /// Finds the boundaries among the entries from `first` on.
    ///
    /// # Safety
    /// Those entries are live frames of this thread.
    unsafe fn note_boundaries(&mut self, python: &Python, first: usize) {
        let Some(stack) = self.stack else {
            return;
        };
        let first = first.max(1);
        let lower = self.boundaries.partition_point(|&at| (at as usize) < first);
        self.boundaries.truncate(lower);
        for (at, entry) in self.entries.iter().enumerate().skip(first) {
            // SAFETY: the caller's promise.
            if unsafe { python.layout().begins_activation(entry.frame, stack) } {
                self.boundaries.push(at as u32);
            }
        }
    }

    /// Adds the chain from `frame` to the root to the fresh frames.
    ///
    /// # Safety
    /// `frame` is null or a live frame of this thread.
    unsafe fn read_chain(&mut self, layout: &Layout, mut frame: *const u8) {
        while !frame.is_null() {
            // SAFETY: a live frame; its `previous` is null or another.
            unsafe {
                let position = layout.position(frame);
                self.fresh.push(Entry { position, frame });
                frame = layout.previous(frame);
            }
        }
    }

    /// Reads the whole chain anew and keeps what agrees from the root on.
    ///
    /// # Safety
    /// As for [`Chain::verify`].
    #[cold]
    #[inline(never)]
    unsafe fn read_again(&mut self, python: &Python, leaf: *const u8) {
        self.fresh.clear();
        // SAFETY: the caller's promise.
        unsafe { self.read_chain(python.layout(), leaf) };
        let agree = self
            .entries
            .iter()
            .skip(1)
            .zip(self.fresh.iter().rev())
            .take_while(|(last, fresh)| {
                last.frame == fresh.frame && last.position == fresh.position
            })
            .count();
        self.keep(agree + 1);
        // SAFETY: the chain was read just now.
        unsafe { self.append_fresh(python, self.fresh.len() - agree) };
    }
}
