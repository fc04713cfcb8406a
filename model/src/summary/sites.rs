//! The top call sites: numbers in columns, and below them the useful part of the stack.
//!
//! Sites that are shown alike are one row here, and what imports and the interpreter's start do is summed up;
//! `pytrace report` has the whole stacks.

use core::cmp::Reverse;
use core::fmt;

use pytrace_format::record::Counters;

use super::screen::{Screen, Tone};
use super::shown::{self, ShownStack};
use crate::Model;
use crate::label;
use crate::listed::{self, Common, Listed};
use crate::origin::Origins;
use crate::text::{Column, Table, columns, compact_count, count, cut_end, percent, size};

const COLUMNS: [Column; 8] = [
    Column::right("share", 0),
    Column::right("bytes", 0),
    Column::right("count", 0),
    Column::right("mean", 5),
    Column::right("live", 2),
    Column::right("peak", 1),
    Column::right("temp", 4),
    Column::left("domain", 3),
];

/// Stacks stand to the right of the shares.
const INDENT: &str = "      ";

pub(super) fn draw<W: fmt::Write>(
    model: &Model,
    origins: &Origins,
    top: usize,
    screen: &mut Screen<'_, W>,
) -> fmt::Result {
    let rows = ranked_rows(model, origins);
    if top == 0 || rows.is_empty() {
        return Ok(());
    }
    let (listed, others) = rows.split_at(rows.len().min(top));
    let all_bytes = requested_bytes(&rows);

    let table = table(listed, all_bytes, screen.width());
    let lines = table.lines(screen.width());
    let table_width = lines.iter().map(|line| columns(line)).max().unwrap_or(0);
    let top = if others.is_empty() { "" } else { "top " };
    screen.heading(&format!("{top}call sites by bytes requested"))?;
    for (index, line) in lines.iter().enumerate() {
        match index.checked_sub(1) {
            None => screen.line(&[(Tone::Dim, line)])?,
            Some(index) => draw_row(model, origins, line, table_width, &listed[index], screen)?,
        }
    }
    draw_rest(&rows, others, all_bytes, screen)?;
    draw_nameless(model, origins, listed, screen)
}

fn requested_bytes(rows: &[Listed]) -> u64 {
    rows.iter().fold(0, |sum, row| {
        sum.saturating_add(row.counters.requested_bytes)
    })
}

/// The rows, by requested bytes.
fn ranked_rows(model: &Model, origins: &Origins) -> Vec<Listed> {
    let mut rows = listed::rows(model, origins, listed::leading_domains(model), |stack| {
        ShownStack::find(model, origins, stack).key(origins)
    });
    rows.sort_by_key(|row| {
        let counters = &row.counters;
        (
            Reverse(counters.requested_bytes),
            Reverse(counters.allocations),
            row.stack,
        )
    });
    rows
}

fn table(listed: &[Listed], all_bytes: u64, width: usize) -> Table {
    let table_with = |format_count: fn(u64) -> String| {
        let mut table = Table::dense(&COLUMNS);
        listed
            .iter()
            .for_each(|row| table.row(cells(row, all_bytes, format_count)));
        table
    };
    let exact = table_with(count);
    if exact.fits(width) {
        exact
    } else {
        table_with(compact_count)
    }
}

fn cells(row: &Listed, all_bytes: u64, format_count: fn(u64) -> String) -> Vec<String> {
    let Counters {
        allocations,
        reallocations,
        requested_bytes,
        live_bytes,
        peak_bytes,
        temporary_allocations,
        ..
    } = row.counters;
    let calls = allocations.saturating_add(reallocations);
    vec![
        percent(requested_bytes, all_bytes),
        size(requested_bytes),
        format_count(calls),
        requested_bytes
            .checked_div(calls)
            .map_or("-".to_owned(), size),
        size(live_bytes),
        size(peak_bytes),
        percent(temporary_allocations, allocations),
        row.domain_text().to_owned(),
    ]
}

fn draw_row<W: fmt::Write>(
    model: &Model,
    origins: &Origins,
    numbers: &str,
    table_width: usize,
    row: &Listed,
    screen: &mut Screen<'_, W>,
) -> fmt::Result {
    let room = screen.width() - INDENT.len();
    let beside = screen.width().saturating_sub(table_width + 1);
    let (who, (innermost, callers)) = match row.common {
        Common::Stack => {
            let stack = ShownStack::find(model, origins, row.stack);
            let python = match stack.python_text(room) {
                Some(python) => python,
                None if model.process.no_stacks_reason.is_empty() => no_python(),
                None => (String::new(), String::new()),
            };
            (stack.native_text(beside), python)
        }
        Common::Import(importer) => (
            call_sites(row.sites),
            shown::import_text(model, importer, room),
        ),
        Common::NoPython => (call_sites(row.sites), no_python()),
    };
    // Behind the numbers where it fits, on a line of its own otherwise.
    if columns(&who) <= beside {
        let padding = " ".repeat(table_width + 1 - columns(numbers));
        screen.line(&[
            (Tone::Plain, numbers),
            (Tone::Plain, &padding),
            (Tone::Plain, &who),
        ])?;
    } else {
        screen.line(&[(Tone::Plain, numbers)])?;
        screen.line(&[(Tone::Plain, INDENT), (Tone::Plain, &cut_end(&who, room))])?;
    }
    if innermost.is_empty() {
        return Ok(());
    }
    screen.line(&[
        (Tone::Plain, INDENT),
        (Tone::Strong, &innermost),
        (Tone::Dim, &callers),
    ])
}

/// What stands in the place of a line when no Python code ran.
fn no_python() -> (String, String) {
    ("(no Python code)".to_owned(), String::new())
}

fn call_sites(number: usize) -> String {
    let sites = if number == 1 { "site" } else { "sites" };
    format!("{} call {sites}", count(number as u64))
}

fn draw_rest<W: fmt::Write>(
    rows: &[Listed],
    others: &[Listed],
    all_bytes: u64,
    screen: &mut Screen<'_, W>,
) -> fmt::Result {
    if others.is_empty() {
        return Ok(());
    }
    let sites = |rows: &[Listed]| rows.iter().map(|row| row.sites).sum();
    let share = percent(requested_bytes(others), all_bytes);
    let text = format!(
        "{share:>5} in {} of {}",
        count(sites(others) as u64),
        call_sites(sites(rows))
    );
    screen.flow(Tone::Dim, "", &[text])
}

/// Says once why functions of the interpreter are shown as addresses.
fn draw_nameless<W: fmt::Write>(
    model: &Model,
    origins: &Origins,
    listed: &[Listed],
    screen: &mut Screen<'_, W>,
) -> fmt::Result {
    let is_nameless = |row: &Listed| {
        row.common == Common::Stack
            && ShownStack::find(model, origins, row.stack).is_nameless_interpreter()
    };
    let Some(row) = listed.iter().find(|row| is_nameless(row)) else {
        return Ok(());
    };
    let file = ShownStack::find(model, origins, row.stack).native_module();
    screen.flow(Tone::Dim, "", &[label::about_unnamed(&file)])
}
