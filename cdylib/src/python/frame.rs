//! Frames, read as memory: the few loads that every allocation makes.
//!
//! The hooks are compiled once per supported version with that version's layout as a constant ([`Shape`]), so that the
//! offsets are part of the instructions and no version is asked for at run time.

use core::arch::x86_64::{__m128i, _mm_loadl_epi64, _mm_loadu_si128, _mm_unpacklo_epi64};

use super::Python;
use super::layout::{Activation, CurrentFrame, Instruction, Layout};
use crate::sys::memory_map::Region;

/// A layout as the hooks see it.
pub(crate) trait Shape {
    /// Whether the layout is a constant: that of a version that is known.
    const IS_COMPILED_IN: bool;

    /// Where things lie.
    fn layout(python: &Python) -> &Layout;
}

/// The layout that was found out at run time.
pub(crate) struct Learnt;

impl Shape for Learnt {
    const IS_COMPILED_IN: bool = false;

    #[inline(always)]
    fn layout(python: &Python) -> &Layout {
        python.layout()
    }
}

/// Defines a shape per version with a constant layout.
macro_rules! shapes {
    ($($name:ident: $minor:literal;)*) => {
        $(
            #[doc = concat!("CPython 3.", stringify!($minor))]
            pub(crate) struct $name;

            impl $name {
                const LAYOUT: Layout = match super::layout::of_version(3, $minor) {
                    Some(layout) => layout,
                    None => panic!("a version that is listed has a layout"),
                };

                /// Whether an interpreter's layout is the one compiled in.
                pub(crate) fn is_of(python: &Python) -> bool {
                    python.layout_is_known() && *python.layout() == Self::LAYOUT
                }
            }

            impl Shape for $name {
                const IS_COMPILED_IN: bool = true;

                #[inline(always)]
                fn layout(_: &Python) -> &Layout {
                    const { &Self::LAYOUT }
                }
            }
        )*
    };
}

shapes! {
    V3_8: 8;
    V3_9: 9;
    V3_10: 10;
    V3_11: 11;
    V3_12: 12;
    V3_13: 13;
    V3_14: 14;
    V3_15: 15;
}

/// Where a frame is: its code object and the instruction, in bytes from the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) code: usize,
    pub(crate) offset: i32,
    /// The frame is still being set up (its cells are made, say): CPython's own walkers skip such a frame, and what it
    /// allocates is its caller's.
    pub(crate) is_incomplete: bool,
}

/// `FRAME_OWNED_BY_THREAD`.
const OWNED_BY_THREAD: u8 = 0;
/// `FRAME_OWNED_BY_GENERATOR`.
const OWNED_BY_GENERATOR: u8 = 1;
/// Bytes of a code unit.
const CODE_UNIT: i32 = 2;

/// Bits of a packed position that hold the instruction's index (3.8–3.10); the code object's address has the rest.
const INDEX_BITS: u32 = 21;
/// The largest index that is told apart: a function of two million instructions.
const LARGEST_INDEX: u64 = (1 << INDEX_BITS) - 1;

impl Layout {
    /// The running frame of a thread state; null when there is none.
    ///
    /// # Safety
    /// `state` is the calling thread's live thread state. In 3.11 and 3.12 this reads a `_PyCFrame` on the C stack: never
    /// call it in a free hook, where greenlet may have swapped the stack under it.
    #[inline(always)]
    pub(crate) unsafe fn running_frame(&self, state: *const u8) -> *const u8 {
        // SAFETY: the caller's promise, and the layout of this version.
        unsafe {
            match self.current_frame {
                CurrentFrame::InThreadState { offset } => {
                    state.add(offset).cast::<*const u8>().read()
                }
                CurrentFrame::ThroughCFrame { cframe, frame } => {
                    let cframe = state.add(cframe).cast::<*const u8>().read();
                    if cframe.is_null() {
                        return core::ptr::null();
                    }
                    cframe.add(frame).cast::<*const u8>().read()
                }
            }
        }
    }

    /// The caller of a frame; null for the root.
    ///
    /// # Safety
    /// `frame` is a live frame of this thread.
    #[inline(always)]
    pub(crate) unsafe fn previous(&self, frame: *const u8) -> *const u8 {
        // SAFETY: the caller's promise, and the layout of this version.
        unsafe { frame.add(self.frame_previous).cast::<*const u8>().read() }
    }

    /// Whether a frame stands for an entry into the interpreter rather than for Python code.
    ///
    /// # Safety
    /// As for [`Layout::previous`].
    #[inline(always)]
    pub(crate) unsafe fn is_shim(&self, frame: *const u8) -> bool {
        match self.frame_owner {
            // SAFETY: as there.
            Some(offset) => unsafe { frame.add(offset).read() >= self.first_shim_owner },
            None => false,
        }
    }

    /// Whether the interpreter's loop was entered anew at this frame, on the stack that `stack` holds. A shim elsewhere is
    /// the thread state's own, which no call of the loop made.
    ///
    /// # Safety
    /// As for [`Layout::previous`].
    pub(crate) unsafe fn begins_activation(&self, frame: *const u8, stack: Region) -> bool {
        match self.activation {
            Activation::EachFrame => true,
            // SAFETY: as there.
            Activation::EntryFlag { offset } => unsafe { frame.add(offset).read() != 0 },
            // SAFETY: as there.
            Activation::Shim => unsafe { self.is_shim(frame) && stack.holds_word(frame as usize) },
        }
    }

    /// Code object and instruction of a frame in one word, for comparisons. From 3.11 on the instruction pointer tells
    /// both.
    ///
    /// # Safety
    /// As for [`Layout::previous`].
    #[inline(always)]
    pub(crate) unsafe fn position(&self, frame: *const u8) -> u64 {
        // SAFETY: as there.
        unsafe {
            let instruction = frame.add(self.frame_instruction);
            match self.instruction {
                Instruction::Pointer => instruction.cast::<u64>().read(),
                Instruction::Index { .. } => {
                    let index = u64::from(instruction.cast::<u32>().read()).min(LARGEST_INDEX);
                    let code = frame.add(self.frame_code).cast::<u64>().read();
                    // Objects are aligned to 16 and user addresses have 47 bits.
                    (code >> 4) << INDEX_BITS | index
                }
            }
        }
    }

    /// Whether a frame's link and position can be read at once ([`Layout::header`]).
    #[inline(always)]
    pub(crate) const fn has_header(&self) -> bool {
        matches!(self.instruction, Instruction::Pointer)
    }

    /// The caller of a frame and its position, side by side.
    ///
    /// # Safety
    /// The frame's memory can be read, and [`Layout::has_header`].
    #[inline(always)]
    pub(crate) unsafe fn header(&self, frame: *const u8) -> __m128i {
        // SAFETY: the caller's promise.
        unsafe {
            let previous = frame.add(self.frame_previous);
            if self.frame_instruction == self.frame_previous + size_of::<usize>() {
                return _mm_loadu_si128(previous.cast());
            }
            let instruction = frame.add(self.frame_instruction);
            _mm_unpacklo_epi64(
                _mm_loadl_epi64(previous.cast()),
                _mm_loadl_epi64(instruction.cast()),
            )
        }
    }

    /// Whether a frame lies in a chunk of its thread's data stack: neither in a generator nor on the C stack.
    ///
    /// # Safety
    /// As for [`Layout::previous`].
    pub(crate) unsafe fn is_on_data_stack(&self, frame: *const u8) -> bool {
        match (self.instruction, self.frame_owner) {
            // SAFETY: as there.
            (Instruction::Pointer, Some(owner)) => unsafe {
                frame.add(owner).read() == OWNED_BY_THREAD
            },
            _ => false,
        }
    }

    /// Bytes from a frame's beginning within which everything lies that is read of it.
    pub(crate) fn frame_bytes(&self) -> usize {
        let words = [self.frame_previous, self.frame_code, self.frame_instruction];
        let last = words.into_iter().max().unwrap_or(0) + size_of::<usize>();
        last.max(self.frame_owner.unwrap_or(0) + 1)
    }

    /// A frame's code object.
    ///
    /// # Safety
    /// As for [`Layout::previous`]; the frame is no shim.
    #[inline(always)]
    pub(crate) unsafe fn code(&self, frame: *const u8) -> usize {
        // 3.14 and later tag the pointer in its two low bits; objects are aligned to 8, so clearing them never harms.
        // SAFETY: the caller's promise.
        unsafe { frame.add(self.frame_code).cast::<usize>().read() & !3 }
    }

    /// Where a frame is.
    ///
    /// # Safety
    /// As for [`Layout::previous`]; the frame is no shim.
    pub(crate) unsafe fn place(&self, frame: *const u8) -> Place {
        // SAFETY: as there.
        unsafe {
            let code = self.code(frame);
            let offset = match self.instruction {
                Instruction::Index { bytes_per_unit } => frame
                    .add(self.frame_instruction)
                    .cast::<i32>()
                    .read()
                    .saturating_mul(bytes_per_unit),
                Instruction::Pointer => {
                    let pointer = frame.add(self.frame_instruction).cast::<usize>().read();
                    let first = code.wrapping_add(self.code_instructions);
                    i32::try_from(pointer.wrapping_sub(first) as isize).unwrap_or(-1)
                }
            };
            // `_PyFrame_IsIncomplete` (pycore_frame.h).
            let is_incomplete = match (self.code_first_traceable, self.frame_owner) {
                (Some(first), Some(owner)) => {
                    let first = (code as *const u8).add(first).cast::<i32>().read();
                    frame.add(owner).read() != OWNED_BY_GENERATOR
                        && offset < first.saturating_mul(CODE_UNIT)
                }
                _ => false,
            };
            Place {
                code,
                offset,
                is_incomplete,
            }
        }
    }
}
