//! What the interpreter says about its own layout: `_Py_DebugOffsets`, the first member of `_PyRuntime` (3.13+).
//!
//! The structure itself changes between minor versions, so each version's file says where in it the fields lie.

use super::{CurrentFrame, Layout};

/// The eight bytes that begin it.
const COOKIE: [u8; 8] = *b"xdebugpy";

/// Positions of fields in `_Py_DebugOffsets`, bytes. Each holds a 64-bit offset.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DebugOffsets {
    pub(crate) finalizing: usize,
    pub(crate) current_frame: usize,
    pub(crate) thread_id: usize,
    pub(crate) frame_previous: usize,
    pub(crate) frame_code: usize,
    pub(crate) frame_instruction: usize,
    pub(crate) frame_owner: usize,
    pub(crate) code_filename: usize,
    pub(crate) code_name: usize,
    pub(crate) code_line_table: usize,
    pub(crate) code_first_line: usize,
    pub(crate) code_instructions: usize,
    pub(crate) object_type: usize,
    pub(crate) bytes_size: usize,
    pub(crate) bytes_data: usize,
    pub(crate) string_state: usize,
    pub(crate) string_length: usize,
    pub(crate) ascii_data: usize,
}

/// No structure that we read is larger; an offset beyond it is garbage.
const LARGEST_OFFSET: u64 = 1 << 20;

impl DebugOffsets {
    /// Puts what the interpreter publishes into `layout`. `None`: the structure does not look as expected.
    ///
    /// # Safety
    /// `runtime` is the interpreter's `_PyRuntime`, of the version that these positions are for.
    pub(crate) unsafe fn apply(&self, runtime: *const u8, mut layout: Layout) -> Option<Layout> {
        // SAFETY: the caller's promise: the structure is at least as long as its fields' positions.
        let cookie = unsafe { runtime.cast::<[u8; 8]>().read_unaligned() };
        if cookie != COOKIE {
            return None;
        }
        let read = |position: usize| -> Option<usize> {
            // SAFETY: as above.
            let offset = unsafe { runtime.add(position).cast::<u64>().read_unaligned() };
            (offset < LARGEST_OFFSET).then_some(offset as usize)
        };
        layout.current_frame = CurrentFrame::InThreadState {
            offset: read(self.current_frame)?,
        };
        layout.finalizing = read(self.finalizing)?;
        layout.thread_id = read(self.thread_id)?;
        layout.frame_previous = read(self.frame_previous)?;
        layout.frame_code = read(self.frame_code)?;
        layout.frame_instruction = read(self.frame_instruction)?;
        layout.frame_owner = Some(read(self.frame_owner)?);
        layout.code_filename = read(self.code_filename)?;
        layout.code_name = read(self.code_name)?;
        layout.code_line_table = read(self.code_line_table)?;
        layout.code_first_line = read(self.code_first_line)?;
        layout.code_instructions = read(self.code_instructions)?;
        layout.object_type = read(self.object_type)?;
        layout.bytes_size = read(self.bytes_size)?;
        layout.bytes_data = read(self.bytes_data)?;
        layout.string_state = read(self.string_state)?;
        layout.string_length = read(self.string_length)?;
        let ascii_data = read(self.ascii_data)?;
        layout.compact_data = ascii_data + layout.compact_data - layout.ascii_data;
        layout.ascii_data = ascii_data;
        Some(layout)
    }
}
