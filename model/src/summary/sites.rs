//! The top call sites: numbers in columns, and below them the useful part of the stack.
//!
//! Sites that are shown alike are one here; `pytrace report` tells them apart. Like the total, the list leaves `mmap`
//! out, unless nothing else was recorded: one reservation would lead it.

use core::cmp::Reverse;
use core::fmt;

use pytrace_format::record::{Counters, Domain};

use super::screen::{Screen, Tone};
use super::shown::ShownStack;
use crate::Model;
use crate::group::{self, SiteGroup};
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
    top: usize,
    screen: &mut Screen<'_, W>,
) -> fmt::Result {
    if !super::has_live_bytes(model) {
        screen.blank()?;
        let text = "call sites, live bytes and peak are not recorded in mode counts";
        return screen.flow(Tone::Dim, "", &[text.to_owned()]);
    }
    if top == 0 || model.sites.is_empty() {
        return Ok(());
    }
    let groups = ranked_groups(model);
    let (listed, others) = groups.split_at(groups.len().min(top));
    let bytes = |groups: &[SiteGroup]| {
        groups.iter().fold(0u64, |sum, group| {
            sum.saturating_add(group.counters.requested_bytes)
        })
    };
    let all_bytes = bytes(&groups);

    let table = table(listed, all_bytes, screen.width());
    let lines = table.lines(screen.width());
    let table_width = lines.iter().map(|line| columns(line)).max().unwrap_or(0);
    let top = if others.is_empty() { "" } else { "top " };
    screen.heading(&format!("{top}call sites by bytes requested"))?;
    for (index, line) in lines.iter().enumerate() {
        match index.checked_sub(1) {
            None => screen.line(&[(Tone::Dim, line)])?,
            Some(index) => draw_site(model, line, table_width, &listed[index], screen)?,
        }
    }
    if others.is_empty() {
        return Ok(());
    }
    let share = percent(bytes(others), all_bytes);
    let sites = if others.len() == 1 { "site" } else { "sites" };
    let text = format!(
        "{share:>5} in {} other call {sites}",
        count(others.len() as u64)
    );
    screen.flow(Tone::Dim, "", &[text])
}

/// The sites that are shown alike, by requested bytes.
fn ranked_groups(model: &Model) -> Vec<SiteGroup> {
    let identities = group::frame_identities(model);
    let mut groups = group::by_key(model, |stack| {
        ShownStack::find(model, stack).key(&identities)
    });
    if groups.iter().any(|group| group.domain != Domain::Mmap) {
        groups.retain(|group| group.domain != Domain::Mmap);
    }
    groups.sort_by_key(|group| {
        let counters = &group.counters;
        (
            Reverse(counters.requested_bytes),
            Reverse(counters.allocations),
            group.stack,
        )
    });
    groups
}

fn table(listed: &[SiteGroup], all_bytes: u64, width: usize) -> Table {
    let table_with = |format_count: fn(u64) -> String| {
        let mut table = Table::dense(&COLUMNS);
        listed
            .iter()
            .for_each(|group| table.row(cells(group, all_bytes, format_count)));
        table
    };
    let exact = table_with(count);
    if exact.fits(width) {
        exact
    } else {
        table_with(compact_count)
    }
}

fn cells(group: &SiteGroup, all_bytes: u64, format_count: fn(u64) -> String) -> Vec<String> {
    let Counters {
        allocations,
        reallocations,
        requested_bytes,
        live_bytes,
        peak_bytes,
        temporary_allocations,
        ..
    } = group.counters;
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
        group.domain.name().to_owned(),
    ]
}

fn draw_site<W: fmt::Write>(
    model: &Model,
    row: &str,
    table_width: usize,
    group: &SiteGroup,
    screen: &mut Screen<'_, W>,
) -> fmt::Result {
    let stack = ShownStack::find(model, group.stack);
    let room = screen.width() - INDENT.len();
    let native = stack.native_text();
    // Behind the numbers where it fits, on a line of its own otherwise.
    if columns(&native) <= screen.width().saturating_sub(table_width + 1) {
        let padding = " ".repeat(table_width + 1 - columns(row));
        screen.line(&[
            (Tone::Plain, row),
            (Tone::Plain, &padding),
            (Tone::Plain, &native),
        ])?;
    } else {
        screen.line(&[(Tone::Plain, row)])?;
        screen.line(&[
            (Tone::Plain, INDENT),
            (Tone::Plain, &cut_end(&native, room)),
        ])?;
    }
    match stack.python_text(room) {
        (innermost, _) if innermost.is_empty() => Ok(()),
        (innermost, callers) => screen.line(&[
            (Tone::Plain, INDENT),
            (Tone::Strong, &innermost),
            (Tone::Dim, &callers),
        ]),
    }
}
