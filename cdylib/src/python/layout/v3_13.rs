//! CPython 3.13: the frame is in the thread state again; `instr_ptr` replaces `prev_instr`.

use super::{
    Activation, CurrentFrame, CurrentThread, DebugOffsets, Instruction, Layout, LineTable,
};

pub(super) const LAYOUT: Layout = Layout {
    current_thread: CurrentThread::Function {
        name: c"PyThreadState_GetUnchecked",
    },
    current_frame: CurrentFrame::InThreadState { offset: 72 },
    thread_id: 152,
    finalizing: 608,
    frame_previous: 8,
    frame_code: 0,
    frame_instruction: 56,
    frame_owner: Some(70),
    first_shim_owner: 3,
    activation: Activation::Shim,
    instruction: Instruction::Pointer,
    line_table: LineTable::Locations,
    code_filename: 112,
    code_name: 128,
    code_first_line: 68,
    code_line_table: 136,
    code_instructions: 200,
    code_first_traceable: Some(184),
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
    current_frame: 184,
    thread_id: 192,
    frame_previous: 232,
    frame_code: 240,
    frame_instruction: 248,
    frame_owner: 264,
    code_filename: 280,
    code_name: 296,
    code_line_table: 304,
    code_first_line: 312,
    code_instructions: 344,
    object_type: 360,
    bytes_size: 520,
    bytes_data: 528,
    string_state: 544,
    string_length: 552,
    ascii_data: 560,
};
