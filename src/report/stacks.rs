//! Whole stacks, as profilers and flame graphs take them.
//!
//! They hold what the total holds: mappings stand beside it and would outweigh everything else. Mappings alone are shown
//! when there is nothing else, as after a filter for them.

use std::collections::HashMap;

use pytrace_model::Model;
use pytrace_model::ids::{FrameId, StackId};
use pytrace_model::label;
use pytrace_model::listed::leading_domains;
use pytrace_model::record::Frame;
use pytrace_model::text::escape_name;

use super::Report;
use crate::analysis::{self, Grouping, Row};

/// What stands where nothing is known.
const NO_STACK: &str = "(no stack)";

/// One call of a stack: a frame, or one of the functions that are inlined into a native one. Safe to print.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Call {
    /// The function, or its address.
    pub(super) function: String,
    /// The source file; of native code without debug information the library; empty when neither is known.
    pub(super) file: String,
    /// The line, 0 when it is not known.
    pub(super) line: u32,
    /// Short form of the place: `json/decoder.py:353`, `libpython3.11.so`.
    place: String,
}

impl Call {
    /// What stands for a stack without frames.
    pub(super) fn nowhere() -> Call {
        Call {
            function: NO_STACK.to_owned(),
            file: String::new(),
            line: 0,
            place: String::new(),
        }
    }

    /// `function (place)`
    pub(super) fn text(&self) -> String {
        match self.place.as_str() {
            "" => self.function.clone(),
            place => format!("{} ({place})", self.function),
        }
    }
}

/// The sites to export, those that count most first, without those that count nothing.
pub(super) fn rows(report: &Report<'_>) -> Vec<Row> {
    let model = &report.capture.model;
    let mut rows = analysis::rows(model, Grouping::Site, report.metric, leading_domains(model));
    rows.truncate(report.top.unwrap_or(usize::MAX));
    rows
}

/// The calls that a frame is, innermost first.
pub(super) fn calls(model: &Model, id: FrameId, frame: &Frame) -> Vec<Call> {
    match *frame {
        Frame::Python {
            function,
            file,
            line,
        } => {
            let file = model.string(file);
            let short = label::source_path(file);
            vec![Call {
                function: known_or(escape_name(model.string(function)), "?"),
                place: match line {
                    0 => short,
                    line => format!("{short}:{line}"),
                },
                file: escape_name(file),
                line,
            }]
        }
        Frame::Native { module, .. } => {
            let (holder, place) = label::native(model, id, frame).unwrap_or_default();
            let library = escape_name(model.module_path(module));
            let codes = model.native_code(id).map(|code| Call {
                function: match code.is_inlined {
                    true => escape_name(code.function),
                    false => holder.clone(),
                },
                file: known_or(escape_name(code.file), &library),
                line: code.line,
                place: place.clone(),
            });
            codes.collect()
        }
    }
}

/// Stacks as one text each. What a frame is in it is found once, as the same frames are in many stacks.
pub(super) struct Collapsed<'a> {
    model: &'a Model,
    frames: HashMap<FrameId, String>,
}

impl<'a> Collapsed<'a> {
    pub(super) fn of(model: &'a Model) -> Collapsed<'a> {
        Collapsed {
            model,
            frames: HashMap::new(),
        }
    }

    /// The calls of a stack in short form, outermost first, with `;` between them.
    pub(super) fn text(&mut self, stack: StackId) -> String {
        let ids: Vec<_> = self.model.stack_frames(stack).collect();
        if ids.is_empty() {
            return NO_STACK.to_owned();
        }
        let mut text = String::new();
        for &(id, frame) in ids.iter().rev() {
            let of_frame = self.frames.entry(id).or_insert_with(|| {
                let calls = calls(self.model, id, frame);
                let texts = calls
                    .iter()
                    .rev()
                    .map(|call| call.text().replace(';', "\\x3b"));
                texts.collect::<Vec<_>>().join(";")
            });
            if !text.is_empty() {
                text.push(';');
            }
            text.push_str(of_frame);
        }
        text
    }
}

fn known_or(text: String, otherwise: &str) -> String {
    if text.is_empty() {
        otherwise.to_owned()
    } else {
        text
    }
}
