//! What is copied of a code object when one of its instructions is first seen in a stack: names, and the line.

use super::Python;
use super::layout::Instruction;
use super::lines;
use super::text;

/// Longest line table that is read; no compiler makes a longer one.
const LONGEST_LINE_TABLE: usize = 1 << 26;

/// Where a frame is: its code object and the instruction, in bytes from the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) code: usize,
    pub(crate) offset: i32,
}

/// Bits of a packed position that hold the instruction's index (3.8–3.10); the code object's address has the rest.
const INDEX_BITS: u32 = 21;
/// The largest index that is told apart: a function of two million instructions.
const LARGEST_INDEX: u64 = (1 << INDEX_BITS) - 1;

impl Python {
    /// The caller of a frame; null for the root.
    ///
    /// # Safety
    /// `frame` is a live frame of this thread.
    #[inline(always)]
    pub(crate) unsafe fn previous(&self, frame: *const u8) -> *const u8 {
        // SAFETY: the caller's promise, and the layout of this version.
        unsafe {
            frame
                .add(self.layout().frame_previous)
                .cast::<*const u8>()
                .read()
        }
    }

    /// Code object and instruction of a frame in one word, for comparisons. From 3.11 on the instruction pointer tells
    /// both.
    ///
    /// # Safety
    /// `frame` is a live frame of this thread.
    #[inline(always)]
    pub(crate) unsafe fn position(&self, frame: *const u8) -> u64 {
        let layout = self.layout();
        // SAFETY: the caller's promise, and the layout of this version.
        unsafe {
            let instruction = frame.add(layout.frame_instruction);
            match layout.instruction {
                Instruction::Pointer => instruction.cast::<u64>().read(),
                Instruction::Index { .. } => {
                    let index = u64::from(instruction.cast::<u32>().read()).min(LARGEST_INDEX);
                    let code = frame.add(layout.frame_code).cast::<u64>().read();
                    // Objects are aligned to 16 and user addresses have 47 bits.
                    (code >> 4) << INDEX_BITS | index
                }
            }
        }
    }

    /// Where a frame is.
    ///
    /// # Safety
    /// `frame` is a live frame of this thread that has a code object.
    pub(crate) unsafe fn place(&self, frame: *const u8) -> Place {
        let layout = self.layout();
        // SAFETY: the caller's promise, and the layout of this version.
        unsafe {
            // 3.14 and later tag the pointer in its two low bits; objects are aligned to 8, so clearing them never harms.
            let code = frame.add(layout.frame_code).cast::<usize>().read() & !3;
            let offset = match layout.instruction {
                Instruction::Index { bytes_per_unit } => frame
                    .add(layout.frame_instruction)
                    .cast::<i32>()
                    .read()
                    .saturating_mul(bytes_per_unit),
                Instruction::Pointer => {
                    let pointer = frame.add(layout.frame_instruction).cast::<usize>().read();
                    let first = code.wrapping_add(layout.code_instructions);
                    i32::try_from(pointer.wrapping_sub(first) as isize).unwrap_or(-1)
                }
            };
            Place { code, offset }
        }
    }

    /// File and function name of a code object.
    ///
    /// # Safety
    /// `code` is a live code object.
    pub(crate) unsafe fn names(&self, code: usize) -> (String, String) {
        let layout = self.layout();
        let code = code as *const u8;
        let unreadable = || String::from("?");
        // SAFETY: the caller's promise; both fields are strings that the code object keeps alive.
        unsafe {
            let file = code.add(layout.code_filename).cast::<*const u8>().read();
            let function = code.add(layout.code_name).cast::<*const u8>().read();
            (
                text::read(layout, file).unwrap_or_else(unreadable),
                text::read(layout, function).unwrap_or_else(unreadable),
            )
        }
    }

    /// Line of an instruction; 0 when the code has none there.
    ///
    /// # Safety
    /// `place.code` is a live code object.
    pub(crate) unsafe fn line(&self, place: Place) -> u32 {
        let layout = self.layout();
        let code = place.code as *const u8;
        // SAFETY: the caller's promise; the line table is a bytes object that the code object keeps alive.
        unsafe {
            let first_line = code.add(layout.code_first_line).cast::<i32>().read();
            let table = code.add(layout.code_line_table).cast::<*const u8>().read();
            if table.is_null() {
                return u32::try_from(first_line).unwrap_or(0);
            }
            let size = table.add(layout.bytes_size).cast::<isize>().read();
            let size = usize::try_from(size).unwrap_or(0).min(LONGEST_LINE_TABLE);
            let bytes = core::slice::from_raw_parts(table.add(layout.bytes_data), size);
            lines::line_of(layout.line_table, bytes, first_line, place.offset).unwrap_or(0)
        }
    }
}
