//! CPython 3.14: the code object's pointer is tagged (two low bits); strings of the default build keep 3.12's shape.

use super::{
    Activation, CurrentFrame, CurrentThread, DebugOffsets, Instruction, Layout, LineTable,
};

pub(super) const LAYOUT: Layout = Layout {
    current_thread: CurrentThread::Function {
        name: c"PyThreadState_GetUnchecked",
    },
    current_frame: CurrentFrame::InThreadState { offset: 72 },
    thread_id: 152,
    finalizing: 784,
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
    thread_id: 216,
    frame_previous: 256,
    frame_code: 264,
    frame_instruction: 272,
    frame_owner: 288,
    code_filename: 320,
    code_name: 336,
    code_line_table: 344,
    code_first_line: 352,
    code_instructions: 384,
    object_type: 408,
    bytes_size: 600,
    bytes_data: 608,
    string_state: 624,
    string_length: 632,
    ascii_data: 640,
};
