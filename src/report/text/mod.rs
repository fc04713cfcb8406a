//! The text report: the summary that the traced program prints, then more rows, with whole stacks.

mod list;
mod listing;
mod processes;
pub(crate) mod row;

use std::io::{self, Write};

use pytrace_model::Model;
use pytrace_model::listed::leading_domains;
use pytrace_model::origin::Origins;
use pytrace_model::record::Domain;
use pytrace_model::summary::{self, Style};
use pytrace_model::text::{count, duration, escape_name, percent, size};

use super::Report;
use crate::analysis::{Grouping, Remainder};
use crate::capture::{Capture, Ending};
use list::List;
use row::write_words;

/// Rows listed when no number is asked for.
const ROWS: usize = 25;

/// Rows of mappings then, which stand beside the total.
const MAPPINGS: usize = 5;

/// Lines of the program listed.
const LINES: usize = 10;

/// Marks listed.
const MARKS: usize = 20;

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
    if report.members.is_empty() {
        if let Some(state) = unfinished(report.capture) {
            writeln!(out, "{state}\n")?;
        }
        summary::render(model, &style, &mut head).map_err(io::Error::other)?;
    } else {
        processes::write(report.members, width, row::Tones { colour }, &mut out)?;
        summary::render_sums(model, &style, &mut head).map_err(io::Error::other)?;
        summary::render_end(model, &style, &mut head).map_err(io::Error::other)?;
    }
    out.write_all(head.as_bytes())?;
    marks(model, &mut out)?;
    if let Some((filter, left)) = report.filtered {
        writeln!(out)?;
        let tones = row::Tones { colour };
        let heading = format!("only call sites with {}", escape_name(&filter.to_string()));
        writeln!(out, "{}", tones.strong(&heading))?;
        write_words(&share(report, &left), width, &mut out)?;
    }
    if model.has_live_table() {
        lists(report, style, &mut out)?;
    }
    for note in report.notes {
        writeln!(out)?;
        write_words(note, width, &mut out)?;
    }
    Ok(())
}

/// Where it was: the lines of the program, and the call sites.
fn lists(report: &Report<'_>, mut style: Style, mut out: &mut impl Write) -> io::Result<()> {
    let model = &report.capture.model;
    let Style { width, colour, .. } = style;

    let origins = Origins::of(model);
    if report.grouping == Grouping::Site {
        style.top = LINES;
        let mut lines = String::new();
        summary::render_lines(model, &origins, &style, &mut lines).map_err(io::Error::other)?;
        out.write_all(lines.as_bytes())?;
    }
    let is_leading = leading_domains(model);
    if report.grouping == Grouping::Line {
        let top = report.top.unwrap_or(ROWS);
        listing::write(report, is_leading, top, width, row::Tones { colour }, out)?;
        let mappings = List::beside(report, is_beside(model), report.top.unwrap_or(MAPPINGS));
        return match mappings.is_empty() {
            true => Ok(()),
            false => mappings.write(width, colour, out),
        };
    }
    let leading = List::leading(report, &origins, &is_leading, report.top.unwrap_or(ROWS));
    leading.write(width, colour, &mut out)?;
    let mappings = List::beside(report, is_beside(model), report.top.unwrap_or(MAPPINGS));
    if !mappings.is_empty() {
        mappings.write(width, colour, &mut out)?;
    }
    leading.about_addresses(width, &mut out)
}

/// Which domains stand beside those that lists lead with.
fn is_beside(model: &Model) -> impl Fn(Domain) -> bool + use<> {
    let is_leading = leading_domains(model);
    move |domain| !is_leading(domain)
}

/// What part a filter left: `12 of 3,456 call sites, 38.2% of bytes asked for (1.20 MiB of 3.14 MiB); …`
fn share(report: &Report<'_>, left: &Remainder) -> String {
    let metric = report.metric;
    let (kept, all) = (metric.of(&left.counters.0), metric.of(&left.counters.1));
    let number = if metric.is_bytes() { size } else { count };
    let (sites, of_sites) = left.sites;
    format!(
        "{} of {} call sites, {} of {} ({} of {}); what stands above is of all",
        count(sites as u64),
        count(of_sites as u64),
        percent(kept, all),
        metric.meaning(),
        number(kept),
        number(all),
    )
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

fn marks(model: &Model, out: &mut impl Write) -> io::Result<()> {
    let marks = &model.marks;
    if marks.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nmarks")?;
    for mark in marks.iter().take(MARKS) {
        let at = duration(mark.at_ns);
        writeln!(out, "{at:>10}  {}", escape_name(&mark.name))?;
    }
    match marks.len().saturating_sub(MARKS) {
        0 => Ok(()),
        more => writeln!(out, "{:>10}  more, with --format json", count(more as u64)),
    }
}
