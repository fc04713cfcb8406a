//! How much stack a function takes, read from its instructions in their order.
//!
//! Invariant: never too little. Pushes of different paths are added up, so it may be too much.

use iced_x86::{Instruction, Mnemonic, OpKind, Register};

/// A length that is known at run time only.
const UNBOUNDED: u64 = 1 << 32;
/// What a probe of a large frame goes down at a time.
const PROBE_BYTES: u64 = 4096;

/// What was seen of a function so far.
#[derive(Default)]
pub(crate) struct Frame {
    pushed: u64,
    subtracted: u64,
    aligned: u64,
    /// What a leaf function uses below its stack pointer.
    below: u64,
    /// The next subtraction is that of a loop whose way was counted whole.
    in_probe: bool,
}

impl Frame {
    /// Takes note of an instruction.
    pub(crate) fn follow(&mut self, instruction: &Instruction) {
        let changes_pointer = instruction.op0_kind() == OpKind::Register
            && instruction.op0_register() == Register::RSP;
        match instruction.mnemonic() {
            Mnemonic::Push => self.pushed += 8,
            Mnemonic::Sub if changes_pointer => match instruction.try_immediate(1) {
                Ok(PROBE_BYTES) if self.in_probe => self.in_probe = false,
                Ok(bytes) => self.subtracted += bytes,
                Err(_) => self.subtracted += UNBOUNDED,
            },
            Mnemonic::And if changes_pointer => {
                self.aligned = (instruction.immediate(1) as i64).unsigned_abs();
            }
            _ => {}
        }
        let displacement = instruction.memory_displacement64() as i64;
        if instruction.memory_base() == Register::RSP && displacement < 0 {
            let bytes = displacement.unsigned_abs();
            if instruction.mnemonic() == Mnemonic::Lea && bytes >= PROBE_BYTES {
                // The end of a loop that touches every page on its way down.
                self.subtracted += bytes;
                self.in_probe = true;
            } else {
                self.below = self.below.max(bytes);
            }
        }
    }

    /// Bytes of stack, with the return address.
    pub(crate) fn bytes(&self) -> u64 {
        8 + self.pushed + self.subtracted + self.aligned + self.below
    }
}
