//! A thread's recent call sites over its last chain, so that most events intern nothing.
//!
//! Invariant: a remembered site is given out only for the same node outside of the leaf, the same position of the leaf, the
//! same native frames and the same domain. Entered by the owner thread alone, in allocation hooks (never in a free:
//! greenlet frees memory after it swapped the C stack under CPython's frame chain).

use core::sync::atomic::{AtomicU64, Ordering};

use pytrace_format::record::Domain;

use super::chain::{Chain, Entry};
use super::intern::{self, Asker, NO_FRAMES};
use super::native::{NativeCache, Walked};
use super::proof::Proof;
use super::recent::Recent;
use crate::caller::Caller;
use crate::python::Python;
use crate::python::frame::Shape;
use crate::python::layout::Activation;

/// How often a code object that was interned has died. A thread whose caches are older drops them: addresses of code
/// and instructions may mean something else now.
static CODE_DEATHS: AtomicU64 = AtomicU64::new(0);

/// Notes that an interned code object is about to be freed.
pub(crate) fn note_code_death() {
    CODE_DEATHS.fetch_add(1, Ordering::Relaxed);
    // Release pairs with the Acquire in `site`: a thread that runs code at a reused address got there after this.
    CHANGES.fetch_add(1, Ordering::Release);
}

/// How often memory that may hold frames was unmapped: a chunk of a thread's data stack.
static UNMAPPINGS: AtomicU64 = AtomicU64::new(0);

/// Notes that memory which may hold frames is about to be unmapped.
pub(crate) fn note_frames_unmapped() {
    UNMAPPINGS.fetch_add(1, Ordering::Relaxed);
    // Release pairs with the Acquire in `site`.
    CHANGES.fetch_add(1, Ordering::Release);
}

/// How often either of the two happened: the one word that an event looks at.
static CHANGES: AtomicU64 = AtomicU64::new(0);

/// What tells a call site within a thread: the caller's node and the domain, the leaf's position, the native frames that asked
/// (an address or a segment's number).
#[derive(Clone, Copy, PartialEq, Eq)]
struct SiteKey {
    position: u64,
    asker: usize,
    /// Node of the leaf's caller, and the domain + 1 in the upper four bits; 0 is no site's.
    parent_and_domain: u32,
}

impl SiteKey {
    #[inline(always)]
    fn new(parent: u32, position: u64, asker: usize, domain: Domain) -> SiteKey {
        let parent = parent & ((1 << DOMAIN_SHIFT) - 1);
        SiteKey {
            position,
            asker,
            parent_and_domain: parent | (domain as u32 + 1) << DOMAIN_SHIFT,
        }
    }

    #[inline(always)]
    fn mixed(self) -> u64 {
        let asker = (self.asker as u64).rotate_left(32);
        self.position ^ asker ^ u64::from(self.parent_and_domain) << 20
    }
}

/// A call site that was seen lately.
#[derive(Clone, Copy)]
struct RecentSite {
    key: SiteKey,
    site: u32,
}

/// What tells a node within a thread: a frame's position under its caller's node; or, with [`SEGMENT`] in `parent`, the number of
/// a segment of native frames.
#[derive(Clone, Copy, PartialEq, Eq)]
struct ChildKey {
    position: u64,
    parent: u32,
}

impl ChildKey {
    #[inline(always)]
    fn mixed(self) -> u64 {
        self.position ^ u64::from(self.parent) << 40
    }
}

/// A node that was asked for lately.
#[derive(Clone, Copy)]
struct RecentChild {
    key: ChildKey,
    node: u32,
}

/// Marks a parent under which a segment of native frames was looked up.
const SEGMENT: u32 = 1 << 31;
const DOMAIN_SHIFT: u32 = 28;
const EMPTY_SITE: RecentSite = RecentSite {
    key: SiteKey {
        position: 0,
        asker: 0,
        parent_and_domain: 0,
    },
    site: 0,
};
const EMPTY_CHILD: RecentChild = RecentChild {
    key: ChildKey {
        position: 0,
        parent: NOWHERE,
    },
    node: 0,
};

/// Who is known under no node: events without Python frames have no leaf.
const NOWHERE: u32 = u32::MAX;

/// A thread's caches.
pub(crate) struct StackCache {
    changes_seen: u64,
    deaths_seen: u64,
    unloads_seen: u32,
    chain: Chain,
    native: Option<Box<NativeCache>>,
    proof: Box<Proof>,
    /// Frames of a stack that is kept in part, leaf first.
    innermost: Vec<Entry>,
    sites: Recent<RecentSite>,
    children: Recent<RecentChild>,
}

impl StackCache {
    pub(crate) fn new() -> Self {
        StackCache {
            changes_seen: 0,
            deaths_seen: 0,
            unloads_seen: 0,
            chain: Chain::new(),
            native: None,
            proof: Box::new(Proof::new()),
            innermost: Vec::new(),
            sites: Recent::new(EMPTY_SITE),
            children: Recent::new(EMPTY_CHILD),
        }
    }

    /// Forgets everything, for a new owner.
    pub(crate) fn forget_owner(&mut self) {
        self.chain.clear();
        self.proof.clear();
        self.forget_code();
        self.native = None;
    }

    /// The same frame if the whole chain from it can be followed, else null: the hook may have been called by a signal handler
    /// that interrupted the interpreter while it changed its frames.
    #[inline]
    pub(crate) fn proven(&mut self, python: &Python, running: *const u8) -> *const u8 {
        if running.is_null() {
            return running;
        }
        let changes = CHANGES.load(Ordering::Acquire);
        if changes != self.changes_seen {
            self.catch_up(changes);
        }
        let holds = if self.chain.stands(python.layout(), running) {
            self.proof.holds_frame(python, running)
        } else {
            self.proof.holds(python, running)
        };
        if holds {
            return running;
        }
        intern::note_truncated();
        core::ptr::null()
    }

    /// Forgets what is not true any more.
    #[cold]
    #[inline(never)]
    fn catch_up(&mut self, changes: u64) {
        self.changes_seen = changes;
        self.chain.clear();
        self.proof.clear();
        let deaths = CODE_DEATHS.load(Ordering::Relaxed);
        if deaths != self.deaths_seen {
            self.deaths_seen = deaths;
            self.forget_code();
        }
    }

    /// A code object died, or native code was unloaded: addresses may mean something else now.
    #[cold]
    fn forget_code(&mut self) {
        self.sites.clear();
        self.children.clear();
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
        let changes = CHANGES.load(Ordering::Acquire);
        if changes != self.changes_seen {
            self.catch_up(changes);
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
                unsafe { self.path(python, running, frame, caller, 0) }.segment as usize
            } else {
                caller.return_address() & caller_mask
            };
            let key = SiteKey::new(NOWHERE, 0, asker, domain);
            return match self.recent_site(key) {
                Some(site) => site,
                None => {
                    let site = intern::site_without_python(asker_of::<FULL>(asker), domain);
                    self.remember_site(key, site)
                }
            };
        }
        // SAFETY: as above.
        let position = unsafe { layout.position(frame) };
        let (parent, asker);
        if FULL {
            // SAFETY: as above.
            unsafe {
                self.chain.verify(python, layout, frame);
                let inner = self.path(python, running, frame, caller, position);
                self.verify_outside(python, running, frame, caller, inner);
                parent = match depth {
                    0 => self.node_outside::<FULL>(python),
                    depth => self.limited_node(python, depth),
                };
                asker = inner.segment as usize;
            }
        } else {
            // SAFETY: as above.
            unsafe {
                parent = match depth {
                    0 => {
                        self.chain.verify(python, layout, frame);
                        self.node_outside::<FULL>(python)
                    }
                    depth => self.walk_limited(python, frame, depth),
                };
            }
            asker = caller.return_address() & caller_mask;
        }
        let key = SiteKey::new(parent, position, asker, domain);
        match self.recent_site(key) {
            Some(site) => site,
            None => {
                // SAFETY: as above.
                let place = unsafe { layout.place(frame) };
                let site = intern::site(python, parent, place, asker_of::<FULL>(asker), domain);
                if place.is_incomplete {
                    // A generator's first instruction is its caller's while the generator is made, and its own afterwards.
                    return site;
                }
                self.remember_site(key, site)
            }
        }
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
    ) -> Walked {
        if self.native.is_none() {
            self.make_native();
        }
        let Some(native) = self.native.as_mut() else {
            return Walked::default();
        };
        // SAFETY: the caller's promise.
        let marker = |nth| unsafe { marker(python, running, nth) };
        if running == frame {
            return native.path(caller, position, marker);
        }
        // SAFETY: the caller's promise.
        let starting = unsafe { shims_before(python, running, frame, native) };
        native.path_through(caller, starting, marker)
    }

    #[cold]
    #[inline(never)]
    fn make_native(&mut self) {
        self.native = NativeCache::new();
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
        inner: Walked,
    ) {
        if let Some(native) = self.native.as_ref()
            && !native.outside_holds(inner, self.chain.boundaries().len())
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
        inner: Walked,
    ) {
        let Some(native) = self.native.as_mut() else {
            return;
        };
        // The stack may be another now; and a frame that was entered from C may have been called again, at the same place,
        // from Python.
        // SAFETY: the caller's promise: all entries are live.
        unsafe { self.chain.note_boundaries_on(python, native.stack()) };
        // SAFETY: the caller's promise.
        let starting = unsafe { shims_before(python, running, frame, native) };
        // SAFETY: the caller's promise.
        let marker = |nth| unsafe { marker(python, running, nth + starting) };
        let boundaries = self.chain.boundaries();
        let kept = native.repair(caller, inner, boundaries.len(), marker);
        if let Some(&lowest) = boundaries.get(kept) {
            self.chain.forget_nodes_from(lowest as usize);
        }
    }

    /// The node of native frames under another.
    #[inline(always)]
    fn extended(&mut self, outside: u32, segment: u32) -> u32 {
        if segment == NO_FRAMES {
            return outside;
        }
        let key = ChildKey {
            position: u64::from(segment),
            parent: outside | SEGMENT,
        };
        match self.recent_child(key) {
            Some(node) => node,
            None => self.remember_child(key, intern::extended(outside, segment)),
        }
    }

    /// The native frames between an entry and its caller.
    fn segment_outside(&self, at: usize) -> u32 {
        let boundary = self.chain.boundaries().binary_search(&(at as u32));
        match (&self.native, boundary) {
            (Some(native), Ok(activation)) => native.segment_outside(activation),
            _ => NO_FRAMES,
        }
    }

    /// The node of everything outside of the leaf (0: nothing).
    ///
    /// # Safety
    /// [`Chain::verify`] has just returned.
    #[inline(always)]
    unsafe fn node_outside<const FULL: bool>(&mut self, python: &Python) -> u32 {
        let mut node = self.chain.node_outside_leaf();
        if node == super::chain::UNKNOWN {
            // SAFETY: all entries were just seen to be live.
            node = unsafe { self.find_nodes(python) };
        }
        if FULL
            && let boundaries = self.chain.boundaries()
            && boundaries.last() == Some(&(self.chain.leaf() as u32))
            && let Some(native) = &self.native
        {
            let segment = native.segment_outside(boundaries.len() - 1);
            return self.extended(node, segment);
        }
        node
    }

    /// Looks up the nodes outside of the leaf that are not known; returns that of the nearest one. The leaf's own position is
    /// a moving thing: it gets a node when it has called something.
    ///
    /// # Safety
    /// All entries are live frames.
    #[inline(never)]
    unsafe fn find_nodes(&mut self, python: &Python) -> u32 {
        let (known, mut node) = self.chain.highest_known();
        for at in known + 1..self.chain.leaf() {
            let Some(entry) = self.chain.entry(at) else {
                break;
            };
            let outside = self.extended(node, self.segment_outside(at));
            // SAFETY: the caller's promise.
            node = unsafe { self.child(python, outside, entry) };
            self.chain.set_node(at, node);
        }
        node
    }

    /// The node of a frame under its caller's node; a shim has its caller's.
    ///
    /// # Safety
    /// The entry is a live frame.
    #[inline(always)]
    unsafe fn child(&mut self, python: &Python, parent: u32, entry: Entry) -> u32 {
        let layout = python.layout();
        let key = ChildKey {
            position: entry.position,
            parent,
        };
        if let Some(node) = self.recent_child(key) {
            return node;
        }
        // SAFETY: the caller's promise.
        if unsafe { layout.is_shim(entry.frame) } {
            return parent;
        }
        // SAFETY: the caller's promise.
        let place = unsafe { layout.place(entry.frame) };
        if place.is_incomplete {
            return parent; // for now: see `site`
        }
        self.remember_child(key, intern::python_child(python, parent, place))
    }

    #[inline(always)]
    fn recent_child(&self, key: ChildKey) -> Option<u32> {
        let recent = self.children.at(key.mixed());
        (recent.key == key).then_some(recent.node)
    }

    fn remember_child(&mut self, key: ChildKey, node: u32) -> u32 {
        self.children.put(key.mixed(), RecentChild { key, node });
        node
    }

    /// The node of the leaf's caller when only the innermost `depth` frames count. The kept part moves with the leaf, so
    /// nothing is remembered but the children of nodes.
    ///
    /// # Safety
    /// As for [`Chain::verify`].
    #[cold]
    #[inline(never)]
    unsafe fn walk_limited(&mut self, python: &Python, leaf: *const u8, depth: usize) -> u32 {
        let layout = python.layout();
        self.innermost.clear();
        let mut frame = leaf;
        while !frame.is_null() && self.innermost.len() < depth {
            // SAFETY: live frames, as above.
            unsafe {
                if !layout.is_shim(frame) {
                    let position = layout.position(frame);
                    self.innermost.push(Entry { position, frame });
                }
                frame = layout.previous(frame);
            }
        }
        let mut node = 0;
        for at in (1..self.innermost.len()).rev() {
            if let Some(&entry) = self.innermost.get(at) {
                // SAFETY: read just now.
                node = unsafe { self.child(python, node, entry) };
            }
        }
        node
    }

    /// The node of what lies outside of the leaf, native frames included, when only the innermost `depth` Python frames count.
    ///
    /// # Safety
    /// [`StackCache::verify`] has just returned.
    #[cold]
    #[inline(never)]
    unsafe fn limited_node(&mut self, python: &Python, depth: usize) -> u32 {
        let layout = python.layout();
        let leaf = self.chain.leaf();
        // SAFETY: all entries are live.
        let is_python = |entry: Entry| unsafe { !layout.is_shim(entry.frame) };
        let lowest = (1..=leaf)
            .rev()
            .filter(|&at| self.chain.entry(at).is_some_and(is_python))
            .take(depth)
            .last()
            .unwrap_or(leaf);
        let mut node = 0;
        for at in lowest..=leaf {
            if at > lowest {
                node = self.extended(node, self.segment_outside(at));
            }
            if let Some(entry) = self.chain.entry(at).filter(|_| at < leaf) {
                // SAFETY: as above.
                node = unsafe { self.child(python, node, entry) };
            }
        }
        node
    }

    /// The site of a key, if it was seen lately.
    #[inline(always)]
    fn recent_site(&self, key: SiteKey) -> Option<u32> {
        let recent = self.sites.at(key.mixed());
        (recent.key == key).then_some(recent.site)
    }

    #[cold]
    #[inline(never)]
    fn remember_site(&mut self, key: SiteKey, site: u32) -> u32 {
        self.sites.put(key.mixed(), RecentSite { key, site });
        site
    }
}

/// The native frames that asked, as the interner is told them.
fn asker_of<const FULL: bool>(asker: usize) -> Asker {
    match asker {
        segment if FULL => Asker::Segment(segment as u32),
        0 => Asker::Nobody,
        address => Asker::Function(address),
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
        Activation::EntryFlag { .. } => python.c_frames().nth(nth).map_or(0, |(at, _)| at),
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
