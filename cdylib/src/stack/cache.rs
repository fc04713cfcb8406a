//! A thread's last stack and its recent call sites, so that most events intern nothing.
//!
//! The *verified cache*: the last stack is kept as frames (address, position), root first, each with its node of the
//! stack tree. An event finds the running frame in it (mostly at the top) and then checks, leaf to root, that each
//! frame's caller is the one remembered and stands where it stood. The addresses come from the cache, not from the load
//! before, so the processor overlaps the checks; yet a remembered frame is read only after the link to it was seen to
//! hold, so nothing but live frames is ever read, whatever happened since. Equal content means an equal stack. Where
//! only positions moved, nodes are looked up anew from there; where a link broke, the chain is read again.
//!
//! Entered by the owner thread alone, in allocation hooks (never in a free: greenlet frees memory after it swapped the C
//! stack under CPython's frame chain).

use core::sync::atomic::{AtomicU64, Ordering};

use pytrace_format::record::Domain;

use super::intern::{self, Asker, NO_FRAMES};
use super::native::{NativeCache, Return};
use crate::caller::Caller;
use crate::python::Python;
use crate::python::frame::Shape;
use crate::python::layout::{Activation, Layout};

/// How often a code object that was interned has died. A thread whose caches are older drops them: addresses of code
/// and instructions may mean something else now.
static CODE_DEATHS: AtomicU64 = AtomicU64::new(0);

/// Notes that an interned code object is about to be freed.
pub(crate) fn note_code_death() {
    // Release pairs with the Acquire in `site`: a thread that runs code at a reused address got there after this.
    CODE_DEATHS.fetch_add(1, Ordering::Release);
}

/// A frame of the last stack.
#[derive(Clone, Copy)]
struct Entry {
    frame: *const u8,
    /// Code and instruction, as [`Layout::position`] packs them.
    position: u64,
}

/// A node that was not asked for yet.
const UNKNOWN: u32 = u32::MAX;

/// How many frames were called, or have returned, since the last event, before the whole chain is read again.
const MOST_CALLS: usize = 4;
const MOST_RETURNS: usize = 12;

/// Recent call sites and recent children of nodes: direct-mapped, powers of two.
const RECENT_SITES: usize = 512;
const RECENT_CHILDREN: usize = 512;

/// What tells a call site within a thread: the caller's node and the domain, the leaf's position, the native frames that asked
/// (an address or a segment's number).
#[derive(Clone, Copy)]
struct RecentSite {
    position: u64,
    asker: usize,
    /// Node of the leaf's caller, and the domain + 1 in the upper four bits; 0 is an empty entry.
    parent_and_domain: u32,
    site: u32,
}

/// The node of a frame under its caller's node; or, with [`SEGMENT`] in `parent`, of native frames.
#[derive(Clone, Copy)]
struct RecentChild {
    position: u64,
    parent: u32,
    node: u32,
}

/// Marks a parent under which a segment of native frames was looked up.
const SEGMENT: u32 = 1 << 31;
const DOMAIN_SHIFT: u32 = 28;
const EMPTY_SITE: RecentSite = RecentSite {
    position: 0,
    asker: 0,
    parent_and_domain: 0,
    site: 0,
};
const EMPTY_CHILD: RecentChild = RecentChild {
    position: 0,
    parent: UNKNOWN,
    node: 0,
};

/// A thread's caches.
pub(crate) struct StackCache {
    deaths_seen: u64,
    /// The last stack, root first; `nodes` has the same length.
    entries: Vec<Entry>,
    nodes: Vec<u32>,
    /// Frames that are read anew, leaf first.
    fresh: Vec<Entry>,
    /// The entries at which the interpreter's loop was entered, root first, if native frames are wanted.
    boundaries: Vec<u32>,
    native: Option<Box<NativeCache>>,
    unloads_seen: u32,
    sites: [RecentSite; RECENT_SITES],
    children: [RecentChild; RECENT_CHILDREN],
}

/// Spreads a key over a table of `size` entries, a power of two.
#[inline(always)]
fn place_in(size: usize, key: u64) -> usize {
    let mixed = key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> (64 - size.trailing_zeros())) as usize & (size - 1)
}

impl StackCache {
    pub(crate) const fn new() -> Self {
        StackCache {
            deaths_seen: 0,
            entries: Vec::new(),
            nodes: Vec::new(),
            fresh: Vec::new(),
            boundaries: Vec::new(),
            native: None,
            unloads_seen: 0,
            sites: [EMPTY_SITE; RECENT_SITES],
            children: [EMPTY_CHILD; RECENT_CHILDREN],
        }
    }

    /// Forgets everything, for a new owner.
    pub(crate) fn forget_owner(&mut self) {
        self.forget_code();
        self.native = None;
    }

    /// A code object died, or native code was unloaded: addresses may mean something else now.
    #[cold]
    fn forget_code(&mut self) {
        self.keep(0);
        self.sites = [EMPTY_SITE; RECENT_SITES];
        self.children = [EMPTY_CHILD; RECENT_CHILDREN];
        let unloads = intern::unloads();
        if let Some(native) = self.native.as_mut()
            && self.unloads_seen != unloads
        {
            native.clear();
        }
        self.unloads_seen = unloads;
    }

    /// The call site of an allocation: the Python stack that begins at `running` (null: none), the native frames that asked
    /// (`FULL`: all of them; else the caller's return address, of which `caller_mask` is kept), the domain. `depth` limits
    /// the Python frames, 0 = all.
    ///
    /// # Safety
    /// `running` is null or the running frame of this thread, and `caller` is that of a hook which has not returned.
    #[inline(always)]
    pub(crate) unsafe fn site<S: Shape, const FULL: bool>(
        &mut self,
        python: &Python,
        running: *const u8,
        caller: Caller,
        caller_mask: usize,
        domain: Domain,
        depth: usize,
    ) -> u32 {
        let layout = S::layout(python);
        let deaths = CODE_DEATHS.load(Ordering::Acquire);
        if deaths != self.deaths_seen {
            self.forget_code();
            self.deaths_seen = deaths;
        }
        let mut frame = running;
        // SAFETY: a live frame of this thread; its `previous` is null or another.
        unsafe {
            while !frame.is_null() && layout.is_shim(frame) {
                frame = layout.previous(frame);
            }
        }
        if frame.is_null() {
            let asker = if FULL {
                // SAFETY: the caller's promise.
                unsafe { self.path(python, running, frame, caller, 0) }.0 as usize
            } else {
                caller.return_address() & caller_mask
            };
            return self.recent_site::<FULL>(UNKNOWN, 0, asker, domain, |asker| {
                intern::site_without_python(asker, domain)
            });
        }
        // SAFETY: as above.
        let position = unsafe { layout.position(frame) };
        let (parent, asker);
        if FULL {
            // SAFETY: as above.
            unsafe {
                self.verify(python, layout, frame);
                let (segment, inner) = self.path(python, running, frame, caller, position);
                self.verify_outside(python, running, frame, caller, inner);
                parent = match depth {
                    0 => self.outside_node::<FULL>(python),
                    depth => self.limited_node(python, depth),
                };
                asker = segment as usize;
            }
        } else {
            // SAFETY: as above.
            unsafe {
                parent = match depth {
                    0 => {
                        self.verify(python, layout, frame);
                        self.outside_node::<FULL>(python)
                    }
                    depth => self.walk_limited(python, frame, depth),
                };
            }
            asker = caller.return_address() & caller_mask;
        }
        self.recent_site::<FULL>(parent, position, asker, domain, |asker| {
            // SAFETY: as above.
            let place = unsafe { layout.place(frame) };
            intern::site(python, parent, place, asker, domain)
        })
    }

    /// The native frames between the hook and the interpreter's loop.
    ///
    /// # Safety
    /// As for [`StackCache::site`]; `frame` is the first one from `running` on that is no shim, or null.
    #[inline(always)]
    unsafe fn path(
        &mut self,
        python: &Python,
        running: *const u8,
        frame: *const u8,
        caller: Caller,
        position: u64,
    ) -> (u32, Return) {
        let native = self.native.get_or_insert_with(NativeCache::new);
        // SAFETY: the caller's promise.
        let marker = |nth| unsafe { marker(python, running, nth) };
        if running == frame {
            return native.path(caller, position, marker);
        }
        // SAFETY: the caller's promise.
        let starting = unsafe { shims_before(python, running, frame, native) };
        native.path_through(caller, starting, marker)
    }

    /// Makes what is known of the native frames outside of the innermost activation true again.
    ///
    /// # Safety
    /// As for [`StackCache::path`], after [`StackCache::verify`].
    #[inline(always)]
    unsafe fn verify_outside(
        &mut self,
        python: &Python,
        running: *const u8,
        frame: *const u8,
        caller: Caller,
        inner: Return,
    ) {
        if let Some(native) = self.native.as_ref()
            && !native.outside_holds(inner, self.boundaries.len())
        {
            // SAFETY: the caller's promise.
            unsafe { self.repair_outside(python, running, frame, caller, inner) };
        }
    }

    /// # Safety
    /// As for [`StackCache::verify_outside`].
    #[cold]
    #[inline(never)]
    unsafe fn repair_outside(
        &mut self,
        python: &Python,
        running: *const u8,
        frame: *const u8,
        caller: Caller,
        inner: Return,
    ) {
        // A frame that was entered from C may have been called again, at the same place, from Python.
        // SAFETY: the caller's promise: all entries are live.
        unsafe { self.note_boundaries(python, 0) };
        let Some(native) = self.native.as_mut() else {
            return;
        };
        // SAFETY: the caller's promise.
        let starting = unsafe { shims_before(python, running, frame, native) };
        // SAFETY: the caller's promise.
        let marker = |nth| unsafe { marker(python, running, nth + starting) };
        let kept = native.repair(caller, inner, self.boundaries.len(), marker);
        if let Some(&lowest) = self.boundaries.get(kept) {
            self.forget_nodes_from(lowest as usize);
        }
    }

    /// Finds the boundaries among the entries from `first` on.
    ///
    /// # Safety
    /// Those entries are live frames of this thread.
    unsafe fn note_boundaries(&mut self, python: &Python, first: usize) {
        let Some(native) = self.native.as_ref() else {
            return;
        };
        let stack = native.stack();
        let lower = self.boundaries.partition_point(|&at| (at as usize) < first);
        self.boundaries.truncate(lower);
        for (at, entry) in self.entries.iter().enumerate().skip(first) {
            // SAFETY: the caller's promise.
            if unsafe { python.layout().begins_activation(entry.frame, stack) } {
                self.boundaries.push(at as u32);
            }
        }
    }

    /// The node of native frames under another.
    #[inline(always)]
    fn extended(&mut self, outside: u32, segment: u32) -> u32 {
        if segment == NO_FRAMES {
            return outside;
        }
        let position = u64::from(segment);
        let at = place_in(RECENT_CHILDREN, position ^ u64::from(outside) << 40);
        let parent = outside | SEGMENT;
        if let Some(recent) = self.children.get(at)
            && recent.position == position
            && recent.parent == parent
        {
            return recent.node;
        }
        let node = intern::extended(outside, segment);
        if let Some(recent) = self.children.get_mut(at) {
            *recent = RecentChild {
                position,
                parent,
                node,
            };
        }
        node
    }

    /// The native frames between an entry and its caller.
    fn segment_outside(&self, at: usize) -> u32 {
        match (&self.native, self.boundaries.binary_search(&(at as u32))) {
            (Some(native), Ok(activation)) => native.segment_outside(activation),
            _ => NO_FRAMES,
        }
    }

    /// Makes the chain that begins at `leaf` the last stack.
    ///
    /// # Safety
    /// `leaf` is a live frame of this thread, not a shim.
    #[inline(always)]
    unsafe fn verify(&mut self, python: &Python, layout: &Layout, leaf: *const u8) {
        if self.entries.last().is_none_or(|top| top.frame != leaf) {
            // SAFETY: the caller's promise.
            unsafe { self.align(python, leaf) };
        }
        let top = self.entries.len() - 1;
        let root = self.entries.as_mut_ptr();
        // SAFETY: `align` made the leaf the last entry, so there is one.
        let mut entry = unsafe { root.add(top) };
        let mut frame = leaf;
        // The lowest entry whose position moved: its node and those above it must be looked up anew.
        let mut lowest_moved = core::ptr::null_mut();
        loop {
            // SAFETY: the frame is the leaf, or the one that the link just checked leads to: a live frame.
            let previous = unsafe { layout.previous(frame) };
            if entry == root {
                if previous.is_null() {
                    break;
                }
                // SAFETY: the caller's promise.
                return unsafe { self.read_again(python, leaf) };
            }
            // SAFETY: `entry` counts down from the last entry and is above the first.
            entry = unsafe { entry.sub(1) };
            // SAFETY: an entry of the vector, which nothing else refers to; plain data.
            frame = unsafe { (*entry).frame };
            if previous != frame {
                // SAFETY: the caller's promise.
                return unsafe { self.read_again(python, leaf) };
            }
            // SAFETY: the link to it held, so the frame is live.
            let position = unsafe { layout.position(frame) };
            // SAFETY: as for the frame's address.
            unsafe {
                if position != (*entry).position {
                    (*entry).position = position;
                    lowest_moved = entry;
                }
            }
        }
        if !lowest_moved.is_null() {
            // SAFETY: both point into the vector.
            let lowest = unsafe { lowest_moved.offset_from(root) } as usize;
            self.forget_nodes_from(lowest);
        }
    }

    /// The node of everything outside of the leaf (0: nothing).
    ///
    /// # Safety
    /// [`StackCache::verify`] has just returned.
    #[inline(always)]
    unsafe fn outside_node<const FULL: bool>(&mut self, python: &Python) -> u32 {
        let top = self.entries.len() - 1;
        let caller = match top.checked_sub(1).map(|caller| self.nodes.get(caller)) {
            None => 0,
            Some(Some(&node)) if node != UNKNOWN => node,
            // SAFETY: all entries were just seen to be live.
            _ => unsafe { self.find_nodes(python) },
        };
        if FULL
            && self.boundaries.last() == Some(&(top as u32))
            && let Some(native) = &self.native
        {
            let segment = native.segment_outside(self.boundaries.len() - 1);
            return self.extended(caller, segment);
        }
        caller
    }

    fn forget_nodes_from(&mut self, lowest: usize) {
        if let Some(nodes) = self.nodes.get_mut(lowest..) {
            nodes.fill(UNKNOWN);
        }
    }

    /// Makes `leaf` the top entry: a frame that was called or returned to since the last event.
    ///
    /// # Safety
    /// As for [`StackCache::verify`].
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
                // SAFETY: they were read just now.
                return unsafe { self.append_fresh(python, self.fresh.len()) };
            }
            // SAFETY: `frame` is the leaf or a caller of it, all live.
            unsafe {
                let position = layout.position(frame);
                self.fresh.push(Entry { frame, position });
                frame = layout.previous(frame);
            }
        }
        // SAFETY: as above.
        unsafe {
            self.read_chain(python, frame);
            self.keep(0);
            self.append_fresh(python, self.fresh.len());
        }
    }

    /// Keeps the lowest entries. The topmost of them ran since it was last seen, so its position is not known.
    fn keep(&mut self, count: usize) {
        self.entries.truncate(count);
        self.nodes.truncate(count);
        if let Some(native) = self.native.as_mut() {
            let left = self.boundaries.partition_point(|&at| (at as usize) < count);
            self.boundaries.truncate(left);
            native.truncate(left);
        }
    }

    /// Puts the innermost `count` of the fresh frames on top.
    ///
    /// # Safety
    /// They are live frames of this thread.
    unsafe fn append_fresh(&mut self, python: &Python, count: usize) {
        let first = self.entries.len();
        self.entries.extend(self.fresh.iter().take(count).rev());
        self.nodes.resize(self.entries.len(), UNKNOWN);
        // SAFETY: the caller's promise.
        unsafe { self.note_boundaries(python, first) };
    }

    /// Adds the chain from `frame` to the root to the fresh frames.
    ///
    /// # Safety
    /// `frame` is null or a live frame of this thread.
    unsafe fn read_chain(&mut self, python: &Python, mut frame: *const u8) {
        let layout = python.layout();
        while !frame.is_null() {
            // SAFETY: a live frame; its `previous` is null or another.
            unsafe {
                let position = layout.position(frame);
                self.fresh.push(Entry { frame, position });
                frame = layout.previous(frame);
            }
        }
    }

    /// Reads the whole chain anew and keeps what agrees from the root on.
    ///
    /// # Safety
    /// As for [`StackCache::verify`].
    #[cold]
    #[inline(never)]
    unsafe fn read_again(&mut self, python: &Python, leaf: *const u8) {
        self.fresh.clear();
        // SAFETY: the caller's promise.
        unsafe { self.read_chain(python, leaf) };
        let agree = self
            .entries
            .iter()
            .zip(self.fresh.iter().rev())
            .take_while(|(last, fresh)| {
                last.frame == fresh.frame && last.position == fresh.position
            })
            .count();
        self.keep(agree);
        // SAFETY: the chain was read just now.
        unsafe { self.append_fresh(python, self.fresh.len() - agree) };
    }

    /// Looks up the nodes of the leaf's callers that are not known; returns that of the nearest one.
    ///
    /// # Safety
    /// All entries are live frames.
    #[inline(never)]
    unsafe fn find_nodes(&mut self, python: &Python) -> u32 {
        let callers = self.entries.len() - 1;
        let known = self
            .nodes
            .get(..callers)
            .unwrap_or(&[])
            .iter()
            .rposition(|&node| node != UNKNOWN)
            .map_or(0, |known| known + 1);
        let mut parent = known
            .checked_sub(1)
            .and_then(|at| self.nodes.get(at))
            .copied()
            .unwrap_or(0);
        for at in known..callers {
            let Some(&entry) = self.entries.get(at) else {
                break;
            };
            let outside = self.extended(parent, self.segment_outside(at));
            // SAFETY: the caller's promise.
            parent = unsafe { self.child(python, outside, entry) };
            if let Some(node) = self.nodes.get_mut(at) {
                *node = parent;
            }
        }
        // The leaf's own position is a moving thing; it gets a node when it has called something.
        if let Some(leaf) = self.nodes.get_mut(callers) {
            *leaf = UNKNOWN;
        }
        parent
    }

    /// The node of a frame under its caller's node; a shim has its caller's.
    ///
    /// # Safety
    /// The entry is a live frame.
    #[inline(always)]
    unsafe fn child(&mut self, python: &Python, parent: u32, entry: Entry) -> u32 {
        let layout = python.layout();
        let at = place_in(RECENT_CHILDREN, entry.position ^ u64::from(parent) << 40);
        if let Some(recent) = self.children.get(at)
            && recent.position == entry.position
            && recent.parent == parent
        {
            return recent.node;
        }
        // SAFETY: the caller's promise.
        if unsafe { layout.is_shim(entry.frame) } {
            return parent;
        }
        // SAFETY: the caller's promise.
        let place = unsafe { layout.place(entry.frame) };
        let node = intern::python_child(python, parent, place);
        if let Some(recent) = self.children.get_mut(at) {
            *recent = RecentChild {
                position: entry.position,
                parent,
                node,
            };
        }
        node
    }

    /// The node of the leaf's caller when only the innermost `depth` frames count. The kept part moves with the leaf, so
    /// nothing is remembered but the children of nodes.
    ///
    /// # Safety
    /// As for [`StackCache::verify`].
    #[cold]
    #[inline(never)]
    unsafe fn walk_limited(&mut self, python: &Python, leaf: *const u8, depth: usize) -> u32 {
        let layout = python.layout();
        self.keep(0);
        self.fresh.clear();
        let mut frame = leaf;
        while !frame.is_null() && self.fresh.len() < depth {
            // SAFETY: live frames, as above.
            unsafe {
                if !layout.is_shim(frame) {
                    let position = layout.position(frame);
                    self.fresh.push(Entry { frame, position });
                }
                frame = layout.previous(frame);
            }
        }
        let mut parent = 0;
        for at in (1..self.fresh.len()).rev() {
            if let Some(&entry) = self.fresh.get(at) {
                // SAFETY: read just now.
                parent = unsafe { self.child(python, parent, entry) };
            }
        }
        parent
    }

    /// The node of what lies outside of the leaf, native frames included, when only the innermost `depth` Python frames count.
    ///
    /// # Safety
    /// [`StackCache::verify`] has just returned.
    #[cold]
    #[inline(never)]
    unsafe fn limited_node(&mut self, python: &Python, depth: usize) -> u32 {
        let layout = python.layout();
        let top = self.entries.len() - 1;
        // SAFETY: all entries are live.
        let is_python = |entry: &Entry| unsafe { !layout.is_shim(entry.frame) };
        let lowest = self
            .entries
            .iter()
            .enumerate()
            .rev()
            .filter(|(_, entry)| is_python(entry))
            .map(|(at, _)| at)
            .take(depth)
            .last()
            .unwrap_or(top);
        let mut node = 0;
        for at in lowest..=top {
            if at > lowest {
                node = self.extended(node, self.segment_outside(at));
            }
            if let Some(&entry) = self.entries.get(at).filter(|_| at < top) {
                // SAFETY: as above.
                node = unsafe { self.child(python, node, entry) };
            }
        }
        node
    }

    /// The site of a key that was seen lately, or what `find` says.
    #[inline(always)]
    fn recent_site<const FULL: bool>(
        &mut self,
        parent: u32,
        position: u64,
        asker: usize,
        domain: Domain,
        find: impl FnOnce(Asker) -> u32,
    ) -> u32 {
        let parent_and_domain =
            (parent & ((1 << DOMAIN_SHIFT) - 1)) | (domain as u32 + 1) << DOMAIN_SHIFT;
        let key = position ^ (asker as u64).rotate_left(32) ^ u64::from(parent_and_domain) << 20;
        let at = place_in(RECENT_SITES, key);
        // SAFETY: `place_in` gives an index below the table's size.
        let recent = unsafe { self.sites.get_unchecked_mut(at) };
        if recent.position == position
            && recent.asker == asker
            && recent.parent_and_domain == parent_and_domain
        {
            return recent.site;
        }
        let site = find(match asker {
            segment if FULL => Asker::Segment(segment as u32),
            0 => Asker::Nobody,
            address => Asker::Function(address),
        });
        *recent = RecentSite {
            position,
            asker,
            parent_and_domain,
            site,
        };
        site
    }
}

/// An address inside the `nth` activation of the interpreter's loop, from the innermost: its shim, or its `_PyCFrame`. 0
/// where neither exists.
///
/// # Safety
/// `running` is null or the running frame of this thread.
unsafe fn marker(python: &Python, running: *const u8, nth: usize) -> usize {
    let layout = python.layout();
    match layout.activation {
        Activation::EachFrame => 0,
        Activation::EntryFlag { .. } => python.nth_c_frame(nth),
        Activation::Shim => {
            let (mut frame, mut left) = (running, nth);
            // SAFETY: a live frame of this thread; its `previous` is null or another.
            unsafe {
                while !frame.is_null() && (left > 0 || !layout.is_shim(frame)) {
                    left -= usize::from(layout.is_shim(frame));
                    frame = layout.previous(frame);
                }
            }
            frame as usize
        }
    }
}

/// Activations that run no Python frame yet: the shims on the stack from `running` to `frame`.
///
/// # Safety
/// As for [`marker`]; `frame` is a caller of `running`, or null.
unsafe fn shims_before(
    python: &Python,
    running: *const u8,
    frame: *const u8,
    native: &NativeCache,
) -> usize {
    let layout = python.layout();
    let (mut at, mut count) = (running, 0);
    while !at.is_null() && at != frame {
        // SAFETY: the caller's promise.
        unsafe {
            count += usize::from(layout.begins_activation(at, native.stack()));
            at = layout.previous(at);
        }
    }
    count
}

const _: () = assert!(
    intern::MOST_NODES < (1 << DOMAIN_SHIFT) - 1,
    "nodes leave room for the domain"
);
