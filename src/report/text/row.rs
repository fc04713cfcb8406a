//! One row: its numbers on a line or two, and what it is about.

use std::io::{self, Write};

use pytrace_model::Model;
use pytrace_model::ids::{FrameId, StackId};
use pytrace_model::label;
use pytrace_model::record::{Counters, Frame};
use pytrace_model::text::{columns, count, escape_name, percent, size};

use crate::analysis::{Metric, RowKey};

const INDENT: &str = "        ";

/// Stands for frames of the import machinery, and for what imports do in all.
const IMPORT: &str = "(import)";

const NO_PYTHON: &str = "(no Python code)";

/// Whether texts are toned, and how.
#[derive(Clone, Copy)]
pub(crate) struct Tones {
    pub(crate) colour: bool,
}

impl Tones {
    pub(crate) fn strong(self, text: &str) -> String {
        self.toned("1", text)
    }

    pub(crate) fn dim(self, text: &str) -> String {
        self.toned("2", text)
    }

    fn toned(self, code: &str, text: &str) -> String {
        if self.colour {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_string()
        }
    }
}

/// The row's number, its share, and what rows are sorted by.
pub(super) fn head(number: usize, counters: &Counters, metric: Metric, all: u64) -> String {
    let value = metric.of(counters);
    let share = percent(value, all);
    let value = if metric.is_bytes() {
        size(value)
    } else {
        count(value)
    };
    format!("{number:>4}. {share:>6}  {value}")
}

/// What else is known of a row.
pub(super) fn numbers(counters: &Counters, metric: Metric) -> Vec<String> {
    let mut said = Vec::new();
    if metric != Metric::Allocated {
        said.push(format!("asked {}", size(counters.requested_bytes)));
    }
    if metric != Metric::Allocations && counters.allocations > 0 {
        said.push(number_of(counters.allocations, "allocation"));
    }
    if counters.reallocations > 0 {
        said.push(number_of(counters.reallocations, "reallocation"));
    }
    if counters.live_blocks > 0 {
        let blocks = number_of(counters.live_blocks, "block");
        said.push(match metric {
            Metric::Live => format!("live in {blocks}"),
            _ => format!("live {} in {blocks}", size(counters.live_bytes)),
        });
    }
    if metric != Metric::Peak && counters.peak_bytes > 0 {
        said.push(format!("at peak {}", size(counters.peak_bytes)));
    }
    if metric != Metric::Temporary && counters.temporary_allocations > 0 {
        said.push(format!(
            "{} temporary",
            count(counters.temporary_allocations)
        ));
    }
    said
}

/// `1 block`, `2 blocks`.
pub(crate) fn number_of(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {what}{plural}", count(number))
}

/// The numbers after an empty line, on as many lines as the width asks for.
pub(super) fn write_numbers(
    head: &str,
    said: &[String],
    width: usize,
    tones: Tones,
    out: &mut impl Write,
) -> io::Result<()> {
    write!(out, "\n{}", tones.strong(head))?;
    let mut used = columns(head);
    for (at, text) in said.iter().enumerate() {
        let comma = if at + 1 < said.len() { "," } else { "" };
        let gap = if at == 0 { 2 } else { 1 };
        let wanted = columns(text) + comma.len();
        if used + gap + wanted > width {
            write!(out, "\n{INDENT}  {text}{comma}")?;
            used = INDENT.len() + 2 + wanted;
        } else {
            write!(out, "{:gap$}{text}{comma}", "")?;
            used += gap + wanted;
        }
    }
    writeln!(out)
}

/// A text, broken at its spaces.
pub(crate) fn write_words(text: &str, width: usize, out: &mut impl Write) -> io::Result<()> {
    let mut used = 0;
    for word in text.split(' ') {
        let wanted = columns(word);
        if used > 0 && used + 1 + wanted > width {
            write!(out, "\n  {word}")?;
            used = 2 + wanted;
        } else {
            let gap = usize::from(used > 0);
            write!(out, "{:gap$}{word}", "")?;
            used += gap + wanted;
        }
    }
    writeln!(out)
}

/// Call sites that are summed up as imports of one line (0: of none) of the program.
pub(super) fn write_imports(
    model: &Model,
    importer: FrameId,
    sites: usize,
    tones: Tones,
    out: &mut impl Write,
) -> io::Result<()> {
    write_sum(IMPORT, sites, tones, out)?;
    match model.frame(importer) {
        Some(frame) => write_python(model, frame, tones, out),
        None => Ok(()),
    }
}

/// Call sites that are summed up as the interpreter's own.
pub(super) fn write_no_python(sites: usize, tones: Tones, out: &mut impl Write) -> io::Result<()> {
    write_sum(NO_PYTHON, sites, tones, out)
}

fn write_sum(what: &str, sites: usize, tones: Tones, out: &mut impl Write) -> io::Result<()> {
    let sites = number_of(sites as u64, "call site");
    line(out, &tones.dim(&format!("{what} in {sites}")))
}

/// The frames of a stack, innermost first; a run of frames of the import machinery is one line.
pub(crate) fn write_stack(
    model: &Model,
    stack: StackId,
    tones: Tones,
    out: &mut impl Write,
) -> io::Result<()> {
    let frames: Vec<_> = model.stack_frames(stack).collect();
    let mut has_python = false;
    let mut at = 0;
    while let Some(&(id, frame)) = frames.get(at) {
        at += 1;
        if let Frame::Native { .. } = frame {
            for text in label::native_lines(model, id, frame) {
                line(out, &tones.dim(&text))?;
            }
            continue;
        }
        has_python = true;
        if !is_import_machinery(model, frame) {
            write_python(model, frame, tones, out)?;
            continue;
        }
        let (run, machinery) = import_run(model, &frames[at..]);
        at += run;
        let text = format!(
            "(import: {} of importlib)",
            number_of(1 + machinery, "frame")
        );
        line(out, &tones.dim(&text))?;
    }
    if !has_python && model.process.no_stacks_reason.is_empty() {
        line(out, &tones.dim(NO_PYTHON))?;
    }
    Ok(())
}

/// A line of Python code; the program's own stands out.
fn write_python(
    model: &Model,
    frame: &Frame,
    tones: Tones,
    out: &mut impl Write,
) -> io::Result<()> {
    let Frame::Python {
        function,
        file,
        line: number,
    } = *frame
    else {
        return Ok(());
    };
    let file = model.string(file);
    let text = place(model.string(function), file, number);
    if label::is_installed(file) {
        line(out, &text)
    } else {
        line(out, &tones.strong(&text))
    }
}

/// How many of the frames go on with a run of the import machinery's, with what it calls itself through; and how many of
/// these are the machinery's.
fn import_run(model: &Model, frames: &[(FrameId, &Frame)]) -> (usize, u64) {
    let (mut run, mut machinery) = (0, 0);
    for (at, (_, frame)) in frames.iter().enumerate() {
        match frame {
            Frame::Native { .. } => {}
            frame if is_import_machinery(model, frame) => {
                run = at + 1;
                machinery += 1;
            }
            Frame::Python { .. } => break,
        }
    }
    (run, machinery)
}

fn is_import_machinery(model: &Model, frame: &Frame) -> bool {
    match *frame {
        Frame::Python { file, .. } => label::is_import_machinery(model.string(file)),
        Frame::Native { .. } => false,
    }
}

/// What the sites of a group have in common.
pub(super) fn write_key(key: &RowKey, out: &mut impl Write) -> io::Result<()> {
    if !key.file.is_empty() || !key.function.is_empty() {
        return line(out, &place(&key.function, &key.file, key.line));
    }
    match key.module.as_str() {
        "" => line(out, "(no stack)"),
        library if library.contains('/') => {
            line(out, &format!("{NO_PYTHON} {}", label::module_name(library)))
        }
        module => line(out, &escape_name(module)),
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

fn line(out: &mut impl Write, text: &str) -> io::Result<()> {
    writeln!(out, "{INDENT}{text}")
}
