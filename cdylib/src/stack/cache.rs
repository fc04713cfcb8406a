//! A thread's last stack and its recent call sites, so that most events intern nothing.
//!
//! The whole chain is read at every event, leaf to root, and compared with the last one, root to leaf. What agrees keeps
//! its nodes; what differs is interned anew. Entered by the owner thread alone, in allocation hooks (never in a free:
//! greenlet frees memory after it swapped the C stack under CPython's frame chain).

use core::sync::atomic::{AtomicU64, Ordering};

use pytrace_format::record::Domain;

use super::intern::{self, NO_SITE_STACK};
use crate::python::Python;
use crate::python::layout::Instruction;

/// How often a code object that was interned has died. A thread whose caches are older drops them: addresses of code
/// and instructions may mean something else now.
static CODE_DEATHS: AtomicU64 = AtomicU64::new(0);

/// Notes that an interned code object is about to be freed.
pub(crate) fn note_code_death() {
    // Release pairs with the Acquire in `site`: a thread that runs code at a reused address got there after this.
    CODE_DEATHS.fetch_add(1, Ordering::Release);
}

/// A frame as it is compared. For 3.11+ the instruction pointer alone tells the code object, and `code` is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Position {
    instruction: usize,
    code: usize,
}

/// A node that was not asked for yet.
const UNKNOWN_NODE: u32 = u32::MAX;

/// Recent call sites: direct-mapped, a power of two.
const RECENT_SITES: usize = 512;

/// What tells a call site within a thread: the caller's node, the leaf's position, the C caller, the domain.
#[derive(Clone, Copy)]
struct RecentSite {
    instruction: usize,
    code: usize,
    caller: usize,
    parent: u32,
    /// Domain + 1; 0 is an empty entry.
    domain: u32,
    site: u32,
}

const EMPTY_SITE: RecentSite = RecentSite {
    instruction: 0,
    code: 0,
    caller: 0,
    parent: 0,
    domain: 0,
    site: 0,
};

/// A thread's caches.
pub(crate) struct StackCache {
    deaths_seen: u64,
    /// The last stack, root first, and the node of each frame.
    positions: Vec<Position>,
    nodes: Vec<u32>,
    /// The stack being read, leaf first, with each frame's address.
    fresh: Vec<(Position, *const u8)>,
    recent: [RecentSite; RECENT_SITES],
}

impl StackCache {
    pub(crate) const fn new() -> Self {
        StackCache {
            deaths_seen: 0,
            positions: Vec::new(),
            nodes: Vec::new(),
            fresh: Vec::new(),
            recent: [EMPTY_SITE; RECENT_SITES],
        }
    }

    /// Forgets everything, for a new owner or after a code object died.
    pub(crate) fn clear(&mut self) {
        self.positions.clear();
        self.nodes.clear();
        self.recent = [EMPTY_SITE; RECENT_SITES];
    }

    /// The call site of an allocation: the Python stack that begins at `frame` (null: none), the C function that will be
    /// returned to (0: not wanted), the domain. `depth` limits the Python frames, 0 = all.
    ///
    /// # Safety
    /// `frame` is null or the running frame of this thread.
    #[inline]
    pub(crate) unsafe fn site(
        &mut self,
        python: &Python,
        frame: *const u8,
        caller: usize,
        domain: Domain,
        depth: usize,
    ) -> u32 {
        let deaths = CODE_DEATHS.load(Ordering::Acquire);
        if deaths != self.deaths_seen {
            self.clear();
            self.deaths_seen = deaths;
        }
        // SAFETY: the caller's promise.
        unsafe { self.read_chain(python, frame, depth) };
        let Some(&(leaf, leaf_frame)) = self.fresh.first() else {
            return self.recent_site(
                NO_SITE_STACK,
                Position {
                    instruction: 0,
                    code: 0,
                },
                caller,
                domain,
                |caller| intern::site_without_python(caller, domain),
            );
        };
        // SAFETY: the frames were read just now and are live: this thread is in C code called from the leaf.
        let parent = unsafe { self.adopt(python) };
        self.recent_site(parent, leaf, caller, domain, |caller| {
            // SAFETY: as above.
            let place = unsafe { python.place(leaf_frame) };
            intern::site(python, parent, place, caller, domain)
        })
    }

    /// Reads the chain of frames into `fresh`.
    ///
    /// # Safety
    /// As for [`StackCache::site`].
    #[inline(always)]
    unsafe fn read_chain(&mut self, python: &Python, mut frame: *const u8, depth: usize) {
        let layout = python.layout();
        self.fresh.clear();
        while !frame.is_null() {
            // SAFETY: a live frame of this thread; its `previous` is null or another.
            unsafe {
                let previous = frame.add(layout.frame_previous).cast::<*const u8>().read();
                if !python.is_shim(frame) {
                    let instruction = frame.add(layout.frame_instruction);
                    let position = match layout.instruction {
                        Instruction::Pointer => Position {
                            instruction: instruction.cast::<usize>().read(),
                            code: 0,
                        },
                        Instruction::Index { .. } => Position {
                            instruction: instruction.cast::<u32>().read() as usize,
                            code: frame.add(layout.frame_code).cast::<usize>().read(),
                        },
                    };
                    self.fresh.push((position, frame));
                    if self.fresh.len() == depth {
                        return;
                    }
                }
                frame = previous;
            }
        }
    }

    /// Makes the fresh chain the last one; returns the node of the leaf's caller (0: the leaf is the root).
    ///
    /// # Safety
    /// The frames in `fresh` are live.
    #[inline(always)]
    unsafe fn adopt(&mut self, python: &Python) -> u32 {
        let depth = self.fresh.len();
        let agree = self
            .positions
            .iter()
            .zip(self.fresh.iter().rev())
            .take_while(|(last, (fresh, _))| *last == fresh)
            .count();
        if agree < depth || self.nodes.len() != depth {
            self.positions.truncate(agree);
            self.nodes.truncate(agree);
            for &(position, _) in self.fresh.iter().rev().skip(agree) {
                self.positions.push(position);
                self.nodes.push(UNKNOWN_NODE);
            }
        }
        if depth < 2 {
            return 0;
        }
        match self.nodes.get(depth - 2) {
            Some(&node) if node != UNKNOWN_NODE => node,
            // SAFETY: the caller's promise.
            _ => unsafe { self.name_callers(python) },
        }
    }

    /// Interns the callers that have no node yet; returns the node of the leaf's caller.
    ///
    /// # Safety
    /// The frames in `fresh` are live.
    #[cold]
    #[inline(never)]
    unsafe fn name_callers(&mut self, python: &Python) -> u32 {
        let mut parent = 0;
        let callers = self.fresh.iter().rev().take(self.fresh.len() - 1);
        for (node, &(_, frame)) in self.nodes.iter_mut().zip(callers) {
            if *node == UNKNOWN_NODE {
                // SAFETY: the caller's promise.
                let place = unsafe { python.place(frame) };
                *node = intern::python_child(python, parent, place);
            }
            parent = *node;
        }
        parent
    }

    /// The site of a key that was seen lately, or what `find` says.
    #[inline(always)]
    fn recent_site(
        &mut self,
        parent: u32,
        leaf: Position,
        caller: usize,
        domain: Domain,
        find: impl FnOnce(usize) -> u32,
    ) -> u32 {
        let mixed = (leaf.instruction as u64)
            .wrapping_add((leaf.code as u64) << 1)
            .wrapping_add((caller as u64).rotate_left(23))
            .wrapping_add(u64::from(parent) << 9)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let index = (mixed >> 55) as usize & (RECENT_SITES - 1);
        let domain_mark = domain as u32 + 1;
        let Some(entry) = self.recent.get_mut(index) else {
            return find(caller);
        };
        if entry.instruction == leaf.instruction
            && entry.code == leaf.code
            && entry.caller == caller
            && entry.parent == parent
            && entry.domain == domain_mark
        {
            return entry.site;
        }
        let site = find(caller);
        *entry = RecentSite {
            instruction: leaf.instruction,
            code: leaf.code,
            caller,
            parent,
            domain: domain_mark,
            site,
        };
        site
    }
}
