//! What changed, for people: the total, the domains, size classes and call sites.

use std::io::{self, Write};

use pytrace_model::record::{Frame, Scope};
use pytrace_model::text::{Column, Table, count, escape_name, percent, size};

use super::{Change, Difference, Kind, Samples, Side, SiteRow, Spread};
use crate::analysis::Metric;
use crate::report::text::row::{Tones, number_of, write_stack, write_words};

/// Call sites listed when no number is asked for.
const SITES: usize = 25;

/// Size classes then.
const SIZES: usize = 10;

/// What is shown of the total and the domains.
const METRICS: [(Metric, &str); 5] = [
    (Metric::Allocated, "allocated"),
    (Metric::Allocations, "allocations"),
    (Metric::Live, "live"),
    (Metric::Peak, "peak"),
    (Metric::Temporary, "temporary"),
];

/// Writes what changed for a screen of `width` columns. Stacks are not cut to it.
pub fn write(
    difference: &Difference,
    top: Option<usize>,
    width: usize,
    colour: bool,
    mut out: &mut dyn Write,
) -> io::Result<()> {
    let tones = Tones { colour };
    for (name, side) in [("before", &difference.before), ("after", &difference.after)] {
        writeln!(out, "{name:<6}  {}", runs(side))?;
    }
    for note in &difference.notes {
        write_words(&format!("note: {note}"), width, &mut out)?;
    }
    if difference.is_nothing() {
        let what = match difference.has_sets() {
            true => "no difference outside of the runs' own spread",
            false => "no difference",
        };
        writeln!(out, "\n{}", tones.strong(what))?;
    } else {
        total(difference, width, tones, out)?;
        domains(difference, width, tones, out)?;
        sizes(difference, top.unwrap_or(SIZES), width, tones, out)?;
    }
    sites(difference, top.unwrap_or(SITES), width, tones, out)
}

/// `app.py, pid 7, CPython 3.12.1, mode sites  a.pytrace`
fn runs(side: &Side) -> String {
    let Some((path, capture)) = side.first() else {
        return String::new();
    };
    let process = &capture.model.process;
    let mut text = format!(
        "{}, CPython {}, mode {}",
        escape_name(&process.program),
        escape_name(&process.python_version),
        capture.model.settings.mode.name()
    );
    let file = escape_name(&path.to_string_lossy());
    match side.len() {
        1 => text += &format!("  {file}"),
        runs => text += &format!("  {runs} runs, {file} …"),
    }
    text
}

fn total(
    difference: &Difference,
    width: usize,
    tones: Tones,
    out: &mut dyn Write,
) -> io::Result<()> {
    let Some((_, samples)) = difference
        .scopes
        .iter()
        .find(|(scope, _)| *scope == Scope::Total)
    else {
        return Ok(());
    };
    let mut table = Table::new(&[
        Column::left("total", 0),
        Column::right("before", 0),
        Column::right("after", 0),
        Column::right("change", 0),
        Column::right("", 0),
        Column::left("", 1),
    ]);
    for (metric, name) in METRICS {
        if metric.needs_live_table() && !difference.knows_live {
            continue;
        }
        let change = samples.change(|counters| metric.of(counters));
        let mut cells = vec![
            name.to_string(),
            spread(metric, change.before),
            spread(metric, change.after),
        ];
        cells.extend(change_cells(metric, change));
        table.row(cells);
    }
    lines(&table, width, tones, out)
}

fn domains(
    difference: &Difference,
    width: usize,
    tones: Tones,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut table = Table::new(&[
        Column::left("domain", 0),
        Column::right("allocated", 0),
        Column::right("allocations", 0),
        Column::right("live", 1),
        Column::right("peak", 1),
        Column::right("temporary", 2),
    ]);
    for (scope, samples) in &difference.scopes {
        let Scope::Domain(domain) = scope else {
            continue;
        };
        if !samples.is_changed(difference.knows_live) {
            continue;
        }
        let mut cells = vec![domain.name().to_string()];
        cells.extend(METRICS.map(|(metric, _)| {
            match metric.needs_live_table() && !difference.knows_live {
                true => String::new(),
                false => signed_or_same(metric, samples),
            }
        }));
        table.row(cells);
    }
    lines(&table, width, tones, out)
}

fn sizes(
    difference: &Difference,
    top: usize,
    width: usize,
    tones: Tones,
    out: &mut dyn Write,
) -> io::Result<()> {
    if difference.sizes.is_empty() {
        return Ok(());
    }
    let mut table = Table::new(&[
        Column::right("size", 0),
        Column::left("domain", 0),
        Column::right("allocations", 0),
        Column::right("bytes", 0),
        Column::right("blocks live", 1),
    ]);
    for row in difference.sizes.iter().take(top) {
        let size_class = match row.from == row.to {
            true => format!("{} B", count(row.from)),
            false => format!("{}-{} B", count(row.from), count(row.to)),
        };
        let live = row.samples.change(|counters| counters.live_blocks);
        table.row(vec![
            size_class,
            row.domain.name().to_string(),
            signed_or_same(Metric::Allocations, &row.samples),
            signed_or_same(Metric::Allocated, &row.samples),
            if live.is_called() && difference.knows_live {
                signed(Metric::Allocations, live)
            } else {
                String::new()
            },
        ]);
    }
    lines(&table, width, tones, out)?;
    more(
        difference.sizes.len(),
        top,
        "size class",
        "size classes",
        out,
    )
}

fn sites(
    difference: &Difference,
    top: usize,
    width: usize,
    tones: Tones,
    mut out: &mut dyn Write,
) -> io::Result<()> {
    let all = &difference.sites;
    if all.is_empty() {
        return Ok(());
    }
    let metric = difference.metric;
    let kinds: Vec<_> = all.iter().map(|row| row.kind(metric)).collect();
    let counted: Vec<_> = [
        Kind::Appeared,
        Kind::Vanished,
        Kind::Grew,
        Kind::Shrank,
        Kind::Changed,
        Kind::Moved,
    ]
    .into_iter()
    .filter_map(|kind| {
        let number = kinds.iter().filter(|other| **other == kind).count();
        (number > 0).then(|| {
            let what = match kind {
                Kind::Changed => "changed in other numbers",
                Kind::Moved => "only moved to other lines",
                kind => kind.name(),
            };
            format!("{} {what}", count(number as u64))
        })
    })
    .collect();
    let heading = format!(
        "call sites by change of {}: {}, of {} compared",
        metric.meaning(),
        counted.join(", "),
        count(difference.sites_compared as u64)
    );
    writeln!(out)?;
    write_words(&tones.strong(&heading), width, &mut out)?;
    for row in all.iter().take(top) {
        site(difference, row, tones, out)?;
    }
    more(all.len(), top, "call site", "call sites", out)
}

fn site(
    difference: &Difference,
    row: &SiteRow,
    tones: Tones,
    mut out: &mut dyn Write,
) -> io::Result<()> {
    let metric = difference.metric;
    let kind = row.kind(metric);
    let change = row.samples.change(|counters| metric.of(counters));
    let number = match kind {
        Kind::Changed | Kind::Moved => spread(metric, change.after),
        _ => signed(metric, change),
    };
    let head = format!("{number:>12}  {}", kind.name());
    let mut said = vec![row.domain.name().to_string()];
    if matches!(kind, Kind::Grew | Kind::Shrank) {
        said.push(format!(
            "{} → {}",
            spread(metric, change.before),
            spread(metric, change.after)
        ));
    }
    for (other, name) in METRICS {
        let change = row.samples.change(|counters| other.of(counters));
        if other != metric && change.is_called() {
            said.push(format!("{name} {}", signed(other, change)));
        }
    }
    let resized = row.samples.change(|counters| counters.reallocations);
    if resized.is_called() {
        said.push(format!(
            "reallocations {}",
            signed(Metric::Allocations, resized)
        ));
    }
    writeln!(out, "\n{}  {}", tones.strong(&head), said.join(", "))?;
    write_stack(&difference.tables, row.stack, tones, &mut out)?;
    if let Some(old) = row.moved_from {
        let lines = moved_lines(difference, row, old);
        writeln!(out, "        {}", tones.dim(&format!("moved: {lines}")))?;
    }
    Ok(())
}

/// The lines that are others now: `12 → 14 in f`.
fn moved_lines(difference: &Difference, row: &SiteRow, old: pytrace_model::ids::StackId) -> String {
    let tables = &difference.tables;
    let frames = tables.stack_frames(row.stack).zip(tables.stack_frames(old));
    let moved = frames.filter_map(|((_, new), (_, old))| match (new, old) {
        (
            Frame::Python {
                function,
                line: new,
                ..
            },
            Frame::Python { line: old, .. },
        ) if new != old => Some(format!(
            "{old} → {new} in {}",
            escape_name(tables.string(*function))
        )),
        _ => None,
    });
    let moved: Vec<_> = moved.collect();
    match moved.as_slice() {
        [first, .., last] if moved.len() > 3 => {
            format!(
                "{first}, … {last} ({})",
                number_of(moved.len() as u64, "frame")
            )
        }
        moved => moved.join(", "),
    }
}

fn more(all: usize, top: usize, one: &str, several: &str, out: &mut dyn Write) -> io::Result<()> {
    match all.saturating_sub(top) {
        0 => Ok(()),
        1 => writeln!(out, "\n1 {one} more, with --top"),
        more => writeln!(out, "\n{} {several} more, with --top", count(more as u64)),
    }
}

fn lines(table: &Table, width: usize, tones: Tones, out: &mut dyn Write) -> io::Result<()> {
    let lines = table.lines(width);
    if lines.len() < 2 {
        return Ok(());
    }
    writeln!(out)?;
    for (number, line) in lines.iter().enumerate() {
        match number {
            0 => writeln!(out, "{}", tones.dim(line))?,
            _ => writeln!(out, "{line}")?,
        }
    }
    Ok(())
}

fn change_cells(metric: Metric, change: Change) -> [String; 3] {
    if change.is_called() {
        let part = u64::try_from(change.difference().unsigned_abs()).unwrap_or(u64::MAX);
        let share = match change.before.median {
            0 => String::new(),
            before => match percent(part, before) {
                share if share.starts_with('<') => share,
                share => format!("{}{share}", sign(change)),
            },
        };
        [signed(metric, change), share, String::new()]
    } else {
        let remark = match change.difference() {
            0 => "",
            _ => "within the runs' own spread",
        };
        ["same".to_string(), String::new(), remark.to_string()]
    }
}

fn signed_or_same(metric: Metric, samples: &Samples) -> String {
    let change = samples.change(|counters| metric.of(counters));
    match change.is_called() {
        true => signed(metric, change),
        false => "same".to_string(),
    }
}

/// `+12.3 KiB`
fn signed(metric: Metric, change: Change) -> String {
    let part = u64::try_from(change.difference().unsigned_abs()).unwrap_or(u64::MAX);
    format!("{}{}", sign(change), amount(metric, part))
}

fn sign(change: Change) -> &'static str {
    match change.difference() < 0 {
        true => "-",
        false => "+",
    }
}

/// The median, and the range where there is one: `12.3 KiB (12.1 KiB … 12.5 KiB)`; how wide it is where that says more:
/// `154 MiB (± 436 B)`.
fn spread(metric: Metric, spread: Spread) -> String {
    let median = amount(metric, spread.median);
    let (least, most) = (amount(metric, spread.least), amount(metric, spread.most));
    if spread.least == spread.most {
        median
    } else if least == most {
        format!("{median} (± {})", amount(metric, spread.farthest()))
    } else {
        format!("{median} ({least} … {most})")
    }
}

fn amount(metric: Metric, number: u64) -> String {
    match metric.is_bytes() {
        true => size(number),
        false => count(number),
    }
}
