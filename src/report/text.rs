//! The text report: the summary that the traced program prints, then more rows, with whole stacks.

use std::io::{self, Write};

use pytrace_model::Model;
use pytrace_model::ids::StackId;
use pytrace_model::label;
use pytrace_model::record::{Counters, Frame, Mode};
use pytrace_model::summary::{self, Style};
use pytrace_model::text::{count, duration, escape_name, percent, size};

use super::Report;
use crate::analysis::{Grouping, Metric, Row, RowKey, Subject};
use crate::capture::{Capture, Ending};

/// Rows listed when no number is asked for.
const ROWS: usize = 25;

const INDENT: &str = "        ";

/// Writes the report for a screen of `width` columns. Stacks are not cut to it: who asks for a report wants them whole.
pub fn write(
    report: &Report<'_>,
    width: usize,
    colour: bool,
    mut out: impl Write,
) -> io::Result<()> {
    let model = &report.capture.model;
    let style = Style {
        width,
        colour,
        top: 0,
        footer: None,
    };
    let mut head = String::new();
    summary::render(model, &style, &mut head).map_err(io::Error::other)?;
    if let Some(state) = unfinished(report.capture) {
        writeln!(out, "{state}\n")?;
    }
    out.write_all(head.as_bytes())?;
    if model.settings.mode == Mode::Counts {
        return Ok(());
    }
    let list = List {
        model,
        metric: report.metric,
        all: report.rows.iter().fold(0u64, |sum, row| {
            sum.saturating_add(report.metric.of(&row.counters))
        }),
        colour,
    };
    list.heading(report, &mut out)?;
    let listed = report.top.unwrap_or(ROWS).min(report.rows.len());
    for (row, number) in report.rows[..listed].iter().zip(1..) {
        list.row(number, row, &mut out)?;
    }
    Ok(())
}

/// What the summary cannot know: whether a process without an end is still there.
fn unfinished(capture: &Capture) -> Option<String> {
    let flushed = duration(capture.duration_ns());
    match capture.ending {
        Ending::Running => Some(format!(
            "still running: this is what it had written after {flushed}"
        )),
        Ending::Lost => Some(format!(
            "lost: the process is gone and wrote no end (killed?); this is what it had written after {flushed}"
        )),
        Ending::Exit | Ending::Exec | Ending::Signal => None,
    }
}

struct List<'a> {
    model: &'a Model,
    metric: Metric,
    all: u64,
    colour: bool,
}

impl List<'_> {
    fn heading(&self, report: &Report<'_>, out: &mut impl Write) -> io::Result<()> {
        let what = match report.grouping {
            Grouping::Site => "call sites",
            Grouping::Line => "lines",
            Grouping::Function => "functions",
            Grouping::File => "files",
            Grouping::Module => "modules",
        };
        let all = report.rows.len();
        let listed = report.top.unwrap_or(ROWS).min(all);
        let number = if listed < all {
            format!(
                " ({} of {}; more with --top)",
                count(listed as u64),
                count(all as u64)
            )
        } else {
            format!(" ({})", count(all as u64))
        };
        let text = format!("{what} by {}{number}", self.metric.meaning());
        writeln!(out, "\n{}", self.toned("1", &text))
    }

    fn row(&self, number: usize, row: &Row, out: &mut impl Write) -> io::Result<()> {
        let value = self.metric.of(&row.counters);
        let share = percent(value, self.all);
        let value = if self.metric.is_bytes() {
            size(value)
        } else {
            count(value)
        };
        let head = format!("{number:>4}. {share:>6}  {value}");
        writeln!(
            out,
            "\n{}  {}",
            self.toned("1", &head),
            numbers(row, self.metric)
        )?;
        match &row.subject {
            Subject::Site(_) => self.stack(row.stack, out),
            Subject::Group(key) => writeln!(out, "{INDENT}{}", key_text(key)),
        }
    }

    fn stack(&self, stack: StackId, out: &mut impl Write) -> io::Result<()> {
        let mut frames = self.model.stack_frames(stack).peekable();
        if frames.peek().is_none() {
            return writeln!(out, "{INDENT}{}", self.toned("2", "(no stack)"));
        }
        while let Some((id, frame)) = frames.next() {
            match *frame {
                Frame::Native { .. } => {
                    let named = label::native(self.model, id, frame);
                    let text = match named.unwrap_or_default() {
                        (function, module) if module.is_empty() => function,
                        (function, module) => format!("{function} ({module})"),
                    };
                    writeln!(out, "{INDENT}{}", self.toned("2", &text))?;
                }
                Frame::Python {
                    function,
                    file,
                    line,
                } => {
                    let file = self.model.string(file);
                    if !label::is_import_machinery(file) {
                        let text = place(self.model.string(function), file, line);
                        writeln!(out, "{INDENT}{text}")?;
                        continue;
                    }
                    let mut skipped = 1;
                    while frames
                        .next_if(|(_, frame)| self.is_import_machinery(frame))
                        .is_some()
                    {
                        skipped += 1;
                    }
                    let text = format!("(import: {skipped} frames of importlib)");
                    writeln!(out, "{INDENT}{}", self.toned("2", &text))?;
                }
            }
        }
        Ok(())
    }

    fn is_import_machinery(&self, frame: &Frame) -> bool {
        match *frame {
            Frame::Python { file, .. } => label::is_import_machinery(self.model.string(file)),
            Frame::Native { .. } => false,
        }
    }

    fn toned(&self, code: &str, text: &str) -> String {
        if self.colour {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_string()
        }
    }
}

/// What is known of a row besides the number that it is sorted by.
fn numbers(row: &Row, metric: Metric) -> String {
    let Counters {
        allocations,
        reallocations,
        requested_bytes,
        live_blocks,
        live_bytes,
        peak_bytes,
        temporary_allocations,
        ..
    } = row.counters;
    let mut said = Vec::new();
    if metric != Metric::Allocated {
        said.push(format!("asked {}", size(requested_bytes)));
    }
    if metric != Metric::Allocations {
        said.push(format!("{} allocations", count(allocations)));
    }
    if reallocations > 0 {
        said.push(format!("{} reallocations", count(reallocations)));
    }
    if metric == Metric::Live {
        said.push(format!("live in {} blocks", count(live_blocks)));
    } else if live_blocks > 0 {
        said.push(format!(
            "live {} in {} blocks",
            size(live_bytes),
            count(live_blocks)
        ));
    }
    if metric != Metric::Peak && peak_bytes > 0 {
        said.push(format!("at peak {}", size(peak_bytes)));
    }
    if metric != Metric::Temporary && temporary_allocations > 0 {
        said.push(format!("{} temporary", count(temporary_allocations)));
    }
    match &row.subject {
        Subject::Site(domain) => said.push(domain.name().to_string()),
        Subject::Group(_) if row.sites > 1 => {
            said.push(format!("{} sites", count(row.sites as u64)))
        }
        Subject::Group(_) => {}
    }
    said.join(", ")
}

fn key_text(key: &RowKey) -> String {
    if !key.file.is_empty() || !key.function.is_empty() {
        return place(&key.function, &key.file, key.line);
    }
    match key.module.as_str() {
        "" => "(no stack)".to_string(),
        library if library.contains('/') => {
            format!("(no Python code) {}", label::module_name(library))
        }
        module => escape_name(module),
    }
}

/// `function  path:line`, without the parts that are open.
fn place(function: &str, file: &str, line: u32) -> String {
    let path = label::source_path(file);
    let path = if line == 0 {
        path
    } else {
        format!("{path}:{line}")
    };
    if function.is_empty() {
        path
    } else {
        format!("{}  {path}", escape_name(function))
    }
}
