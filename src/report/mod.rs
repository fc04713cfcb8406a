//! Reports: a capture, as text or as JSON, to a `Write`.

pub mod json;
pub mod text;

use crate::analysis::{Grouping, Metric, Row, rows};
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
    /// The rows, sorted, all of them.
    pub rows: Vec<Row>,
    /// How many rows were asked for; `None` leaves it to the form of the report.
    pub top: Option<usize>,
}

impl<'a> Report<'a> {
    /// Gathers the rows.
    pub fn new(
        capture: &'a Capture,
        metric: Metric,
        grouping: Grouping,
        top: Option<usize>,
    ) -> Report<'a> {
        Report {
            capture,
            metric,
            grouping,
            rows: rows(&capture.model, grouping, metric),
            top,
        }
    }
}
