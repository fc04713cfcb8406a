//! Rows as flat tables have them: one cell a column, the same in CSV and Parquet.

use std::rc::Rc;

use pytrace_model::ids::StackId;
use pytrace_model::record::Frame;
use pytrace_model::{Model, label};

use super::Report;
use super::stacks::Collapsed;
use crate::analysis::{self, Row, RowKey, Subject, module_name};

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Number,
}

/// What a cell holds; nothing where a row has several values, or none is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    Text(Rc<str>),
    Number(u64),
    Nothing,
}

/// A column: its name, and what it holds.
pub(super) type Header = (&'static str, Kind);

/// The columns: those of a site, which a group leaves empty where its sites differ, and the counters.
pub(super) const COLUMNS: [Header; 19] = [
    ("domain", Kind::Text),
    ("function", Kind::Text),
    ("file", Kind::Text),
    ("line", Kind::Number),
    ("module", Kind::Text),
    ("caller", Kind::Text),
    ("library", Kind::Text),
    ("sites", Kind::Number),
    ("allocations", Kind::Number),
    ("reallocations", Kind::Number),
    ("frees", Kind::Number),
    ("requested_bytes", Kind::Number),
    ("served_bytes", Kind::Number),
    ("live_blocks", Kind::Number),
    ("live_bytes", Kind::Number),
    ("peak_bytes", Kind::Number),
    ("temporary_allocations", Kind::Number),
    ("depth", Kind::Number),
    ("stack", Kind::Text),
];

/// The rows of the report, all domains, those that count most first.
pub(super) fn rows(report: &Report<'_>) -> Vec<Row> {
    let model = &report.capture.model;
    let mut rows = analysis::rows(model, report.grouping, report.metric, |_| true);
    rows.truncate(report.top.unwrap_or(usize::MAX));
    rows
}

/// The cells of a row, in the order of the columns.
pub(super) fn cells(model: &Model, texts: &mut Collapsed<'_>, row: &Row) -> Vec<Cell> {
    let (domain, key, of_stack) = match &row.subject {
        Subject::Site(domain) => {
            let stack = OfStack::of(model, texts, row.stack);
            (
                text(domain.name()),
                innermost_python(model, row.stack),
                Some(stack),
            )
        }
        Subject::Group(key) => (Cell::Nothing, key.clone(), None),
    };
    let (caller, library, depth, stack) = match of_stack {
        Some(stack) => (
            text(&stack.caller),
            text(&stack.library),
            Cell::Number(stack.depth),
            text(&stack.collapsed),
        ),
        None => (Cell::Nothing, Cell::Nothing, Cell::Nothing, Cell::Nothing),
    };
    let counters = &row.counters;
    let line = match key.line {
        0 => Cell::Nothing,
        line => Cell::Number(u64::from(line)),
    };
    vec![
        domain,
        text(&key.function),
        text(&key.file),
        line,
        text(&key.module),
        caller,
        library,
        Cell::Number(row.sites as u64),
        Cell::Number(counters.allocations),
        Cell::Number(counters.reallocations),
        Cell::Number(counters.frees),
        Cell::Number(counters.requested_bytes),
        Cell::Number(counters.served_bytes),
        Cell::Number(counters.live_blocks),
        Cell::Number(counters.live_bytes),
        Cell::Number(counters.peak_bytes),
        Cell::Number(counters.temporary_allocations),
        depth,
        stack,
    ]
}

/// The innermost line of Python code.
pub(super) fn innermost_python(model: &Model, stack: StackId) -> RowKey {
    let python = model
        .stack_frames(stack)
        .find_map(|(_, frame)| match *frame {
            Frame::Python {
                function,
                file,
                line,
            } => Some((function, file, line)),
            Frame::Native { .. } => None,
        });
    python.map_or_else(RowKey::default, |(function, file, line)| RowKey {
        function: model.string(function).to_owned(),
        file: model.string(file).to_owned(),
        line,
        module: module_name(model.string(file)),
    })
}

/// What else a stack tells.
struct OfStack {
    /// The C function that asked.
    caller: String,
    /// The path of its library.
    library: String,
    depth: u64,
    collapsed: String,
}

impl OfStack {
    fn of(model: &Model, texts: &mut Collapsed<'_>, stack: StackId) -> OfStack {
        let mut innermost = model.stack_frames(stack);
        let (caller, library) = match innermost.next() {
            Some((id, frame @ Frame::Native { module, .. })) => {
                let named = label::native(model, id, frame).unwrap_or_default();
                (named.0, model.module_path(*module).to_owned())
            }
            _ => Default::default(),
        };
        OfStack {
            caller,
            library,
            depth: model.stack_frames(stack).count() as u64,
            collapsed: texts.text(stack),
        }
    }
}

pub(super) fn text(text: &str) -> Cell {
    match text {
        "" => Cell::Nothing,
        text => Cell::Text(text.into()),
    }
}
