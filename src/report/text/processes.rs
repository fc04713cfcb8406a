//! The processes of a report about several: who they were, and what each had.

use std::io::{self, Write};

use pytrace_model::record::{Moment, Scope};
use pytrace_model::text::{
    Column, Table, compact_count, count, cut_end, duration, escape_name, size,
};

use super::row::{Tones, number_of, write_words};
use crate::capture::Ending;
use crate::merge::Member;

/// Processes listed.
const LISTED: usize = 60;

/// Columns of a program's name.
const NAME_WIDTH: usize = 32;

const COLUMNS: [Column; 11] = [
    Column::left("process", 0),
    Column::right("pid", 0),
    Column::right("parent", 6),
    Column::left("ended", 4),
    Column::right("ran", 5),
    Column::right("allocs", 2),
    Column::right("requested", 0),
    Column::right("blocks", 7),
    Column::right("live", 1),
    Column::right("peak", 0),
    Column::right("arenas", 3),
];

pub(super) fn write(
    members: &[Member],
    width: usize,
    tones: Tones,
    out: &mut impl Write,
) -> io::Result<()> {
    writeln!(out, "{}\n", tones.strong(&heading(members)))?;
    let mut table = Table::new(&COLUMNS);
    for member in members.iter().take(LISTED) {
        table.row(cells(member));
    }
    for (at, line) in table.lines(width).iter().enumerate() {
        let line = if at == 0 {
            tones.dim(line)
        } else {
            line.clone()
        };
        writeln!(out, "{line}")?;
    }
    if let Some(more @ 1..) = members.len().checked_sub(LISTED) {
        writeln!(out, "{} more, with --format json", count(more as u64))?;
    }
    let is_lost = |member: &Member| member.capture.ending == Ending::Lost;
    if members.iter().any(is_lost) {
        let text =
            "lost: gone without having written an end (killed?); counted up to the last write";
        writeln!(out, "{}", tones.dim(text))?;
    }
    writeln!(out)?;
    let text = "all processes, added up: live is what each had at its end, peak what each had at its own peak, \
                so together they had at most that much at once";
    write_words(text, width, out)
}

/// `pytrace: 6 processes in 2 runs, 3.20 s from the first start to the last end`
fn heading(members: &[Member]) -> String {
    let processes = match members.len() {
        1 => "1 process".to_string(),
        all => format!("{} processes", count(all as u64)),
    };
    let mut trees: Vec<_> = members
        .iter()
        .map(|member| member.capture.model.process.tree.as_str())
        .collect();
    trees.sort_unstable();
    trees.dedup();
    let runs = match trees.len() {
        1 => String::new(),
        _ => format!(" in {}", number_of(trees.len() as u64, "run")),
    };
    let begins = |member: &Member| member.capture.model.process.started_at_unix_ns;
    let ends = |member: &Member| begins(member).saturating_add(member.capture.duration_ns());
    let first = members.iter().map(begins).min().unwrap_or(0);
    let last = members.iter().map(ends).max().unwrap_or(0);
    let span = duration(last.saturating_sub(first));
    format!("pytrace: {processes}{runs}, {span} from the first start to the last end")
}

fn cells(member: &Member) -> Vec<String> {
    let model = &member.capture.model;
    let process = &model.process;
    let total = model.scope(Scope::Total).counters;
    let if_known = |text: String| {
        if model.has_live_table() {
            text
        } else {
            "-".to_string()
        }
    };
    let arenas = [Moment::Exit, Moment::ExitByEvents]
        .iter()
        .find_map(|moment| model.pymalloc.get(moment));
    let name = format!(
        "{}{}",
        "  ".repeat(member.depth.min(8)),
        escape_name(&process.program)
    );
    vec![
        cut_end(&name, NAME_WIDTH),
        process.pid.to_string(),
        process.parent_pid.to_string(),
        member.capture.ending.name().to_string(),
        duration(member.capture.duration_ns()),
        compact_count(total.allocations),
        size(total.requested_bytes),
        compact_count(total.live_blocks),
        if_known(size(total.live_bytes)),
        if_known(size(total.peak_bytes)),
        arenas.map_or_else(|| "-".to_string(), |state| count(state.arenas)),
    ]
}
