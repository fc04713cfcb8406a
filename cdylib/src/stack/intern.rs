//! The process's stacks and sites: one set of tables behind one lock, reached when a thread's cache has no answer.
//!
//! Invariant: a code object's address stands for the same code between [`code_died`] calls for it. Under the lock is
//! pure computation on the shim's own heap, and reading of live code objects.

use core::hash::Hash;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use pytrace_format::record::Domain;

use super::names::{FastMap, FrameRow, NodeRow, SiteRow, Table};
use crate::python::Python;
use crate::python::frame::Place;
use crate::python::lines::Reached;
use crate::session;
use crate::sys::lock::Lock;

/// Nodes that the stack tree may have; beyond, stacks share the empty one and are counted.
pub(super) const MOST_NODES: usize = 1 << 24;

/// Dead code objects that are kept, if fewer live: programs that make code as they run would fill the memory with it.
const MOST_DEAD_CODES: usize = 1 << 16;

/// A code object that was seen: its names, rows of the strings, and how far its line table was read.
#[derive(Clone, Copy)]
struct CodeRow {
    file: u32,
    function: u32,
    lines: Reached,
}

/// The tables.
pub(crate) struct Interner {
    pub(crate) strings: Table<String>,
    pub(crate) frames: Table<FrameRow>,
    pub(crate) nodes: Table<NodeRow>,
    pub(crate) sites: Table<SiteRow>,
    /// Number of the code object at an address, while it lives.
    code_at: FastMap<usize, u32>,
    /// Each code object that was seen, dead ones too.
    codes: Vec<CodeRow>,
    /// How many of them have died.
    dead_codes: usize,
    /// The frame of (code, instruction offset): what would have to be read from a line table.
    frame_at: FastMap<(u32, i32), u32>,
    /// The node of (caller's node, code, instruction offset).
    child_at: FastMap<(u32, u32, i32), u32>,
    /// Stretches of native frames, return addresses, innermost first. The first one is empty.
    segments: Table<Box<[usize]>>,
    /// The node of a segment's innermost frame under (the node outside of it, segment).
    extended: FastMap<(u32, u32), u32>,
}

/// The native frames between the allocator and the innermost Python frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    /// They are not wanted.
    Nobody,
    /// One return address.
    Function(usize),
    /// A row of the segments.
    Segment(u32),
}

/// A segment without frames.
pub(super) const NO_FRAMES: u32 = 0;

/// How often objects were unloaded: an address means the same between two unloadings.
static UNLOADS: AtomicU32 = AtomicU32::new(0);

/// How often objects were unloaded.
pub(crate) fn unloads() -> u32 {
    UNLOADS.load(Ordering::Acquire)
}

/// Notes that objects are or were unloaded.
pub(crate) fn note_unloading() {
    UNLOADS.fetch_add(1, Ordering::Release);
    super::cache::note_code_death();
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
            dead_codes: 0,
            frame_at: FastMap::default(),
            child_at: FastMap::default(),
            segments: {
                let mut segments = Table::new();
                segments.intern(Box::default());
                segments
            },
            extended: FastMap::default(),
        })
    }

    /// Forgets a code object; returns whether it was known. Of dead ones as many are kept as of live ones: then what is known of
    /// code is forgotten, and learnt again from what runs. Threads remember nothing of code that is not known here: whenever
    /// this says yes, they drop what they have.
    fn forget_code(&mut self, code: usize) -> bool {
        if self.code_at.remove(&code).is_none() {
            return false;
        }
        self.dead_codes += 1;
        if self.dead_codes > MOST_DEAD_CODES.max(self.code_at.len()) {
            self.code_at = FastMap::default();
            self.codes = Vec::new();
            self.frame_at = FastMap::default();
            self.child_at = FastMap::default();
            self.dead_codes = 0;
        }
        true
    }

    fn node(&mut self, parent: u32, frame: u32) -> u32 {
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
                let row = CodeRow {
                    file: self.strings.intern(file),
                    function: self.strings.intern(function),
                    lines: Reached::default(),
                };
                let code = self.codes.len() as u32;
                if self.codes.try_reserve(1).is_err() {
                    return parent; // the recording has stopped
                }
                self.codes.push(row);
                remember(&mut self.code_at, place.code, code);
                code
            }
        };
        if let Some(&node) = self.child_at.get(&(parent, code, place.offset)) {
            return node;
        }
        let frame = match self.frame_at.get(&(code, place.offset)) {
            Some(&frame) => frame,
            None => {
                let Some(row) = self.codes.get_mut(code as usize) else {
                    return parent;
                };
                let CodeRow { file, function, .. } = *row;
                // SAFETY: as above.
                let line = unsafe { python.line(place, &mut row.lines) };
                let frame = self.frames.intern(FrameRow::Python {
                    function,
                    file,
                    line,
                });
                remember(&mut self.frame_at, (code, place.offset), frame);
                frame
            }
        };
        let node = self.node(parent, frame);
        remember(&mut self.child_at, (parent, code, place.offset), node);
        node
    }

    /// The node of native frames called from `outside`.
    fn extended(&mut self, outside: u32, segment: u32) -> u32 {
        if segment == NO_FRAMES {
            return outside;
        }
        if let Some(&node) = self.extended.get(&(outside, segment)) {
            return node;
        }
        let mut node = outside;
        for at in (0..self.segments.get(segment).map_or(0, |frames| frames.len())).rev() {
            let frame = self.segments.get(segment).and_then(|frames| frames.get(at));
            if let Some(&address) = frame {
                node = self.native_node(node, address);
            }
        }
        remember(&mut self.extended, (outside, segment), node);
        node
    }

    fn native_node(&mut self, parent: u32, address: usize) -> u32 {
        let unloads = UNLOADS.load(Ordering::Relaxed);
        let frame = self.frames.intern(FrameRow::Native { address, unloads });
        self.node(parent, frame)
    }

    fn site(&mut self, node: u32, asker: Asker, domain: Domain) -> u32 {
        let node = match asker {
            Asker::Nobody => node,
            Asker::Function(address) => self.native_node(node, address),
            Asker::Segment(segment) => self.extended(node, segment),
        };
        self.sites.intern(SiteRow {
            domain: domain as u8,
            node,
        })
    }
}

/// Keeps an answer, where there is memory for it. These maps only save looking an answer up in the tables again, and are the largest
/// that there are: they grow in one piece, which the heap's reserve could not give.
fn remember<K: Eq + Hash>(answers: &mut FastMap<K, u32>, question: K, answer: u32) {
    if answers.try_reserve(1).is_ok() {
        answers.insert(question, answer);
    }
}

/// The site of events without any stack, one per domain.
#[inline(always)]
pub(crate) fn bare_site(domain: Domain) -> u32 {
    domain as u32
}

/// Counts a stack that could not be read whole.
pub(crate) fn note_truncated() {
    TRUNCATED.fetch_add(1, Ordering::Relaxed);
}

/// The node of a Python frame called from `parent`.
pub(crate) fn python_child(python: &Python, parent: u32, place: Place) -> u32 {
    session::current().map_or(0, |session| {
        session.interner.lock().python_child(python, parent, place)
    })
}

/// The row of a stretch of native frames, innermost first.
pub(crate) fn segment(frames: &[usize]) -> u32 {
    match session::current() {
        Some(session) if !frames.is_empty() => {
            session.interner.lock().segments.intern_borrowed(frames)
        }
        _ => NO_FRAMES,
    }
}

/// The node of native frames called from `outside`.
pub(crate) fn extended(outside: u32, segment: u32) -> u32 {
    session::current().map_or(outside, |session| {
        session.interner.lock().extended(outside, segment)
    })
}

/// The site of an allocation at a Python place called from `parent`.
#[cold]
#[inline(never)]
pub(crate) fn site(
    python: &Python,
    parent: u32,
    place: Place,
    asker: Asker,
    domain: Domain,
) -> u32 {
    let Some(session) = session::current() else {
        return bare_site(domain);
    };
    let mut interner = session.interner.lock();
    let node = interner.python_child(python, parent, place);
    interner.site(node, asker, domain)
}

/// The site of an allocation without Python frames.
#[cold]
#[inline(never)]
pub(crate) fn site_without_python(asker: Asker, domain: Domain) -> u32 {
    session::current().map_or_else(
        || bare_site(domain),
        |session| session.interner.lock().site(0, asker, domain),
    )
}

/// A code object is about to be freed: its address may stand for another one from now on.
#[cold]
#[inline(never)]
pub(crate) fn code_died(code: usize) {
    let Some(session) = session::current() else {
        return;
    };
    if session.interner.lock().forget_code(code) {
        super::cache::note_code_death();
    }
}
