//! Walking a native stack by its rules, and noting what was read.
//!
//! Invariant: words are read only between the stack pointer of a running hook and the end of the mapping that it lies in,
//! so on the live part of this thread's stack; each step leads further out, so every walk ends.

use super::rule::{Base, Rule};
use super::rules;
use crate::caller::Caller;
use crate::stack::intern;
use crate::sys::memory_map::{self, Region};
use crate::sys::syscall;

/// Rules that a thread remembers: direct-mapped, a power of two.
const RULES: usize = 512;
/// Frames of one path or segment; beyond, the stack is cut and counted.
const MOST_FRAMES: usize = 1024;
/// Stack that the reading of unwind tables may take, with much to spare: threads may have 16 KiB in all.
const READING_BYTES: usize = 32 << 10;
/// How often the system is asked for the stack's bounds in vain (there is no /proc, or no descriptor for it): asking takes a
/// system call, which must not become a habit of every event.
const MOST_VAIN_LOOKS: u32 = 16;

/// A value and where it was saved on the stack; address 0: it is still in its register.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Saved {
    pub(super) address: usize,
    pub(super) value: usize,
}

/// A word of the stack and what it held.
#[derive(Clone, Copy)]
pub(super) struct Check {
    pub(super) address: usize,
    pub(super) value: usize,
}

/// Where a walk is: at the return address that lies in a slot.
#[derive(Clone, Copy, Default)]
pub(super) struct Cursor {
    pub(super) slot: usize,
    pub(super) return_address: usize,
    pub(super) frame_pointer: Saved,
}

/// How a walk of one segment ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reached {
    /// At a return into the interpreter's loop.
    Interpreter,
    /// At the outermost frame of the thread.
    Outermost,
    /// Where nothing is known.
    Nowhere,
}

/// Reads a word of the stack.
///
/// # Safety
/// The address was seen to lie on the live part of this thread's stack.
#[inline(always)]
pub(super) unsafe fn read(address: usize) -> usize {
    // SAFETY: the caller's promise; volatile, as the program's frames write there without our knowing.
    unsafe { (address as *const usize).read_volatile() }
}

#[inline(always)]
pub(super) fn place_in(size: usize, key: usize) -> usize {
    key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (usize::BITS - size.trailing_zeros())
}

/// Walks the stack of one thread.
pub(super) struct Walker {
    stack: Region,
    /// How often the system did not tell the stack's bounds.
    vain_looks: u32,
    rules: [Rule; RULES],
    /// The return addresses of the latest walk, innermost first.
    pub(super) frames: Vec<usize>,
    /// The words that it depended on.
    pub(super) noted: Vec<Check>,
    /// Whether it depended on the frame pointer register at the hook's entry.
    pub(super) uses_register: bool,
}

impl Walker {
    /// Makes a walker in place: it is too large for some threads' stacks.
    ///
    /// # Safety
    /// `to` is the caller's to write.
    pub(super) unsafe fn initialise(to: *mut Walker) {
        // SAFETY: the caller's promise; every field is written.
        unsafe {
            (&raw mut (*to).stack).write(Region::default());
            (&raw mut (*to).vain_looks).write(0);
            for at in 0..RULES {
                (&raw mut (*to).rules[at]).write(Rule::EMPTY);
            }
            (&raw mut (*to).frames).write(Vec::new());
            (&raw mut (*to).noted).write(Vec::new());
            (&raw mut (*to).uses_register).write(false);
        }
    }

    /// Forgets everything: other code may be at the addresses, other stacks.
    pub(super) fn clear(&mut self) {
        self.stack = Region::default();
        self.rules.fill(Rule::EMPTY);
    }

    /// Begins a walk.
    pub(super) fn begin(&mut self) {
        self.frames.clear();
        self.noted.clear();
        self.uses_register = false;
    }

    /// Walks from a hook outwards, through `through` activations. Leaves the frames and the checks behind.
    pub(super) fn walk_out(
        &mut self,
        caller: Caller,
        through: usize,
        marker: impl Fn(usize) -> usize,
    ) -> (Reached, Cursor) {
        self.begin();
        let mut cursor = Cursor {
            slot: caller.slot(),
            return_address: caller.return_address(),
            frame_pointer: Saved {
                address: 0,
                value: caller.frame_pointer(),
            },
        };
        if !self.stack.holds_word(cursor.slot) {
            self.frames.push(cursor.return_address);
            intern::note_truncated();
            return (Reached::Nowhere, cursor);
        }
        for activation in 0..=through {
            let reached = self.walk_segment(&mut cursor, marker(activation));
            if reached != Reached::Interpreter || activation == through {
                return (reached, cursor);
            }
            let rule = self.rule(cursor.return_address);
            if !self.step(&mut cursor, rule) {
                break;
            }
        }
        intern::note_truncated();
        (Reached::Nowhere, cursor)
    }

    /// Walks to the next return into the interpreter's loop, adding what lies before it to `frames`. `marker` is an address
    /// in the frame of the loop (0: none is known): it tells where the loop's code is that the function's entry does not
    /// cover, as compilers move rare parts elsewhere.
    pub(super) fn walk_segment(&mut self, cursor: &mut Cursor, marker: usize) -> Reached {
        loop {
            let mut rule = self.rule(cursor.return_address);
            if !rule.is_interpreter && marker != 0 {
                let inside = cursor.slot..self.canonical(*cursor, rule).unwrap_or(0);
                if inside.contains(&marker) {
                    rule.is_interpreter = true;
                    self.remember(rule);
                    rules::note(rule);
                }
            }
            if rule.is_interpreter {
                return Reached::Interpreter;
            }
            if !rule.is_own {
                self.frames.push(cursor.return_address);
            }
            if rule.base == Base::Outermost {
                return Reached::Outermost;
            }
            if self.frames.len() >= MOST_FRAMES || !self.step(cursor, rule) {
                intern::note_truncated();
                return Reached::Nowhere;
            }
        }
    }

    /// The canonical address of the frame that a return leads into.
    fn canonical(&self, cursor: Cursor, rule: Rule) -> Option<usize> {
        let base = match rule.base {
            Base::StackPointer => cursor.slot + size_of::<usize>(),
            Base::FramePointer => cursor.frame_pointer.value,
            Base::Outermost | Base::Unknown => return None,
        };
        Some(base.wrapping_add_signed(rule.offset as isize))
    }

    /// Goes to the caller's frame; false when that is not on the stack, further out.
    pub(super) fn step(&mut self, cursor: &mut Cursor, rule: Rule) -> bool {
        let Some(canonical) = self.canonical(*cursor, rule) else {
            return false;
        };
        let slot = canonical.wrapping_sub(size_of::<usize>());
        if slot <= cursor.slot || !self.stack.holds_word(slot) {
            return false;
        }
        // The loop's own frame has a fixed size, so its slot tells all.
        if rule.base == Base::FramePointer && !rule.is_interpreter {
            match cursor.frame_pointer {
                Saved { address: 0, .. } => self.uses_register = true,
                Saved { address, value } => self.noted.push(Check { address, value }),
            }
        }
        if let Some(offset) = rule.saved_at() {
            let address = canonical.wrapping_add_signed(offset as isize);
            if address <= cursor.slot || !self.stack.holds_word(address) {
                return false;
            }
            cursor.frame_pointer = Saved {
                address,
                // SAFETY: it lies on this thread's stack, further out than the hook's entry.
                value: unsafe { read(address) },
            };
        }
        cursor.slot = slot;
        // SAFETY: as above.
        cursor.return_address = unsafe { read(slot) };
        self.noted.push(Check {
            address: slot,
            value: cursor.return_address,
        });
        true
    }

    /// Sees that the stack's bounds are known: the mapping around the stack pointer. True: it is another stack than before.
    pub(super) fn settle(&mut self, slot: usize) -> bool {
        if self.stack.holds_word(slot) {
            return false;
        }
        if self.vain_looks >= MOST_VAIN_LOOKS {
            return false;
        }
        let Some(found) = memory_map::region_of(slot) else {
            self.vain_looks += 1;
            return false;
        };
        // A main thread's stack grows at its start; another end is another stack.
        let is_another = found.end != self.stack.end;
        self.stack = found;
        is_another
    }

    /// The bounds of the stack that was walked last.
    pub(super) fn stack(&self) -> Region {
        self.stack
    }

    #[inline(always)]
    pub(super) fn rule(&mut self, return_address: usize) -> Rule {
        let at = place_in(RULES, return_address);
        match self.rules.get(at) {
            Some(rule) if rule.return_address == return_address => *rule,
            _ => {
                // SAFETY: the address was read from this thread's stack, from a frame that has not returned.
                let found = unsafe { rules::find(return_address, self.has_room()) };
                let Some(rule) = found else {
                    return Rule::unknown(return_address);
                };
                self.remember(rule);
                rule
            }
        }
    }

    /// Whether the thread's stack has room for the reading of unwind tables. A main thread's grows as it is needed.
    fn has_room(&self) -> bool {
        let here = 0u8;
        let left = (&raw const here as usize).saturating_sub(self.stack.start);
        left >= READING_BYTES || syscall::thread_id() == syscall::process_id()
    }

    fn remember(&mut self, rule: Rule) {
        if let Some(place) = self.rules.get_mut(place_in(RULES, rule.return_address)) {
            *place = rule;
        }
    }
}
