//! The native part of stacks (`PYTRACE_NATIVE=full`): the C frames between the allocator and the interpreter's loop, and
//! those between two activations of the loop, where C code calls back into Python.
//!
//! A *path* is the native stack from the hook to the innermost activation of the loop, or to the outermost frame where no
//! Python runs. An *activation* is one call of the loop; outside of it lies a *segment* of frames up to the next one.
//! Walking follows rules made of unwind tables. What a walk read from the stack is remembered as *checks*: if the stack
//! pointer, and where it matters the frame pointer, are the same and all those words read as before, then by induction
//! from frame to frame the walk would go the same way: the stack is the same. That is what events verify.
//!
//! Invariant: words are read only between the stack pointer of a running hook and the end of the mapping that it lies in,
//! so on the live part of this thread's stack. Entered by the owner thread alone, in allocation hooks.

mod rule;
mod rules;
mod unwind_table;

use crate::caller::Caller;
use crate::stack::intern::{self, NO_FRAMES};
use crate::sys::memory_map::{self, Region};
use rule::{Base, Rule};
pub(crate) use rules::Rules;

/// Paths and rules that a thread remembers: direct-mapped, powers of two.
const PATHS: usize = 256;
const RULES: usize = 512;
/// Words that a remembered path may have been read from; longer ones are walked every time.
const MOST_CHECKS: usize = 14;
/// Frames of one path or segment; beyond, the stack is cut and counted.
const MOST_FRAMES: usize = 1024;

/// A value and where it was saved on the stack; address 0: it is still in its register.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Saved {
    address: usize,
    value: usize,
}

/// A word of the stack and what it held.
#[derive(Clone, Copy)]
struct Check {
    address: usize,
    value: usize,
}

/// Where a walk is: at the return address that lies in a slot.
#[derive(Clone, Copy, Default)]
struct Cursor {
    slot: usize,
    return_address: usize,
    frame_pointer: Saved,
}

/// A path, as it was walked.
#[derive(Clone, Copy)]
struct Path {
    /// The stack pointer at the hook's entry; 0: nothing is remembered here.
    slot: usize,
    return_address: usize,
    /// The frame pointer at the hook's entry, if the walk used it.
    frame_pointer: usize,
    uses_frame_pointer: bool,
    checks: u8,
    /// The frames, a row of the interner's.
    segment: u32,
    /// The return into the interpreter's loop; its slot is 0 when none was found.
    end: Cursor,
    noted: [Check; MOST_CHECKS],
}

const EMPTY_PATH: Path = Path {
    slot: 0,
    return_address: 0,
    frame_pointer: 0,
    uses_frame_pointer: false,
    checks: 0,
    segment: NO_FRAMES,
    end: Cursor {
        slot: 0,
        return_address: 0,
        frame_pointer: Saved {
            address: 0,
            value: 0,
        },
    },
    noted: [Check {
        address: 0,
        value: 0,
    }; MOST_CHECKS],
};

/// An activation of the interpreter's loop.
#[derive(Clone, Copy)]
struct Activation {
    /// Where the return address into it lies, of the call that it is in. The loop's frame has a fixed size, so this tells
    /// where the frame is.
    slot: usize,
    /// The frames outside of it; none for the outermost activation, whose outside is not walked.
    segment: u32,
    /// Its first check; the last is before the next activation's first.
    first_check: usize,
}

/// What a thread remembers of its native stack.
pub(crate) struct NativeCache {
    stack: Region,
    rules: [Rule; RULES],
    paths: [Path; PATHS],
    /// From the outermost to the innermost.
    activations: Vec<Activation>,
    checks: Vec<Check>,
    /// The walk under way.
    frames: Vec<usize>,
    noted: Vec<Check>,
    uses_register: bool,
}

/// How a walk of one segment ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reached {
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
unsafe fn read(address: usize) -> usize {
    // SAFETY: the caller's promise; volatile, as the program's frames write there without our knowing.
    unsafe { (address as *const usize).read_volatile() }
}

#[inline(always)]
fn place_in(size: usize, key: usize) -> usize {
    key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (usize::BITS - size.trailing_zeros())
}

impl Path {
    /// Whether the stack still is as it was when the path was walked.
    #[inline(always)]
    fn holds(&self, caller: Caller, return_address: usize) -> bool {
        if self.slot != caller.slot()
            || self.return_address != return_address
            || (self.uses_frame_pointer && self.frame_pointer != caller.frame_pointer())
        {
            return false;
        }
        // SAFETY: `checks` of them are filled in. The stack pointer is where it was, and the walk read these words on the
        // same stack (another stack would have been noticed by `settle`, which forgets all paths).
        unsafe {
            let mut check = self.noted.as_ptr();
            let end = check.add(usize::from(self.checks));
            while check < end {
                if read((*check).address) != (*check).value {
                    return false;
                }
                check = check.add(1);
            }
        }
        true
    }
}

impl NativeCache {
    /// Maps a cache; it is large, so it does not go by way of the stack.
    pub(crate) fn new() -> Box<NativeCache> {
        let mut cache = Box::<NativeCache>::new_uninit();
        let to = cache.as_mut_ptr();
        // SAFETY: each field is written in place once, then all are initialised.
        unsafe {
            (&raw mut (*to).stack).write(Region::default());
            (&raw mut (*to).activations).write(Vec::new());
            (&raw mut (*to).checks).write(Vec::new());
            (&raw mut (*to).frames).write(Vec::new());
            (&raw mut (*to).noted).write(Vec::new());
            (&raw mut (*to).uses_register).write(false);
            for at in 0..RULES {
                (&raw mut (*to).rules[at]).write(Rule::EMPTY);
            }
            for at in 0..PATHS {
                (&raw mut (*to).paths[at]).write(EMPTY_PATH);
            }
            cache.assume_init()
        }
    }

    /// Forgets everything: for a new owner, or when code was unloaded.
    pub(crate) fn clear(&mut self) {
        self.stack = Region::default();
        self.rules.fill(Rule::EMPTY);
        self.forget_walks();
    }

    fn forget_walks(&mut self) {
        self.paths.fill(EMPTY_PATH);
        self.truncate(0);
    }

    /// Forgets all but the outermost activations.
    pub(crate) fn truncate(&mut self, count: usize) {
        if let Some(first) = self.activations.get(count) {
            self.checks.truncate(first.first_check);
            self.activations.truncate(count);
        }
    }

    /// The frames outside of an activation, counted from the outermost.
    pub(crate) fn segment_outside(&self, activation: usize) -> u32 {
        self.activations
            .get(activation)
            .map_or(NO_FRAMES, |activation| activation.segment)
    }

    /// The frames between a hook and the interpreter's loop, and where the loop was reached. `position` is where the running
    /// Python frame is (0: there is none): mostly it tells the path.
    #[inline(always)]
    pub(crate) fn path(
        &mut self,
        caller: Caller,
        position: u64,
        marker: impl Fn(usize) -> usize,
    ) -> (u32, Return) {
        let return_address = caller.return_address();
        let at = place_in(
            PATHS,
            return_address ^ position as usize ^ caller.slot() << 20,
        );
        // SAFETY: `place_in` gives an index below the table's size.
        let path = unsafe { self.paths.get_unchecked(at) };
        if path.holds(caller, return_address) {
            return (path.segment, Return(path.end));
        }
        self.walk_path(caller, at, marker)
    }

    #[cold]
    #[inline(never)]
    fn walk_path(
        &mut self,
        caller: Caller,
        at: usize,
        marker: impl Fn(usize) -> usize,
    ) -> (u32, Return) {
        let (reached, end) = self.walk_out(caller, 0, marker);
        let segment = intern::segment(&self.frames);
        let end = match reached {
            Reached::Interpreter => end,
            _ => Cursor::default(),
        };
        let mut path = Path {
            slot: caller.slot(),
            return_address: caller.return_address(),
            frame_pointer: caller.frame_pointer(),
            uses_frame_pointer: self.uses_register,
            checks: self.noted.len().min(MOST_CHECKS) as u8,
            segment,
            end,
            ..EMPTY_PATH
        };
        if self.noted.len() <= MOST_CHECKS && reached != Reached::Nowhere {
            for (place, check) in path.noted.iter_mut().zip(&self.noted) {
                *place = *check;
            }
            if let Some(place) = self.paths.get_mut(at) {
                *place = path;
            }
        }
        (segment, Return(end))
    }

    /// The same when the innermost `starting` activations run no Python frame yet: the path goes through them.
    #[cold]
    #[inline(never)]
    pub(crate) fn path_through(
        &mut self,
        caller: Caller,
        starting: usize,
        marker: impl Fn(usize) -> usize,
    ) -> (u32, Return) {
        let (reached, end) = self.walk_out(caller, starting, marker);
        let end = match reached {
            Reached::Interpreter => end,
            _ => Cursor::default(),
        };
        (intern::segment(&self.frames), Return(end))
    }

    /// Walks from a hook outwards, through `through` activations. Leaves the frames and the checks behind.
    fn walk_out(
        &mut self,
        caller: Caller,
        through: usize,
        marker: impl Fn(usize) -> usize,
    ) -> (Reached, Cursor) {
        self.frames.clear();
        self.noted.clear();
        self.uses_register = false;
        let mut cursor = Cursor {
            slot: caller.slot(),
            return_address: caller.return_address(),
            frame_pointer: Saved {
                address: 0,
                value: caller.frame_pointer(),
            },
        };
        if !self.settle(cursor.slot) {
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

    /// Whether everything outside of the innermost activation is as it was: `activations` of them, the loop being returned
    /// to as `inner` says.
    #[inline(always)]
    pub(crate) fn outside_holds(&self, inner: Return, activations: usize) -> bool {
        self.activations.len() == activations
            && self
                .activations
                .last()
                .is_some_and(|last| last.slot == inner.0.slot)
            // SAFETY: words of this thread's stack, between its live end and its beginning: further out than `inner`.
            && self.checks.iter().all(|check| unsafe { read(check.address) == check.value })
    }

    /// Makes the activations those of the stack as it is: keeps those that still hold, walks the others. Returns how
    /// many were kept.
    #[cold]
    #[inline(never)]
    pub(crate) fn repair(
        &mut self,
        caller: Caller,
        inner: Return,
        activations: usize,
        marker: impl Fn(usize) -> usize,
    ) -> usize {
        self.truncate(activations);
        self.truncate(self.holding());
        let mut cursor = inner.0;
        // The path to the loop holds, so the frame pointer was saved where it was; its value may be another.
        cursor.frame_pointer.value = match cursor.frame_pointer.address {
            0 => caller.frame_pointer(),
            // SAFETY: a word of this thread's stack, between the hook and the loop.
            address => unsafe { read(address) },
        };
        self.uses_register = false;
        let mut missing: Vec<Activation> = Vec::new();
        let mut noted = Vec::new();
        // Activations that are not accounted for yet; the innermost of them is the one that `cursor` returns into.
        let mut left = activations;
        let mut lost = cursor.slot == 0;
        while left > 0 {
            match self.activations.get(left - 1) {
                Some(known) if known.slot == cursor.slot && !lost => break,
                Some(_) => self.truncate(left - 1),
                None => {}
            }
            let slot = if lost { inner.0.slot } else { cursor.slot };
            self.frames.clear();
            self.noted.clear();
            if left > 1 && !lost {
                let rule = self.rule(cursor.return_address);
                let next = marker(activations - left + 1);
                lost = !self.step(&mut cursor, rule)
                    || self.walk_segment(&mut cursor, next) != Reached::Interpreter
                    // Nothing could tell later that the register is as it is now.
                    || self.uses_register;
                if lost {
                    intern::note_truncated();
                }
            }
            missing.push(Activation {
                slot,
                segment: intern::segment(&self.frames),
                first_check: noted.len(),
            });
            noted.append(&mut self.noted);
            left -= 1;
        }
        let kept = self.activations.len();
        let mut end = noted.len();
        for activation in missing.iter().rev() {
            let first_check = self.checks.len();
            self.checks
                .extend(noted.get(activation.first_check..end).unwrap_or(&[]));
            end = activation.first_check;
            self.activations.push(Activation {
                first_check,
                ..*activation
            });
        }
        kept
    }

    /// How many activations hold, from the outermost on.
    fn holding(&self) -> usize {
        // SAFETY: as in `outside_holds`.
        let broken = |check: &Check| unsafe { read(check.address) != check.value };
        match self.checks.iter().position(broken) {
            None => self.activations.len(),
            Some(broken) => self
                .activations
                .partition_point(|activation| activation.first_check <= broken)
                .saturating_sub(1),
        }
    }

    /// Walks to the next return into the interpreter's loop, adding what lies before it to `frames`. `marker` is an address
    /// in the frame of the loop (0: none is known): it tells where the loop's code is that the function's entry does not
    /// cover, as compilers move rare parts elsewhere.
    fn walk_segment(&mut self, cursor: &mut Cursor, marker: usize) -> Reached {
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
            self.frames.push(cursor.return_address);
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
    fn step(&mut self, cursor: &mut Cursor, rule: Rule) -> bool {
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

    /// Sees that the stack's bounds are known: the mapping around the stack pointer. False when the system does not tell.
    fn settle(&mut self, slot: usize) -> bool {
        if self.stack.holds_word(slot) {
            return true;
        }
        let Some(found) = memory_map::region_of(slot) else {
            return false;
        };
        // A main thread's stack grows at its start; another end is another stack.
        if found.end != self.stack.end {
            self.forget_walks();
        }
        self.stack = found;
        self.stack.holds_word(slot)
    }

    /// The bounds of the stack that was walked last.
    pub(crate) fn stack(&self) -> Region {
        self.stack
    }

    #[inline(always)]
    fn rule(&mut self, return_address: usize) -> Rule {
        let at = place_in(RULES, return_address);
        match self.rules.get(at) {
            Some(rule) if rule.return_address == return_address => *rule,
            _ => {
                // SAFETY: the address was read from this thread's stack, from a frame that has not returned.
                let rule = unsafe { rules::find(return_address) };
                self.remember(rule);
                rule
            }
        }
    }

    fn remember(&mut self, rule: Rule) {
        if let Some(place) = self.rules.get_mut(place_in(RULES, rule.return_address)) {
            *place = rule;
        }
    }
}

/// A return into the interpreter's loop; none, when a walk did not find the loop.
#[derive(Clone, Copy)]
pub(crate) struct Return(Cursor);
