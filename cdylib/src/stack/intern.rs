//! The process's stacks and sites: one set of tables behind one lock, reached when a thread's cache has no answer.
//!
//! Invariant: a code object's address stands for the same code between [`code_died`] calls for it. Under the lock is
//! pure computation on the shim's own heap, and reading of live code objects.

use core::sync::atomic::{AtomicU64, Ordering};

use pytrace_format::record::Domain;

use super::names::{FastMap, FrameRow, NodeRow, SiteRow, Table};
use crate::python::Python;
use crate::python::frame::Place;
use crate::session;
use crate::sys::lock::Lock;

/// Nodes that the stack tree may have; beyond, stacks share the empty one and are counted.
pub(super) const MOST_NODES: usize = 1 << 24;

/// The tables.
pub(crate) struct Interner {
    pub(crate) strings: Table<String>,
    pub(crate) frames: Table<FrameRow>,
    pub(crate) nodes: Table<NodeRow>,
    pub(crate) sites: Table<SiteRow>,
    /// Number of the code object at an address, while it lives.
    code_at: FastMap<usize, u32>,
    /// File and function of each code object that was seen.
    codes: Vec<(u32, u32)>,
    /// The node of (caller's node, code, instruction offset).
    child_at: FastMap<(u32, u32, i32), u32>,
}

/// Stacks that could not be kept.
static TRUNCATED: AtomicU64 = AtomicU64::new(0);

/// Stacks that could not be kept whole.
pub(crate) fn truncated_stacks() -> u64 {
    TRUNCATED.load(Ordering::Relaxed)
}

impl Interner {
    pub(crate) fn new() -> Lock<Interner> {
        let mut sites = Table::new();
        for domain in Domain::ALL {
            sites.intern(SiteRow {
                domain: domain as u8,
                node: 0,
            });
        }
        Lock::new(Interner {
            strings: Table::new(),
            frames: Table::new(),
            nodes: Table::new(),
            sites,
            code_at: FastMap::default(),
            codes: Vec::new(),
            child_at: FastMap::default(),
        })
    }

    fn node(&mut self, parent: u32, frame: FrameRow) -> u32 {
        let frame = self.frames.intern(frame);
        if self.nodes.len() >= MOST_NODES {
            TRUNCATED.fetch_add(1, Ordering::Relaxed);
            return 0;
        }
        self.nodes.intern(NodeRow { parent, frame }) + 1
    }

    /// The node of a Python frame called from `parent`. The code object is live: a frame runs it.
    fn python_child(&mut self, python: &Python, parent: u32, place: Place) -> u32 {
        if place.is_incomplete {
            return parent;
        }
        let code = match self.code_at.get(&place.code) {
            Some(&code) => code,
            None => {
                // SAFETY: a running frame keeps its code object alive.
                let (file, function) = unsafe { python.names(place.code) };
                let names = (self.strings.intern(file), self.strings.intern(function));
                let code = self.codes.len() as u32;
                self.codes.push(names);
                self.code_at.insert(place.code, code);
                code
            }
        };
        if let Some(&node) = self.child_at.get(&(parent, code, place.offset)) {
            return node;
        }
        let (file, function) = self.codes.get(code as usize).copied().unwrap_or_default();
        // SAFETY: as above.
        let line = unsafe { python.line(place) };
        let node = self.node(
            parent,
            FrameRow::Python {
                function,
                file,
                line,
            },
        );
        self.child_at.insert((parent, code, place.offset), node);
        node
    }

    fn site(&mut self, node: u32, caller: usize, domain: Domain) -> u32 {
        let node = match caller {
            0 => node,
            address => self.node(node, FrameRow::Native { address }),
        };
        self.sites.intern(SiteRow {
            domain: domain as u8,
            node,
        })
    }
}

/// The site of events without any stack, one per domain.
#[inline(always)]
pub(crate) fn bare_site(domain: Domain) -> u32 {
    domain as u32
}

/// The node of a Python frame called from `parent`.
pub(crate) fn python_child(python: &Python, parent: u32, place: Place) -> u32 {
    session::current().map_or(0, |session| {
        session.interner.lock().python_child(python, parent, place)
    })
}

/// The site of an allocation at a Python place called from `parent`, through the C function at `caller`.
#[cold]
#[inline(never)]
pub(crate) fn site(
    python: &Python,
    parent: u32,
    place: Place,
    caller: usize,
    domain: Domain,
) -> u32 {
    let Some(session) = session::current() else {
        return bare_site(domain);
    };
    let mut interner = session.interner.lock();
    let node = interner.python_child(python, parent, place);
    interner.site(node, caller, domain)
}

/// The site of an allocation without Python frames.
#[cold]
#[inline(never)]
pub(crate) fn site_without_python(caller: usize, domain: Domain) -> u32 {
    session::current().map_or_else(
        || bare_site(domain),
        |session| session.interner.lock().site(0, caller, domain),
    )
}

/// A code object is about to be freed: its address may stand for another one from now on.
#[cold]
#[inline(never)]
pub(crate) fn code_died(code: usize) {
    let Some(session) = session::current() else {
        return;
    };
    if session.interner.lock().code_at.remove(&code).is_some() {
        super::cache::note_code_death();
    }
}
