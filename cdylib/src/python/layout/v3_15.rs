//! CPython 3.15: as 3.14, with a larger thread state.

use super::{
    Activation, CurrentFrame, CurrentThread, DebugOffsets, Instruction, Layout, LineTable,
};

pub(super) const LAYOUT: Layout = Layout {
    current_thread: CurrentThread::Function {
        name: c"PyThreadState_GetUnchecked",
    },
    current_frame: CurrentFrame::InThreadState { offset: 72 },
    thread_id: 176,
    finalizing: 912,
    frame_previous: 8,
    frame_code: 0,
    frame_instruction: 56,
    frame_owner: Some(74),
    first_shim_owner: 3,
    activation: Activation::Shim,
    instruction: Instruction::Pointer,
    line_table: LineTable::Locations,
    code_filename: 112,
    code_name: 128,
    code_first_line: 68,
    code_line_table: 136,
    code_instructions: 208,
    code_first_traceable: Some(192),
    object_type: 8,
    bytes_size: 16,
    bytes_data: 32,
    string_length: 16,
    string_state: 32,
    ascii_data: 40,
    compact_data: 56,
    string_kind_shift: 2,
};

pub(super) const DEBUG_OFFSETS: DebugOffsets = DebugOffsets {
    finalizing: 32,
    current_frame: 208,
    thread_id: 240,
    frame_previous: 320,
    frame_code: 328,
    frame_instruction: 336,
    frame_owner: 352,
    code_filename: 384,
    code_name: 400,
    code_line_table: 408,
    code_first_line: 416,
    code_instructions: 448,
    object_type: 472,
    bytes_size: 696,
    bytes_data: 704,
    string_state: 720,
    string_length: 728,
    ascii_data: 736,
};
