//! CPython 3.11: `_PyInterpreterFrame` on the data stack, reached through the `_PyCFrame` of the C stack.

use super::{Activation, CurrentFrame, CurrentThread, Instruction, Layout, LineTable};

pub(super) const LAYOUT: Layout = Layout {
    current_thread: CurrentThread::InRuntime { offset: 576 },
    current_frame: CurrentFrame::ThroughCFrame {
        cframe: 56,
        frame: 8,
    },
    thread_id: 152,
    finalizing: 24,
    frame_previous: 48,
    frame_code: 32,
    frame_instruction: 56,
    frame_owner: Some(69),
    first_shim_owner: 3,
    activation: Activation::EntryFlag { offset: 68 },
    instruction: Instruction::Pointer,
    line_table: LineTable::Locations,
    code_filename: 112,
    code_name: 128,
    code_first_line: 72,
    code_line_table: 136,
    code_instructions: 184,
    code_first_traceable: Some(168),
    object_type: 8,
    bytes_size: 16,
    bytes_data: 32,
    string_length: 16,
    string_state: 32,
    ascii_data: 48,
    compact_data: 72,
    string_kind_shift: 2,
};
