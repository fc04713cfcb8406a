//! CPython 3.8: `PyFrameObject` on the heap; `f_lasti` counts bytes. No qualified name in code objects.

use super::{Activation, CurrentFrame, CurrentThread, Instruction, Layout, LineTable};

pub(super) const LAYOUT: Layout = Layout {
    current_thread: CurrentThread::InRuntime { offset: 1368 },
    current_frame: CurrentFrame::InThreadState { offset: 24 },
    thread_id: 176,
    finalizing: 16,
    frame_previous: 24,
    frame_code: 32,
    frame_instruction: 104,
    frame_owner: None,
    first_shim_owner: 255,
    activation: Activation::EachFrame,
    instruction: Instruction::Index { bytes_per_unit: 1 },
    line_table: LineTable::Lnotab,
    code_filename: 104,
    code_name: 112,
    code_first_line: 40,
    code_line_table: 120,
    code_instructions: 0,
    code_first_traceable: None,
    object_type: 8,
    bytes_size: 16,
    bytes_data: 32,
    string_length: 16,
    string_state: 32,
    ascii_data: 48,
    compact_data: 72,
    string_kind_shift: 2,
};
