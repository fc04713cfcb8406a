//! Reports: a capture, or several as one, in some form, to a `Write`.

pub mod collapsed;
pub mod csv;
pub mod events;
mod flat;
pub mod json;
pub mod parquet;
pub mod pprof;
pub mod speedscope;
mod stacks;
pub mod text;

use pytrace_model::text::escape_name;

use crate::analysis::{Filter, Grouping, Metric, Remainder};
use crate::capture::Capture;
use crate::merge::Member;

/// What a report is about.
#[derive(Debug)]
pub struct Report<'a> {
    /// The capture; the whole where there are several.
    pub capture: &'a Capture,
    /// The processes of the whole; empty when the report is about one capture.
    pub members: &'a [Member],
    /// What was asked of its sites, and what that left; `None` when the report is about all.
    pub filtered: Option<(&'a Filter, Remainder)>,
    /// What rows are sorted by.
    pub metric: Metric,
    /// What one row is.
    pub grouping: Grouping,
    /// How many rows were asked for; `None` leaves it to the form of the report.
    pub top: Option<usize>,
    /// What could not be found out, a line each: files that changed since the capture, a part of it that cannot be read.
    pub notes: &'a [String],
}

impl Report<'_> {
    /// Whether every process wrote its end, and every capture was read to its last byte.
    pub fn is_complete(&self) -> bool {
        match self.members {
            [] => self.capture.is_complete(),
            members => members.iter().all(|member| member.capture.is_complete()),
        }
    }
}

/// What a report is about, for the title of a file: `app.py, pid 4711`.
fn title(report: &Report<'_>) -> String {
    let process = &report.capture.model.process;
    let program = escape_name(match process.program.as_str() {
        "" => "python",
        program => program,
    });
    let whole = match report.members.len() {
        0 => format!("{program}, pid {}", process.pid),
        processes => format!("{program}, {processes} processes"),
    };
    match report.filtered {
        None => whole,
        Some((filter, _)) => format!("{whole}, only {}", escape_name(&filter.to_string())),
    }
}
