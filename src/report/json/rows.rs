//! `sites` and `groups`.

use pytrace_model::Model;
use pytrace_model::ids::{FrameId, StackId};
use pytrace_model::record::Frame;
use serde::Serialize;
use serde::ser::Serializer;

use super::counters::CounterFields;
use crate::analysis::{Row, Subject, module_name};

/// Rows, in their order.
pub(super) struct Rows<'a> {
    pub(super) model: &'a Model,
    pub(super) rows: &'a [Row],
}

impl Serialize for Rows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let model = self.model;
        serializer.collect_seq(self.rows.iter().map(|row| RowFields::of(row, model)))
    }
}

#[derive(Serialize)]
struct RowFields<'a> {
    #[serde(flatten)]
    subject: SubjectFields<'a>,
    #[serde(flatten)]
    counters: CounterFields,
}

/// A site is its domain and stack; a group is what its sites have in common, null where they differ.
#[derive(Serialize)]
#[serde(untagged)]
enum SubjectFields<'a> {
    Site {
        domain: &'static str,
        stack: Stack<'a>,
    },
    Group {
        function: Option<&'a str>,
        file: Option<&'a str>,
        line: Option<u32>,
        module: Option<&'a str>,
        sites: usize,
    },
}

impl RowFields<'_> {
    fn of<'a>(row: &'a Row, model: &'a Model) -> RowFields<'a> {
        RowFields {
            subject: match &row.subject {
                Subject::Site(domain) => SubjectFields::Site {
                    domain: domain.name(),
                    stack: Stack {
                        model,
                        id: row.stack,
                    },
                },
                Subject::Group(key) => SubjectFields::Group {
                    function: known(&key.function),
                    file: known(&key.file),
                    line: (key.line > 0).then_some(key.line),
                    module: known(&key.module),
                    sites: row.sites,
                },
            },
            counters: CounterFields::of(&row.counters, model),
        }
    }
}

/// The frames of a stack, innermost first.
pub(crate) struct Stack<'a> {
    pub(crate) model: &'a Model,
    pub(crate) id: StackId,
}

impl Serialize for Stack<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let frames = self.model.stack_frames(self.id);
        serializer.collect_seq(frames.flat_map(|(id, frame)| fields(self.model, id, frame)))
    }
}

#[derive(Serialize)]
struct FrameFields<'a> {
    kind: &'static str,
    function: Option<&'a str>,
    file: Option<&'a str>,
    line: Option<u32>,
    module: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<u64>,
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    inlined: bool,
}

/// The entries of a frame: one, or where functions were inlined one for each of them.
fn fields<'a>(
    model: &'a Model,
    id: FrameId,
    frame: &'a Frame,
) -> impl Iterator<Item = FrameFields<'a>> {
    let (python, native) = match *frame {
        Frame::Python {
            function,
            file,
            line,
        } => {
            let python = FrameFields {
                kind: "python",
                function: known(model.string(function)),
                file: known(model.string(file)),
                line: (line > 0).then_some(line),
                module: Some(module_name(model.string(file))),
                address: None,
                inlined: false,
            };
            (Some(python), None)
        }
        Frame::Native { module, address } => {
            let native = model.native_code(id).map(move |code| FrameFields {
                kind: "native",
                function: known(code.function),
                file: known(code.file),
                line: (code.line > 0).then_some(code.line),
                module: known(model.module_path(module)).map(str::to_string),
                address: Some(address),
                inlined: code.is_inlined,
            });
            (None, Some(native))
        }
    };
    python.into_iter().chain(native.into_iter().flatten())
}

fn known(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}
