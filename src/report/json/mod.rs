//! The JSON report, schema `pytrace.report/1` (docs/REPORT.md).
//!
//! Invariant: fields are only ever added to a schema. Rows are put into words as they are written, one by one, since their
//! stacks are far larger than the capture that they come from.

mod counters;
mod members;
pub(crate) mod plain;
mod process;
mod pymalloc;
pub(crate) mod rows;

use std::io::{self, Write};

use pytrace_model::Model;
use pytrace_model::record::Moment;
use serde::Serialize;

use super::Report;
use crate::analysis::{self, Filter, Grouping, Remainder};
use counters::{Domains, TotalFields};
use members::MemberFields;
use process::{ProcessFields, QualityFields, SettingsFields};
use pymalloc::PymallocFields;
use rows::Rows;

/// The value of the field `schema`.
pub const SCHEMA: &str = "pytrace.report/1";

/// Writes the report, on one line.
pub fn write(report: &Report<'_>, out: impl Write) -> io::Result<()> {
    let model = &report.capture.model;
    let all_rows = |grouping| analysis::rows(model, grouping, report.metric, |_| true);
    let mut sites = all_rows(Grouping::Site);
    // A grouping comes beside the sites, not in their place: `sites` means the same in every report.
    let mut groups = match report.grouping {
        Grouping::Site => None,
        grouping => Some(all_rows(grouping)),
    };
    if let Some(top) = report.top {
        groups.as_mut().unwrap_or(&mut sites).truncate(top);
    }
    let has_sites = model.has_live_table();
    let rows = |rows| Rows { model, rows };
    let mut total = TotalFields::of(model);
    if !report.members.is_empty() {
        // Several processes have a peak each.
        total.peak_at_s = None;
    }
    let document = Document {
        schema: SCHEMA,
        process: ProcessFields::of(report.capture),
        settings: SettingsFields::of(model),
        quality: QualityFields::of(report.capture, report.is_complete(), report.notes),
        filter: report.filtered.map(FilterFields::of),
        processes: (!report.members.is_empty()).then(|| members::fields(report.members)),
        domains: Domains { model },
        total,
        pymalloc: PymallocFields::of(model),
        sites: has_sites.then(|| rows(&sites)),
        groups: groups.as_deref().filter(|_| has_sites).map(rows),
        timeline: timeline(model),
        marks: marks(model),
        shutdown: ShutdownFields::of(model),
    };
    plain::write_line(&document, out)
}

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    process: ProcessFields<'a>,
    settings: SettingsFields,
    quality: QualityFields<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    filter: Option<FilterFields<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    processes: Option<Vec<MemberFields<'a>>>,
    domains: Domains<'a>,
    total: TotalFields,
    pymalloc: Option<PymallocFields<'a>>,
    sites: Option<Rows<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    groups: Option<Rows<'a>>,
    timeline: Vec<TimelineFields>,
    marks: Vec<MarkFields<'a>>,
    shutdown: ShutdownFields,
}

#[derive(Serialize)]
struct FilterFields<'a> {
    terms: Vec<&'a str>,
    sites: usize,
    of_sites: usize,
    requested_bytes: u64,
    of_requested_bytes: u64,
}

impl<'a> FilterFields<'a> {
    fn of((filter, left): (&'a Filter, Remainder)) -> FilterFields<'a> {
        FilterFields {
            terms: filter.terms().collect(),
            sites: left.sites.0,
            of_sites: left.sites.1,
            requested_bytes: left.counters.0.requested_bytes,
            of_requested_bytes: left.counters.1.requested_bytes,
        }
    }
}

#[derive(Serialize)]
struct TimelineFields {
    t_s: f64,
    live_bytes: Option<u64>,
    rss_bytes: Option<u64>,
    arenas: u64,
    allocations: u64,
}

#[derive(Serialize)]
struct MarkFields<'a> {
    t_s: f64,
    name: &'a str,
}

#[derive(Serialize)]
struct ShutdownFields {
    allocations: u64,
    frees: u64,
    requested_bytes: u64,
}

impl ShutdownFields {
    fn of(model: &Model) -> ShutdownFields {
        ShutdownFields {
            allocations: model.shutdown.allocations,
            frees: model.shutdown.frees,
            requested_bytes: model.shutdown.requested_bytes,
        }
    }
}

fn timeline(model: &Model) -> Vec<TimelineFields> {
    let points = model.timeline.iter().map(|point| TimelineFields {
        t_s: seconds(point.at_ns),
        live_bytes: with_live_table(model, point.live_bytes),
        rss_bytes: (point.rss_bytes > 0).then_some(point.rss_bytes),
        arenas: point.arenas,
        allocations: point.allocations,
    });
    points.collect()
}

fn marks(model: &Model) -> Vec<MarkFields<'_>> {
    let marks = model.marks.iter().map(|mark| MarkFields {
        t_s: seconds(mark.at_ns),
        name: &mark.name,
    });
    marks.collect()
}

/// A number that only a live table tells; mode `counts` keeps none.
fn with_live_table<T>(model: &Model, number: T) -> Option<T> {
    model.has_live_table().then_some(number)
}

fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e9
}

/// The moment that stands for the end of the program: walked in memory, else as the events tell it.
fn moment_of_end(model: &Model) -> Option<Moment> {
    [Moment::Exit, Moment::ExitByEvents]
        .into_iter()
        .find(|moment| model.pymalloc.contains_key(moment))
}
