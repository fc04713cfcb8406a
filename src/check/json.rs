//! The verdict as JSON, schema `pytrace.check/1` (docs/CHECK.md).

use std::io::{self, Write};

use serde::Serialize;

use super::{Finding, Source, Verdict};
use crate::report::json::plain;

/// The value of the field `schema`.
pub const SCHEMA: &str = "pytrace.check/1";

/// Writes the verdict, on one line.
pub fn write(verdict: &Verdict<'_>, out: impl Write) -> io::Result<()> {
    let process = &verdict.capture.model.process;
    let held = verdict.findings.iter().all(Finding::is_held);
    let document = Document {
        schema: SCHEMA,
        verdict: match (held, verdict.is_doubted()) {
            (false, _) => "exceeded",
            (true, true) => "unproven",
            (true, false) => "held",
        },
        program: &process.program,
        pid: process.pid,
        python_version: &process.python_version,
        mode: verdict.capture.model.settings.mode.name(),
        limits: verdict.findings.iter().map(LimitFields::of).collect(),
        doubts: &verdict.doubts,
        notes: &verdict.notes,
    };
    plain::write_line(&document, out)
}

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    verdict: &'static str,
    program: &'a str,
    pid: u32,
    python_version: &'a str,
    mode: &'static str,
    limits: Vec<LimitFields<'a>>,
    doubts: &'a [String],
    notes: &'a [String],
}

#[derive(Serialize)]
struct LimitFields<'a> {
    metric: &'static str,
    source: &'static str,
    limit: u64,
    measured: u64,
    held: bool,
    baseline: Option<u64>,
    tolerance_percent: Option<f64>,
    place: Option<PlaceFields<'a>>,
}

#[derive(Serialize)]
struct PlaceFields<'a> {
    function: &'a str,
    file: &'a str,
    line: u32,
    module: &'a str,
    part: u64,
    part_is_growth: bool,
}

impl<'a> LimitFields<'a> {
    fn of(finding: &'a Finding) -> LimitFields<'a> {
        let limit = finding.limit;
        let (source, baseline, tolerance_percent) = match limit.source {
            Source::Option => ("option", None, None),
            Source::Baseline { before, tolerance } => {
                ("baseline", Some(before), Some(tolerance.percent()))
            }
        };
        LimitFields {
            metric: limit.metric.name(),
            source,
            limit: limit.most,
            measured: finding.measured,
            held: finding.is_held(),
            baseline,
            tolerance_percent,
            place: finding.place.as_ref().map(|place| PlaceFields {
                function: &place.function,
                file: &place.file,
                line: place.line,
                module: &place.module,
                part: place.part,
                part_is_growth: place.is_growth,
            }),
        }
    }
}
