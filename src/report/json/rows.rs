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
struct Stack<'a> {
    model: &'a Model,
    id: StackId,
}

impl Serialize for Stack<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let frames = self.model.stack_frames(self.id);
        serializer.collect_seq(frames.map(|(id, frame)| FrameFields::of(self.model, id, frame)))
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
}

impl FrameFields<'_> {
    fn of<'a>(model: &'a Model, id: FrameId, frame: &Frame) -> FrameFields<'a> {
        match *frame {
            Frame::Python {
                function,
                file,
                line,
            } => FrameFields {
                kind: "python",
                function: known(model.string(function)),
                file: known(model.string(file)),
                line: (line > 0).then_some(line),
                module: Some(module_name(model.string(file))),
                address: None,
            },
            Frame::Native { module, address } => {
                let name = model.native_names.get(&id);
                FrameFields {
                    kind: "native",
                    function: name.and_then(|name| known(model.string(name.function))),
                    file: name.and_then(|name| known(model.string(name.file))),
                    line: name.map(|name| name.line).filter(|&line| line > 0),
                    module: known(model.module_path(module)).map(str::to_string),
                    address: Some(address),
                }
            }
        }
    }
}

fn known(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}
