//! CPython 3.12: frames begin with their code object; entry frames on the C stack are shims; strings lost their `wstr` fields.

use super::{Activation, CurrentFrame, CurrentThread, Instruction, Layout, LineTable};

pub(super) const LAYOUT: Layout = Layout {
    current_thread: CurrentThread::Function {
        name: c"_PyThreadState_UncheckedGet",
    },
    current_frame: CurrentFrame::ThroughCFrame {
        cframe: 56,
        frame: 0,
    },
    thread_id: 136,
    finalizing: 24,
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
    code_instructions: 192,
    code_first_traceable: Some(176),
    object_type: 8,
    bytes_size: 16,
    bytes_data: 32,
    string_length: 16,
    string_state: 32,
    ascii_data: 40,
    compact_data: 56,
    string_kind_shift: 2,
};
