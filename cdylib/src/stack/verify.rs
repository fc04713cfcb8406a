//! The test build (`--features verify`): after every event, the frames are walked plainly, their names and lines are read
//! anew, and the site that the caches gave must say the same. The first difference ends the program with a line.
//!
//! Entered by the owner thread, in allocation hooks, after its caches have answered.

use core::sync::atomic::{AtomicU64, Ordering};

use super::intern::{Interner, MOST_NODES};
use super::names::FrameRow;
use crate::python::Python;
use crate::session::Session;
use crate::sys::file::say;

/// How many sites were checked.
static CHECKED: AtomicU64 = AtomicU64::new(0);

/// How many sites were checked so far, for programs that want to be sure that this is the test build.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(crate) extern "C" fn pytrace_verified() -> u64 {
    CHECKED.load(Ordering::Relaxed)
}

/// A Python frame of a stack.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    function: String,
    file: String,
    line: u32,
}

/// Checks that `site` holds the stack that begins at `running` (null: none), its innermost `depth` frames or all (0).
///
/// # Safety
/// `running` is null or the running frame of this thread.
pub(crate) unsafe fn check(session: &Session, running: *const u8, site: u32) {
    let (python, depth) = (session.python, session.depth);
    let interner = session.interner.lock();
    if interner.nodes.len() >= MOST_NODES {
        return; // new stacks share the empty one
    }
    let mut recorded = Recorded::of(&interner, site);
    let mut frame = running;
    let mut position = 0;
    while depth == 0 || position < depth {
        // SAFETY: the caller's promise: every frame of the chain is live.
        let (seen, next) = unsafe { next_frame(python, frame) };
        frame = next;
        let expected = recorded.next();
        if seen != expected {
            fail(site, position, seen.as_ref(), expected.as_ref());
        }
        if seen.is_none() {
            break;
        }
        position += 1;
    }
    if let Some(left) = recorded.next() {
        fail(site, position, None, Some(&left));
    }
    CHECKED.fetch_add(1, Ordering::Relaxed);
}

/// The first frame from `frame` on that CPython's own walkers would show, and its caller.
///
/// # Safety
/// `frame` is null or a live frame of this thread.
unsafe fn next_frame(python: &Python, mut frame: *const u8) -> (Option<Seen>, *const u8) {
    let layout = python.layout();
    while !frame.is_null() {
        // SAFETY: a live frame; its `previous` is null or another. A running frame keeps its code alive.
        unsafe {
            let previous = layout.previous(frame);
            if !layout.is_shim(frame) {
                let place = layout.place(frame);
                if !place.is_incomplete {
                    let (file, function) = python.names(place.code);
                    let line = python.line(place, &mut Default::default());
                    let seen = Seen {
                        function,
                        file,
                        line,
                    };
                    return (Some(seen), previous);
                }
            }
            frame = previous;
        }
    }
    (None, frame)
}

/// The Python frames of a site, innermost first.
struct Recorded<'a> {
    interner: &'a Interner,
    node: u32,
}

impl<'a> Recorded<'a> {
    fn of(interner: &'a Interner, site: u32) -> Self {
        let node = interner.sites.get(site).map_or(0, |row| row.node);
        Recorded { interner, node }
    }

    fn text(&self, number: u32) -> String {
        let known = self.interner.strings.get(number);
        known.cloned().unwrap_or_default()
    }
}

impl Iterator for Recorded<'_> {
    type Item = Seen;

    fn next(&mut self) -> Option<Seen> {
        loop {
            // Nodes are numbered from 1.
            let row = *self.interner.nodes.get(self.node.checked_sub(1)?)?;
            self.node = row.parent;
            if let FrameRow::Python {
                function,
                file,
                line,
            } = *self.interner.frames.get(row.frame)?
            {
                return Some(Seen {
                    function: self.text(function),
                    file: self.text(file),
                    line,
                });
            }
        }
    }
}

#[cold]
fn fail(site: u32, position: usize, seen: Option<&Seen>, recorded: Option<&Seen>) -> ! {
    say(&format!(
        "verify: site {site}, frame {position}: the walk gives {seen:?}, the caches {recorded:?}"
    ));
    std::process::abort()
}
