//! The source, with what each line allocated beside it, as line profilers show it.
//!
//! Invariant: a line of text is shown beside numbers only if its file is not newer than the capture. Lines of one number in
//! several functions are one line.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use pytrace_model::group::add;
use pytrace_model::label;
use pytrace_model::record::{Counters, Domain};
use pytrace_model::text::{compact_count, count, cut_end, escape_name, percent, size};

use super::super::Report;
use super::row::Tones;
use crate::analysis::{self, Grouping, Metric, Subject};

/// Lines without allocations that are shown around those that have some.
const CONTEXT: u32 = 2;

/// Files that are larger are no source.
const LARGEST_BYTES: u64 = 16 << 20;

/// Writes the `top` lines that count most, file by file.
pub(super) fn write(
    report: &Report<'_>,
    domains: impl Fn(Domain) -> bool,
    top: usize,
    width: usize,
    tones: Tones,
    out: &mut impl Write,
) -> io::Result<()> {
    let metric = report.metric;
    let first = match metric {
        Metric::Live | Metric::Peak => Metric::Allocated,
        other => other,
    };
    let mut lines: BTreeMap<(String, u32), Counters> = BTreeMap::new();
    let mut others: BTreeMap<String, Counters> = BTreeMap::new();
    let rows = analysis::rows(&report.capture.model, Grouping::Line, metric, domains);
    let all = rows.iter().fold(0u64, |sum, row| {
        sum.saturating_add(metric.of(&row.counters))
    });
    for row in rows {
        let Subject::Group(key) = row.subject else {
            continue;
        };
        let sum = match key.file.is_empty() {
            true => others.entry(key.module).or_default(),
            false => lines.entry((key.file, key.line)).or_default(),
        };
        add(sum, &row.counters);
    }
    let number = lines.len();
    let mut leading: Vec<_> = lines.into_iter().collect();
    leading.sort_by_key(|(_, counters)| Reverse(metric.of(counters)));
    leading.truncate(top);
    let heading = format!(
        "lines by {}, in their files ({} of {}; more with --top)",
        metric.meaning(),
        count(leading.len() as u64),
        count(number as u64)
    );
    writeln!(out, "\n{}", tones.strong(&heading))?;
    let mut files: BTreeMap<String, BTreeMap<u32, Counters>> = BTreeMap::new();
    for ((file, line), counters) in leading {
        files.entry(file).or_default().insert(line, counters);
    }
    let weight = |lines: &BTreeMap<u32, Counters>| {
        lines.values().fold(0u64, |sum, counters| {
            sum.saturating_add(metric.of(counters))
        })
    };
    let mut files: Vec<_> = files.into_iter().collect();
    files.sort_by_key(|(_, lines)| Reverse(weight(lines)));
    for (file, lines) in &files {
        let share = percent(weight(lines), all);
        let heading = format!("{}  {share} in the lines shown", label::source_path(file));
        writeln!(out, "\n{}", tones.strong(&heading))?;
        let source = source(report, file);
        if let Err(why) = &source {
            writeln!(out, "{}", tones.dim(&format!("without its text: {why}")))?;
        }
        let source = source.unwrap_or_default();
        let head = format!("{:>9} {:>9} {:>9}  line", first.name(), "live", "at peak");
        writeln!(out, "{}", tones.dim(&head))?;
        write_lines(lines, &source, first, width, tones, out)?;
    }
    let mut others: Vec<_> = others.into_iter().collect();
    others.sort_by_key(|(_, counters)| Reverse(metric.of(counters)));
    others.retain(|(_, counters)| metric.of(counters) > 0);
    if !others.is_empty() {
        writeln!(out, "\n{}", tones.strong("without Python code"))?;
    }
    for (library, counters) in others.iter().take(top) {
        writeln!(
            out,
            "{}  {}",
            numbers(first, Some(counters)),
            label::module_name(library)
        )?;
    }
    Ok(())
}

fn write_lines(
    lines: &BTreeMap<u32, Counters>,
    source: &[String],
    first: Metric,
    width: usize,
    tones: Tones,
    out: &mut impl Write,
) -> io::Result<()> {
    let around = |line: &u32| line.saturating_sub(CONTEXT).max(1)..=line.saturating_add(CONTEXT);
    let in_source = |line: &u32| source.get(*line as usize - 1).is_some();
    let context = lines
        .keys()
        .filter(|line| **line > 0)
        .flat_map(around)
        .filter(in_source);
    let shown: BTreeSet<u32> = lines.keys().copied().chain(context).collect();
    let mut before = None;
    for line in shown {
        if before.is_some_and(|before| before + 1 < line) {
            writeln!(out, "{}", tones.dim(&format!("{:>29}  {:>5}", "", "⋮")))?;
        }
        before = Some(line);
        let counters = lines.get(&line);
        let text = (line as usize)
            .checked_sub(1)
            .and_then(|row| source.get(row));
        let text = escape_name(&text.map_or_else(String::new, |text| text.replace('\t', "    ")));
        let drawn = format!("{}  {line:>5}  {text}", numbers(first, counters));
        let drawn = cut_end(drawn.trim_end(), width);
        match counters {
            Some(_) => writeln!(out, "{drawn}")?,
            None => writeln!(out, "{}", tones.dim(&drawn))?,
        }
    }
    Ok(())
}

/// The first column is what lines are sorted by, where that is not one of the others.
fn numbers(first: Metric, counters: Option<&Counters>) -> String {
    let cell = |metric: Metric| match counters.map_or(0, |counters| metric.of(counters)) {
        0 => String::new(),
        bytes if metric.is_bytes() => size(bytes),
        number => compact_count(number),
    };
    let cells = [first, Metric::Live, Metric::Peak].map(cell);
    format!("{:>9} {:>9} {:>9}", cells[0], cells[1], cells[2])
}

/// The lines of a source file as they were when the program ran, or why they are not known.
fn source(report: &Report<'_>, file: &str) -> Result<Vec<String>, &'static str> {
    if file.starts_with('<') {
        return Err("the code is not from a file");
    }
    let path = Path::new(file);
    if !path.is_absolute() {
        return Err("its path is relative to a folder that is not recorded");
    }
    let metadata = fs::metadata(path).map_err(|_| "the file is not there")?;
    if !metadata.is_file() || metadata.len() > LARGEST_BYTES {
        return Err("it is no source file");
    }
    let process = &report.capture.model.process;
    let traced = UNIX_EPOCH.checked_add(Duration::from_nanos(process.started_at_unix_ns));
    match (metadata.modified(), traced) {
        (Ok(changed), Some(traced)) if changed <= traced => {}
        _ => return Err("the file has changed since the program was started"),
    }
    let bytes = fs::read(path).map_err(|_| "the file cannot be read")?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(lines(&text).map(str::to_owned).collect())
}
/// The lines as CPython counts them: `\r` ends one too.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    core::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = rest.find(['\n', '\r']).unwrap_or(rest.len());
        let (line, behind) = rest.split_at(end);
        rest = behind
            .strip_prefix("\r\n")
            .or_else(|| behind.get(1..))
            .unwrap_or_default();
        Some(line)
    })
}

#[cfg(test)]
mod tests {
    use super::lines;

    #[test]
    fn lines_end_where_cpython_ends_them() {
        for (text, expected) in [
            ("", &[][..]),
            ("a", &["a"]),
            ("a\n", &["a"]),
            ("a\rb\r\nc\n\nd\r", &["a", "b", "c", "", "d"]),
            ("\n\r", &["", ""]),
            ("ä\u{b}\u{c}\u{2028}\rb", &["ä\u{b}\u{c}\u{2028}", "b"]),
        ] {
            assert_eq!(lines(text).collect::<Vec<_>>(), expected, "{text:?}");
        }
    }
}
