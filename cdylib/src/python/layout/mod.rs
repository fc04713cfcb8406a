//! Where things lie in the memory of each CPython: one small file per minor version.
//!
//! Sources: each version's own headers (`Include/cpython/*.h`, `Include/internal/pycore_frame.h`, `pycore_runtime.h`,
//! `pycore_debug_offsets.h`), compiled and printed with `offsetof`. Offsets are in bytes. 3.8–3.12 are frozen series;
//! from 3.13 on the interpreter publishes most of them itself (`_Py_DebugOffsets`), and what it says wins.

mod debug_offsets;
mod v3_10;
mod v3_11;
mod v3_12;
mod v3_13;
mod v3_14;
mod v3_15;
mod v3_8;
mod v3_9;

pub(crate) use debug_offsets::DebugOffsets;

/// How the current frame is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CurrentFrame {
    /// A field of the thread state (3.8–3.10, 3.13+).
    InThreadState { offset: usize },
    /// A field of the `_PyCFrame` that a field of the thread state points to (3.11, 3.12).
    ThroughCFrame { cframe: usize, frame: usize },
}

/// How a thread that holds the GIL finds its thread state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CurrentThread {
    /// A global in `_PyRuntime` that names whoever holds the GIL (3.8–3.11): compare `thread_id`.
    InRuntime { offset: usize },
    /// An exported function that reads a thread-local (3.12+).
    Function { name: &'static core::ffi::CStr },
}

/// Where an activation of the interpreter's loop begins in the chain of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activation {
    /// At each frame: the loop runs one (3.8–3.10).
    EachFrame,
    /// At a frame with this flag, `is_entry` (3.11).
    EntryFlag { offset: usize },
    /// At a shim on the C stack, which lies in the loop's own frame (3.12+).
    Shim,
}

/// How a frame tells which instruction it is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Instruction {
    /// An `int` index, to be multiplied to give bytes; −1 before the first (3.8–3.10).
    Index { bytes_per_unit: i32 },
    /// A pointer into the code object's instructions (3.11+).
    Pointer,
}

/// How a code object encodes its line numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineTable {
    /// `co_lnotab` (3.8, 3.9).
    Lnotab,
    /// PEP 626 pairs (3.10).
    Pairs,
    /// The location table (3.11+).
    Locations,
}

/// Offsets in one interpreter's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) current_thread: CurrentThread,
    pub(crate) current_frame: CurrentFrame,
    /// `PyThreadState.thread_id`
    pub(crate) thread_id: usize,
    /// `_PyRuntime`'s pointer to the thread state that finalizes the interpreter.
    pub(crate) finalizing: usize,
    /// The caller's frame.
    pub(crate) frame_previous: usize,
    /// The code object; low bits may be tags.
    pub(crate) frame_code: usize,
    pub(crate) frame_instruction: usize,
    /// Who owns the frame; `None` before there were such fields.
    pub(crate) frame_owner: Option<usize>,
    /// Frames whose owner is at least this are shims without Python code.
    pub(crate) first_shim_owner: u8,
    /// How the frames of one activation of the interpreter's loop are told from the next one's.
    pub(crate) activation: Activation,
    pub(crate) instruction: Instruction,
    pub(crate) line_table: LineTable,
    pub(crate) code_filename: usize,
    /// `co_qualname`, or `co_name` where there is none.
    pub(crate) code_name: usize,
    pub(crate) code_first_line: usize,
    pub(crate) code_line_table: usize,
    /// First instruction, inside the code object (3.11+); unused before.
    pub(crate) code_instructions: usize,
    /// `_co_firsttraceable`: code units before the first instruction that belongs to a line (3.11+).
    pub(crate) code_first_traceable: Option<usize>,
    pub(crate) object_type: usize,
    pub(crate) bytes_size: usize,
    pub(crate) bytes_data: usize,
    pub(crate) string_length: usize,
    pub(crate) string_state: usize,
    /// Where the characters of a compact ASCII string begin.
    pub(crate) ascii_data: usize,
    /// Where the characters of another compact string begin.
    pub(crate) compact_data: usize,
    /// Shift of the `kind` bits in the string state; `compact` is 3 bits above, `ascii` 4.
    pub(crate) string_kind_shift: u32,
}

/// The layout of a version's default build, or `None` for a version that is not known.
pub(crate) const fn of_version(major: u32, minor: u32) -> Option<Layout> {
    match (major, minor) {
        (3, 8) => Some(v3_8::LAYOUT),
        (3, 9) => Some(v3_9::LAYOUT),
        (3, 10) => Some(v3_10::LAYOUT),
        (3, 11) => Some(v3_11::LAYOUT),
        (3, 12) => Some(v3_12::LAYOUT),
        (3, 13) => Some(v3_13::LAYOUT),
        (3, 14) => Some(v3_14::LAYOUT),
        (3, 15) => Some(v3_15::LAYOUT),
        _ => None,
    }
}

/// Where a version's `_Py_DebugOffsets` holds what we read; `None` before 3.13.
pub(crate) fn debug_offsets_of_version(major: u32, minor: u32) -> Option<DebugOffsets> {
    match (major, minor) {
        (3, 13) => Some(v3_13::DEBUG_OFFSETS),
        (3, 14) => Some(v3_14::DEBUG_OFFSETS),
        (3, 15) => Some(v3_15::DEBUG_OFFSETS),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_supported_version_has_a_layout_and_later_ones_publish_theirs() {
        for minor in 8..=15 {
            assert!(of_version(3, minor).is_some(), "3.{minor}");
            assert_eq!(
                debug_offsets_of_version(3, minor).is_some(),
                minor >= 13,
                "3.{minor}"
            );
        }
        assert!(
            of_version(3, 7).is_none() && of_version(3, 16).is_none() && of_version(4, 8).is_none()
        );
    }
}
