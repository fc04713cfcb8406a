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

mod outside;
mod rule;
mod rules;
mod unwind_table;
mod walk;

use core::ptr::NonNull;

use crate::caller::Caller;
use crate::stack::intern;
use crate::sys::heap;
use crate::sys::memory_map::Region;
use outside::Outside;
pub(crate) use rules::Rules;
use walk::{Check, Cursor, Reached, Walker, place_in, read};

/// Paths that a thread remembers: a power of two, in sets. Recursive C code reaches the same place of the stack in many ways,
/// so a set has several.
const PATHS: usize = 512;
const SET: usize = 4;
/// Words that a remembered path may have been read from; longer ones are walked every time.
const MOST_CHECKS: usize = 28;

/// Size of all paths, bytes.
const PATHS_BYTES: usize = (size_of::<Path>() * PATHS).next_multiple_of(4096);

/// A path, as it was walked. All-zero is one that nothing is remembered in.
#[repr(C)]
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

/// A path that holds: what a site is made of.
#[derive(Clone, Copy, Default)]
pub(crate) struct Walked {
    /// The frames, a row of the interner's.
    pub(crate) segment: u32,
    /// Where the return into the interpreter's loop lies; 0 when it was not found.
    slot: usize,
    /// Where the path is remembered, or [`NOT_KEPT`].
    at: usize,
}

/// The place of a path that was walked just now.
const NOT_KEPT: usize = usize::MAX;

/// What a thread remembers of its native stack.
pub(crate) struct NativeCache {
    walker: Walker,
    /// Memory of its own, which is used as far as paths are long.
    paths: NonNull<[Path; PATHS]>,
    /// Which path of a set is replaced next.
    victim: usize,
    /// The end of the latest path that was walked.
    unkept: Cursor,
    outside: Outside,
}

const _: () = assert!(size_of::<Path>() == 512);

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
    /// Makes a cache in place: it is too large for some threads' stacks. `None`: there is no memory.
    pub(crate) fn new() -> Option<Box<NativeCache>> {
        let paths = NonNull::new(heap::map(PATHS_BYTES)?.cast())?;
        let mut cache = Box::<NativeCache>::new_uninit();
        let to = cache.as_mut_ptr();
        // SAFETY: the memory is ours, and every field is written.
        unsafe {
            Walker::initialise(&raw mut (*to).walker);
            (&raw mut (*to).paths).write(paths);
            (&raw mut (*to).victim).write(0);
            (&raw mut (*to).unkept).write(Cursor::default());
            (&raw mut (*to).outside).write(Outside::default());
            Some(cache.assume_init())
        }
    }

    fn paths(&mut self) -> &mut [Path; PATHS] {
        // SAFETY: mapped by `new`, zeroed, which is a value of each path; unmapped by `drop`.
        unsafe { self.paths.as_mut() }
    }

    /// Forgets everything: native code was unloaded.
    pub(crate) fn clear(&mut self) {
        self.walker.clear();
        self.forget_walks();
    }

    fn forget_walks(&mut self) {
        for path in self.paths().iter_mut().filter(|path| path.slot != 0) {
            path.slot = 0;
        }
        self.outside.truncate(0);
    }

    /// The bounds of the stack that was walked last.
    pub(crate) fn stack(&self) -> Region {
        self.walker.stack()
    }

    /// The frames outside of an activation, counted from the outermost.
    pub(crate) fn segment_outside(&self, activation: usize) -> u32 {
        self.outside.segment_outside(activation)
    }

    /// Whether everything outside of the innermost activation is as it was: `activations` of them, the path `inner` leading
    /// to the innermost.
    #[inline(always)]
    pub(crate) fn outside_holds(&self, inner: Walked, activations: usize) -> bool {
        self.outside.holds(inner.slot, activations)
    }

    /// Makes the activations those of the stack as it is: keeps those that still hold, walks the others. Returns how
    /// many were kept.
    #[cold]
    #[inline(never)]
    pub(crate) fn repair(
        &mut self,
        caller: Caller,
        inner: Walked,
        activations: usize,
        marker: impl Fn(usize) -> usize,
    ) -> usize {
        let mut end = match self.paths().get(inner.at) {
            Some(path) => path.end,
            None => self.unkept,
        };
        // The path to the loop holds, so the frame pointer was saved where it was; its value may be another.
        end.frame_pointer.value = match end.frame_pointer.address {
            0 => caller.frame_pointer(),
            // SAFETY: a word of this thread's stack, between the hook and the loop.
            address => unsafe { read(address) },
        };
        self.outside
            .repair(&mut self.walker, end, activations, marker)
    }

    /// The frames between a hook and the interpreter's loop, and where the loop was reached. `position` is where the running
    /// Python frame is (0: there is none): mostly it tells the path.
    #[inline(always)]
    pub(crate) fn path(
        &mut self,
        caller: Caller,
        position: u64,
        marker: impl Fn(usize) -> usize,
    ) -> Walked {
        let return_address = caller.return_address();
        let key = return_address ^ position as usize ^ caller.slot() << 20;
        let first = place_in(PATHS / SET, key) * SET;
        for at in first..first + SET {
            // SAFETY: as in `paths`; `place_in` gives a set's number.
            let path = unsafe { self.paths.as_ref().get_unchecked(at) };
            if path.holds(caller, return_address) {
                return Walked {
                    segment: path.segment,
                    slot: path.end.slot,
                    at,
                };
            }
        }
        self.victim = (self.victim + 1) % SET;
        self.walk_path(caller, first + self.victim, marker)
    }

    fn walk_out(
        &mut self,
        caller: Caller,
        through: usize,
        marker: impl Fn(usize) -> usize,
    ) -> (Reached, Cursor) {
        if self.walker.settle(caller.slot()) {
            self.forget_walks();
        }
        self.walker.walk_out(caller, through, marker)
    }

    #[cold]
    #[inline(never)]
    fn walk_path(&mut self, caller: Caller, at: usize, marker: impl Fn(usize) -> usize) -> Walked {
        let (reached, end) = self.walk_out(caller, 0, marker);
        let segment = intern::segment(&self.walker.frames);
        let end = match reached {
            Reached::Interpreter => end,
            _ => Cursor::default(),
        };
        let Walker {
            noted,
            uses_register,
            ..
        } = &self.walker;
        // SAFETY: as in `paths`; nothing else refers to them now.
        if let Some(path) = unsafe { self.paths.as_mut() }.get_mut(at)
            && noted.len() <= MOST_CHECKS
            && reached != Reached::Nowhere
        {
            path.slot = caller.slot();
            path.return_address = caller.return_address();
            path.frame_pointer = caller.frame_pointer();
            path.uses_frame_pointer = *uses_register;
            path.checks = noted.len() as u8;
            path.segment = segment;
            path.end = end;
            for (place, check) in path.noted.iter_mut().zip(noted) {
                *place = *check;
            }
        }
        self.unkept = end;
        Walked {
            segment,
            slot: end.slot,
            at: NOT_KEPT,
        }
    }

    /// The same when the innermost `starting` activations run no Python frame yet: the path goes through them.
    #[cold]
    #[inline(never)]
    pub(crate) fn path_through(
        &mut self,
        caller: Caller,
        starting: usize,
        marker: impl Fn(usize) -> usize,
    ) -> Walked {
        let (reached, end) = self.walk_out(caller, starting, marker);
        let end = match reached {
            Reached::Interpreter => end,
            _ => Cursor::default(),
        };
        self.unkept = end;
        Walked {
            segment: intern::segment(&self.walker.frames),
            slot: end.slot,
            at: NOT_KEPT,
        }
    }
}

impl Drop for NativeCache {
    fn drop(&mut self) {
        // SAFETY: mapped by `new`, and nobody refers to it any more.
        unsafe { heap::unmap(self.paths.as_ptr().cast(), PATHS_BYTES) };
    }
}
