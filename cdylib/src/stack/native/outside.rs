//! What lies outside of the innermost activation of the interpreter's loop: the other activations, and the native frames
//! between them.
//!
//! Invariant: the checks of an activation are the words that the walk from it to the next one outside depended on.

use super::walk::{Check, Cursor, Reached, Walker, read};
use crate::stack::intern::{self, NO_FRAMES};

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

/// The activations of a thread's stack, from the outermost to the innermost.
#[derive(Default)]
pub(super) struct Outside {
    activations: Vec<Activation>,
    checks: Vec<Check>,
}

impl Outside {
    /// Forgets all but the outermost activations.
    pub(super) fn truncate(&mut self, count: usize) {
        if let Some(first) = self.activations.get(count) {
            self.checks.truncate(first.first_check);
            self.activations.truncate(count);
        }
    }

    /// The frames outside of an activation, counted from the outermost.
    pub(super) fn segment_outside(&self, activation: usize) -> u32 {
        self.activations
            .get(activation)
            .map_or(NO_FRAMES, |activation| activation.segment)
    }

    /// Whether everything outside of the innermost activation is as it was: `activations` of them, the return into the
    /// innermost lying in `slot`.
    #[inline(always)]
    pub(super) fn holds(&self, slot: usize, activations: usize) -> bool {
        self.activations.len() == activations
            && self
                .activations
                .last()
                .is_some_and(|last| last.slot == slot)
            // SAFETY: words of this thread's stack, between its live end and its beginning: further out than `inner`.
            && self.checks.iter().all(|check| unsafe { read(check.address) == check.value })
    }

    /// Makes the activations those of the stack as it is: keeps those that still hold, walks the others from `end`, the
    /// return into the innermost. Returns how many were kept.
    pub(super) fn repair(
        &mut self,
        walker: &mut Walker,
        end: Cursor,
        activations: usize,
        marker: impl Fn(usize) -> usize,
    ) -> usize {
        self.truncate(activations);
        self.truncate(self.holding());
        let mut cursor = end;
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
            let slot = if lost { end.slot } else { cursor.slot };
            walker.begin();
            if left > 1 && !lost {
                let rule = walker.rule(cursor.return_address);
                let next = marker(activations - left + 1);
                lost = !walker.step(&mut cursor, rule)
                    || walker.walk_segment(&mut cursor, next) != Reached::Interpreter
                    // Nothing could tell later that the register is as it is now.
                    || walker.uses_register;
                if lost {
                    intern::note_truncated();
                }
            }
            missing.push(Activation {
                slot,
                segment: intern::segment(&walker.frames),
                first_check: noted.len(),
            });
            noted.append(&mut walker.noted);
            left -= 1;
        }
        let kept = self.activations.len();
        let mut last = noted.len();
        for activation in missing.iter().rev() {
            let first_check = self.checks.len();
            self.checks
                .extend(noted.get(activation.first_check..last).unwrap_or(&[]));
            last = activation.first_check;
            self.activations.push(Activation {
                first_check,
                ..*activation
            });
        }
        kept
    }

    /// How many activations hold, from the outermost on.
    fn holding(&self) -> usize {
        // SAFETY: as in `holds`.
        let broken = |check: &Check| unsafe { read(check.address) != check.value };
        match self.checks.iter().position(broken) {
            None => self.activations.len(),
            Some(broken) => self
                .activations
                .partition_point(|activation| activation.first_check <= broken)
                .saturating_sub(1),
        }
    }
}
