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

use super::intern;
use crate::python::Python;
use crate::python::frame::Shape;
use crate::python::layout::Layout;

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

/// What tells a call site within a thread: the caller's node and the domain, the leaf's position, the C caller.
#[derive(Clone, Copy)]
struct RecentSite {
    position: u64,
    caller: usize,
    /// Node of the leaf's caller, and the domain + 1 in the upper four bits; 0 is an empty entry.
    parent_and_domain: u32,
    site: u32,
}

/// The node of a frame under its caller's node.
#[derive(Clone, Copy)]
struct RecentChild {
    position: u64,
    parent: u32,
    node: u32,
}

const DOMAIN_SHIFT: u32 = 28;
const EMPTY_SITE: RecentSite = RecentSite {
    position: 0,
    caller: 0,
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
            sites: [EMPTY_SITE; RECENT_SITES],
            children: [EMPTY_CHILD; RECENT_CHILDREN],
        }
    }

    /// Forgets everything, for a new owner or after a code object died.
    #[cold]
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.nodes.clear();
        self.sites = [EMPTY_SITE; RECENT_SITES];
        self.children = [EMPTY_CHILD; RECENT_CHILDREN];
    }

    /// The call site of an allocation: the Python stack that begins at `frame` (null: none), the C function that will be
    /// returned to (0: not wanted), the domain. `depth` limits the Python frames, 0 = all.
    ///
    /// # Safety
    /// `frame` is null or the running frame of this thread.
    #[inline(always)]
    pub(crate) unsafe fn site<S: Shape>(
        &mut self,
        python: &Python,
        mut frame: *const u8,
        caller: usize,
        domain: Domain,
        depth: usize,
    ) -> u32 {
        let layout = S::layout(python);
        let deaths = CODE_DEATHS.load(Ordering::Acquire);
        if deaths != self.deaths_seen {
            self.clear();
            self.deaths_seen = deaths;
        }
        // SAFETY: a live frame of this thread; its `previous` is null or another.
        unsafe {
            while !frame.is_null() && layout.is_shim(frame) {
                frame = layout.previous(frame);
            }
        }
        if frame.is_null() {
            return self.recent_site(UNKNOWN, 0, caller, domain, |caller| {
                intern::site_without_python(caller, domain)
            });
        }
        // SAFETY: as above.
        let (parent, position) = unsafe {
            if depth == 0 {
                (self.verify(python, layout, frame), layout.position(frame))
            } else {
                (
                    self.walk_limited(python, frame, depth),
                    layout.position(frame),
                )
            }
        };
        self.recent_site(parent, position, caller, domain, |caller| {
            // SAFETY: as above.
            let place = unsafe { layout.place(frame) };
            intern::site(python, parent, place, caller, domain)
        })
    }

    /// Makes the chain that begins at `leaf` the last stack; returns the node of the leaf's caller (0: it has none).
    ///
    /// # Safety
    /// `leaf` is a live frame of this thread, not a shim.
    #[inline(always)]
    unsafe fn verify(&mut self, python: &Python, layout: &Layout, leaf: *const u8) -> u32 {
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
        match top.checked_sub(1).map(|caller| self.nodes.get(caller)) {
            None => 0,
            Some(Some(&node)) if node != UNKNOWN => node,
            // SAFETY: all entries were just seen to be live.
            _ => unsafe { self.find_nodes(python) },
        }
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
                return self.append_fresh();
            }
            // SAFETY: `frame` is the leaf or a caller of it, all live.
            unsafe {
                let position = layout.position(frame);
                self.fresh.push(Entry { frame, position });
                frame = layout.previous(frame);
            }
        }
        // SAFETY: as above.
        unsafe { self.read_chain(python, frame) };
        self.keep(0);
        self.append_fresh();
    }

    /// Keeps the lowest entries. The topmost of them ran since it was last seen, so its position is not known.
    fn keep(&mut self, count: usize) {
        self.entries.truncate(count);
        self.nodes.truncate(count);
    }

    /// Puts the fresh frames on top.
    fn append_fresh(&mut self) {
        self.entries.extend(self.fresh.iter().rev());
        self.nodes.resize(self.entries.len(), UNKNOWN);
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

    /// Reads the whole chain anew, keeps what agrees from the root on, and returns the node of the leaf's caller.
    ///
    /// # Safety
    /// As for [`StackCache::verify`].
    #[cold]
    #[inline(never)]
    unsafe fn read_again(&mut self, python: &Python, leaf: *const u8) -> u32 {
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
        let new = self.fresh.len() - agree;
        self.entries.extend(self.fresh.iter().take(new).rev());
        self.nodes.resize(self.entries.len(), UNKNOWN);
        if self.entries.len() < 2 {
            return 0;
        }
        // SAFETY: the chain was read just now.
        unsafe { self.find_nodes(python) }
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
            // SAFETY: the caller's promise.
            parent = unsafe { self.child(python, parent, entry) };
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

    /// The site of a key that was seen lately, or what `find` says.
    #[inline(always)]
    fn recent_site(
        &mut self,
        parent: u32,
        position: u64,
        caller: usize,
        domain: Domain,
        find: impl FnOnce(usize) -> u32,
    ) -> u32 {
        let parent_and_domain =
            (parent & ((1 << DOMAIN_SHIFT) - 1)) | (domain as u32 + 1) << DOMAIN_SHIFT;
        let key = position ^ (caller as u64).rotate_left(32) ^ u64::from(parent_and_domain) << 20;
        let at = place_in(RECENT_SITES, key);
        // SAFETY: `place_in` gives an index below the table's size.
        let recent = unsafe { self.sites.get_unchecked_mut(at) };
        if recent.position == position
            && recent.caller == caller
            && recent.parent_and_domain == parent_and_domain
        {
            return recent.site;
        }
        let site = find(caller);
        *recent = RecentSite {
            position,
            caller,
            parent_and_domain,
            site,
        };
        site
    }
}

const _: () = assert!(
    intern::MOST_NODES < (1 << DOMAIN_SHIFT) - 1,
    "nodes leave room for the domain"
);
