//! A file for speedscope (https://www.speedscope.app): each site one sample of a sampled profile, weighted by the metric.
//!
//! Written in one go: the samples first, then the weights, then the frames that they name, which are all that is kept.

use std::collections::HashMap;
use std::io::{self, Write};

use pytrace_model::Model;
use pytrace_model::ids::{FrameId, StackId};
use serde::Serialize;

use super::json::plain;
use super::stacks::{self, Call};
use super::{Report, title};

const SCHEMA: &str = "https://www.speedscope.app/file-format-schema.json";

/// Writes the sites that weigh something by the report's metric.
pub fn write(report: &Report<'_>, mut out: impl Write) -> io::Result<()> {
    let model = &report.capture.model;
    let metric = report.metric;
    let mut rows = stacks::rows(report);
    rows.retain(|row| metric.of(&row.counters) > 0);
    let weights = || rows.iter().map(|row| metric.of(&row.counters));
    let total = weights().fold(0, u64::saturating_add);
    let name = title(report);
    let unit = if metric.is_bytes() { "bytes" } else { "none" };

    write!(
        out,
        "{{\"$schema\":\"{SCHEMA}\",\"exporter\":\"pytrace\",\"name\":"
    )?;
    json(&name, &mut out)?;
    write!(
        out,
        ",\"activeProfileIndex\":0,\"profiles\":[{{\"type\":\"sampled\",\"name\":"
    )?;
    json(&format!("{name}: {}", metric.meaning()), &mut out)?;
    write!(
        out,
        ",\"unit\":\"{unit}\",\"startValue\":0,\"endValue\":{total},\"samples\":["
    )?;
    let mut frames = Frames::default();
    for (at, row) in rows.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        write!(out, "{comma}")?;
        json(&frames.sample(model, row.stack), &mut out)?;
    }
    write!(out, "],\"weights\":[")?;
    for (at, weight) in weights().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        write!(out, "{comma}{weight}")?;
    }
    write!(out, "]}}],\"shared\":{{\"frames\":[")?;
    for (at, call) in frames.in_order.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        write!(out, "{comma}")?;
        json(&FrameFields::of(call), &mut out)?;
    }
    writeln!(out, "]}}}}")
}

fn json(value: &impl Serialize, out: &mut impl Write) -> io::Result<()> {
    plain::write_line(value, out)
}

/// The frames that samples name, by number.
#[derive(Default)]
struct Frames {
    of_frame: HashMap<FrameId, Vec<usize>>,
    numbers: HashMap<Call, usize>,
    in_order: Vec<Call>,
}

impl Frames {
    /// The numbers of a stack's frames, outermost first.
    fn sample(&mut self, model: &Model, stack: StackId) -> Vec<usize> {
        let mut sample = Vec::new();
        for (id, frame) in model.stack_frames(stack) {
            if !self.of_frame.contains_key(&id) {
                let calls = stacks::calls(model, id, frame).into_iter();
                let numbers = calls.map(|call| self.number(call)).collect();
                self.of_frame.insert(id, numbers);
            }
            sample.extend(self.of_frame.get(&id).into_iter().flatten());
        }
        if sample.is_empty() {
            sample.push(self.number(Call::nowhere()));
        }
        sample.reverse();
        sample
    }

    fn number(&mut self, call: Call) -> usize {
        if let Some(&known) = self.numbers.get(&call) {
            return known;
        }
        let number = self.in_order.len();
        self.in_order.push(call.clone());
        self.numbers.insert(call, number);
        number
    }
}

#[derive(Serialize)]
struct FrameFields<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    file: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
}

impl FrameFields<'_> {
    fn of(call: &Call) -> FrameFields<'_> {
        FrameFields {
            name: &call.function,
            file: &call.file,
            line: (call.line > 0).then_some(call.line),
        }
    }
}
