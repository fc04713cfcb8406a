//! The program's own lines, each with all that it calls: where to look first, whatever library does the allocating.

use core::cmp::Reverse;
use core::fmt;

use super::screen::{Screen, Tone};
use super::shown;
use crate::Model;
use crate::listed::{self, Line};
use crate::origin::Origins;
use crate::text::{Column, Table, columns, compact_count, percent, size};

const COLUMNS: [Column; 5] = [
    Column::right("share", 0),
    Column::right("bytes", 0),
    Column::right("count", 3),
    Column::right("live", 2),
    Column::right("peak", 1),
];

/// Lines below this share, in percent of all bytes, are not worth the room.
const LEAST_SHARE: u64 = 1;

pub(super) fn draw<W: fmt::Write>(
    model: &Model,
    origins: &Origins,
    top: usize,
    screen: &mut Screen<'_, W>,
) -> fmt::Result {
    let is_listed = listed::leading_domains(model);
    let all_bytes = listed::requested_bytes(model, &is_listed);
    let mut lines = listed::own_lines(model, origins, is_listed);
    lines.sort_by_key(|line| (Reverse(line.counters.requested_bytes), line.frame));
    lines.retain(|line| {
        let bytes = line.counters.requested_bytes;
        bytes > 0 && bytes.saturating_mul(100) >= all_bytes.saturating_mul(LEAST_SHARE)
    });
    lines.truncate(top);
    if lines.is_empty() {
        return Ok(());
    }

    let mut table = Table::dense(&COLUMNS);
    for line in &lines {
        table.row(cells(line, all_bytes));
    }
    // Half of a narrow screen belongs to the names.
    let numbers = table.lines(screen.width() / 2);
    let width = numbers.iter().map(|line| columns(line)).max().unwrap_or(0);
    screen.heading("lines of the program, with all that they call")?;
    for (index, number) in numbers.iter().enumerate() {
        let padding = " ".repeat(width + 1 - columns(number));
        let Some(line) = index.checked_sub(1).map(|index| &lines[index]) else {
            screen.line(&[(Tone::Dim, number)])?;
            continue;
        };
        let is_import = line.import_bytes.saturating_mul(2) > line.counters.requested_bytes;
        let note = if is_import { "  (import)" } else { "" };
        let room = screen.width() - width - 1 - columns(note);
        screen.line(&[
            (Tone::Plain, number),
            (Tone::Plain, &padding),
            (Tone::Strong, &shown::place(model, line.frame, room)),
            (Tone::Dim, note),
        ])?;
    }
    Ok(())
}

fn cells(line: &Line, all_bytes: u64) -> Vec<String> {
    let counters = &line.counters;
    let calls = counters.allocations.saturating_add(counters.reallocations);
    vec![
        percent(counters.requested_bytes, all_bytes),
        size(counters.requested_bytes),
        compact_count(calls),
        size(counters.live_bytes),
        size(counters.peak_bytes),
    ]
}
