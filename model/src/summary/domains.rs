//! The table by domain: what was asked, what was set aside for it, what is left.

use core::fmt;

use pytrace_format::record::{Counters, Domain, Scope};

use super::screen::{Screen, Tone};
use crate::Model;
use crate::text::{Column, Table, compact_count, count, percent, size};

const COLUMNS: [Column; 11] = [
    Column::left("domain", 0),
    Column::right("allocs", 0),
    Column::right("reallocs", 5),
    Column::right("frees", 4),
    Column::right("requested", 0),
    Column::right("served", 6),
    Column::right("slack", 7),
    Column::right("blocks", 2),
    Column::right("live", 1),
    Column::right("peak", 0),
    Column::right("temp", 3),
];

/// How many of them, the last ones, only a table of live blocks tells.
const OF_LIVE_TABLE: usize = 3;

pub(super) fn draw<W: fmt::Write>(model: &Model, screen: &mut Screen<'_, W>) -> fmt::Result {
    let is_quiet = |counters: &Counters| *counters == Counters::default();
    let mmap = model.scope(Scope::Domain(Domain::Mmap)).counters;
    let shown: Vec<_> = Domain::ALL
        .into_iter()
        .filter(|&domain| domain != Domain::Mmap)
        .map(|domain| (domain.name(), Scope::Domain(domain)))
        .filter(|&(_, scope)| !is_quiet(&model.scope(scope).counters))
        .chain([("total", Scope::Total)])
        .chain((!is_quiet(&mmap)).then_some(("mmap", Scope::Domain(Domain::Mmap))))
        .collect();

    let columns = match model.has_live_table() {
        true => &COLUMNS[..],
        false => &COLUMNS[..COLUMNS.len() - OF_LIVE_TABLE],
    };
    let table_with = |format_count: fn(u64) -> String| {
        let mut table = Table::new(columns);
        for &(name, scope) in &shown {
            table.row(cells(name, model, scope, format_count));
        }
        table
    };
    let mut table = table_with(count);
    if !table.fits(screen.width()) {
        table = table_with(compact_count);
    }

    screen.blank()?;
    let lines = table.lines(screen.width());
    let names = core::iter::once("heading").chain(shown.iter().map(|&(name, _)| name));
    for (line, name) in lines.iter().zip(names) {
        let tone = match name {
            "total" => Tone::Strong,
            "heading" | "mmap" => Tone::Dim,
            _ => Tone::Plain,
        };
        screen.line(&[(tone, line)])?;
    }
    if !is_quiet(&mmap) {
        screen.line(&[(Tone::Dim, "mmap stands beside the total, not in it")])?;
    }
    Ok(())
}

fn cells(name: &str, model: &Model, scope: Scope, format_count: fn(u64) -> String) -> Vec<String> {
    let counters = model.scope(scope).counters;
    let knows_served = model.knows_served_bytes(scope);
    let if_known = |text: String| if knows_served { text } else { "-".to_owned() };
    let slack_bytes = counters
        .served_bytes
        .saturating_sub(counters.requested_bytes);
    vec![
        name.to_owned(),
        format_count(counters.allocations),
        format_count(counters.reallocations),
        format_count(counters.frees),
        size(counters.requested_bytes),
        if_known(size(counters.served_bytes)),
        if_known(percent(slack_bytes, counters.served_bytes)),
        format_count(counters.live_blocks),
        size(counters.live_bytes),
        size(counters.peak_bytes),
        match model.counts_in_part {
            true => "-".to_owned(),
            false => percent(counters.temporary_allocations, counters.allocations),
        },
    ]
}
