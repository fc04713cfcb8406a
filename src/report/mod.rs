//! Reports: a capture, as text or as JSON, to a `Write`.

pub mod json;
pub mod text;

use crate::analysis::{Grouping, Metric};
use crate::capture::Capture;

/// What a report is about.
#[derive(Debug)]
pub struct Report<'a> {
    /// The capture.
    pub capture: &'a Capture,
    /// What rows are sorted by.
    pub metric: Metric,
    /// What one row is.
    pub grouping: Grouping,
    /// How many rows were asked for; `None` leaves it to the form of the report.
    pub top: Option<usize>,
    /// What could not be found out, a line each: files that changed since the capture, a part of it that cannot be read.
    pub notes: &'a [String],
}
