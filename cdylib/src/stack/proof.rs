//! Stacks in hooks that a signal handler may have called: every pointer is proven before it is followed.
//!
//! A handler can interrupt the interpreter between any two instructions: while it enters a frame, the thread state may
//! name a frame that is not filled in, or memory that never was one. CPython's own callers of the mem and object hooks cannot be
//! handlers (those allocators are not async-signal-safe); libc's malloc, mmap and the raw domain are called by some.
//!
//! Invariant: a chain that was proven consists of readable frames, ends, and each of its frames that runs Python code has
//! a readable code object with readable names. Entered by the owner thread alone, in hooks.

use crate::python::Python;
use crate::python::layout::Layout;
use crate::sys::syscall;

/// Bytes of a frame or code object within which every field lies that is read of it.
const LARGEST_FIELD: usize = 256;
const PAGE_BYTES: usize = 4096;

/// Recently proven things that are remembered, by kind.
const PAGES: usize = 64;
const CODES: usize = 256;

/// Neither a page nor a code object.
const NONE: usize = usize::MAX;
/// Nothing lies below.
const LOWEST: usize = 4096;

/// What was proven lately.
pub(super) struct Proof {
    pages: [usize; PAGES],
    codes: [usize; CODES],
}

impl Proof {
    pub(super) const fn new() -> Proof {
        Proof {
            pages: [NONE; PAGES],
            codes: [NONE; CODES],
        }
    }

    /// Forgets everything: memory was unmapped, or code objects died.
    pub(super) fn clear(&mut self) {
        *self = Proof::new();
    }

    /// Whether the chain of frames that begins at `frame` can be read to its end.
    pub(super) fn holds(&mut self, python: &Python, frame: *const u8) -> bool {
        let layout = python.layout();
        // Brent: a second pointer waits at powers of two, so that a chain without end is found out.
        let (mut at, mut waiting) = (frame, core::ptr::null());
        let (mut steps, mut next_wait) = (0u64, 64u64);
        while !at.is_null() {
            if at == waiting || !self.holds_frame(python, at) {
                return false;
            }
            steps += 1;
            if steps == next_wait {
                waiting = at;
                next_wait *= 2;
            }
            // SAFETY: seen to be readable just now.
            at = unsafe { layout.previous(at) };
        }
        true
    }

    /// Whether a frame and what is read of its code can be read.
    #[inline]
    pub(super) fn holds_frame(&mut self, python: &Python, frame: *const u8) -> bool {
        let layout = python.layout();
        if !self.is_readable(frame as usize, LARGEST_FIELD.min(layout.frame_bytes())) {
            return false;
        }
        // SAFETY: seen to be readable just now.
        unsafe {
            if layout.is_shim(frame) {
                return true;
            }
            let code = layout.code(frame);
            let known = &mut self.codes[(code >> 4) % CODES];
            if *known == code {
                return true;
            }
            if !self.holds_code(python, layout, code) {
                return false;
            }
            self.codes[(code >> 4) % CODES] = code;
        }
        true
    }

    /// Whether a code object can be read as far as it will be.
    #[cold]
    fn holds_code(&mut self, python: &Python, layout: &Layout, code: usize) -> bool {
        // SAFETY: each field is read after the object that holds it was seen to be readable.
        unsafe {
            self.is_readable(code, LARGEST_FIELD)
                && python.is_code(code as *const u8)
                && layout
                    .parts_of_code(code as *const u8)
                    .iter()
                    .all(|&part| self.is_readable(part as usize, LARGEST_FIELD / 2))
                && layout
                    .extents_of_code(code as *const u8)
                    .iter()
                    .all(|&(start, size)| self.is_readable(start as usize, size))
        }
    }

    /// Whether `[address, address + size)` can be read. A page that could be read once is taken to be readable until
    /// [`Proof::clear`].
    #[inline]
    fn is_readable(&mut self, address: usize, size: usize) -> bool {
        let Some(last) = address.checked_add(size.max(1) - 1) else {
            return false;
        };
        address >= LOWEST
            && address.is_multiple_of(size_of::<usize>())
            && (address / PAGE_BYTES..=last / PAGE_BYTES).all(|page| {
                let known = &mut self.pages[page % PAGES];
                if *known == page {
                    return true;
                }
                let readable = syscall::is_readable(page * PAGE_BYTES);
                if readable {
                    *known = page;
                }
                readable
            })
    }
}
