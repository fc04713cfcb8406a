//! `pytrace report`: from the options to a report on standard output or in a file.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, IsTerminal, Write};
use std::path::PathBuf;

use pytrace::analysis::{Filter, Grouping, Metric};
use pytrace::capture::Capture;
use pytrace::error::{Error, Result, quoted};
use pytrace::merge::{self, Inputs, Member};
use pytrace::report::events::EventRows;
use pytrace::report::{Report, collapsed, csv, json, parquet, pprof, speedscope, text};
use pytrace::symbols::{self, Progress};
use pytrace_model::Model;
use pytrace_model::record::Mode;
use pytrace_model::text::{count, escape_name, size};

use super::args::{Format, ReportArguments, spelling};
use super::destination;
use super::progress::{ProgressLine, Watched, reading};
use super::terminal::Terminal;

/// Writes the report; the exit status is 0.
pub(crate) fn run(arguments: &ReportArguments) -> Result<u8> {
    let format = arguments.format;
    check_format(arguments)?;
    let filter = Filter::parse(&arguments.filter)
        .map_err(|wanted| Error::usage(format!("--filter: {}", escape_name(&wanted))))?;
    let mut line = ProgressLine::of_stderr();
    let inputs = merge::find(&arguments.files)?;
    let captures = inputs.files().iter().map(PathBuf::as_path);
    destination::spares(arguments.output.as_deref(), captures)?;
    let mut read = Read::files(inputs, &mut line)?;
    check_request(arguments, &read)?;
    let model = &mut read.capture.model;
    let naming = symbols::name_native_frames(model, |Progress { done, all }| {
        let (done, all) = (count(done as u64), count(all as u64));
        line.show(|| format!("naming native frames, {done} of {all}"));
    });
    if arguments.events {
        line.clear();
        return write_events(arguments, &read, &mut line);
    }
    // After the naming: a filter may ask for native functions.
    let left = (!filter.is_empty()).then(|| filter.apply(&mut read.capture.model));
    line.clear();
    let notes = [read.notes, naming].concat();
    for note in &notes {
        super::say(note);
    }
    let report = Report {
        capture: &read.capture,
        members: &read.members,
        filtered: left.map(|left| (&filter, left)),
        metric: arguments.metric.into(),
        grouping: arguments.by.into(),
        top: arguments.top,
        notes: &notes,
    };
    let path = arguments.output.as_deref();
    let not_written = |source| Error::not_written(path, source);
    match path {
        Some(path) => {
            let file = Watched::new(File::create(path).map_err(not_written)?, &mut line);
            let file = BufWriter::new(file);
            write(&report, format, Terminal::none(), file).map_err(not_written)?;
        }
        None => {
            let out = BufWriter::new(io::stdout().lock());
            write(&report, format, Terminal::of_stdout(), out).map_err(not_written)?;
        }
    }
    Ok(0)
}

/// Writes the events of the one capture that was named.
fn write_events(arguments: &ReportArguments, read: &Read, line: &mut ProgressLine) -> Result<u8> {
    let model = &read.capture.model;
    let file = one_of_events(&arguments.files, model)?;
    for note in &read.notes {
        super::say(note);
    }
    let source = File::open(file).map_err(|source| Error::not_opened(file, source))?;
    let mut rows = EventRows::of(model, BufReader::with_capacity(1 << 20, source));
    let path = arguments.output.as_deref();
    let not_written = |source| Error::not_written(path, source);
    let title = escape_name(&model.process.program);
    let mut write = |out: &mut dyn Write| {
        match arguments.format {
            Format::Parquet => parquet::write_events(&mut rows, &title, &mut *out)?,
            _ => csv::write_events(&mut rows, &mut *out)?,
        }
        out.flush()
    };
    match path {
        Some(path) => {
            let file = Watched::new(File::create(path).map_err(not_written)?, line);
            write(&mut BufWriter::new(file)).map_err(not_written)?;
        }
        None => write(&mut BufWriter::new(io::stdout().lock())).map_err(not_written)?,
    }
    line.clear();
    if let Some(trouble) = rows.trouble().filter(|_| read.notes.is_empty()) {
        super::say(&format!(
            "{}: {trouble}; the events are those before",
            quoted(file)
        ));
    }
    if rows.unplaced() > 0 {
        super::say(&format!(
            "{}: the capture lacks the call sites of {} of the events, as its process was killed before they were written; \
             their function, file and line are empty",
            quoted(file),
            count(rows.unplaced())
        ));
    }
    Ok(0)
}

/// The one capture whose events are asked for.
fn one_of_events<'a>(files: &'a [PathBuf], model: &Model) -> Result<&'a PathBuf> {
    let [file] = files else {
        return Err(Error::usage(
            "--events is of one capture; name one file".to_owned(),
        ));
    };
    if model.settings.mode != Mode::Events {
        return Err(Error::usage(format!(
            "--events needs a capture of mode events, and {} is of mode {}; trace the program again with --mode events",
            quoted(file),
            model.settings.mode.name()
        )));
    }
    Ok(file)
}

/// Refuses what the form of the report cannot be.
fn check_format(arguments: &ReportArguments) -> Result<()> {
    let format = arguments.format;
    let name = spelling(format);
    let name = name.to_string_lossy();
    let grouping = Grouping::from(arguments.by);
    if format == Format::Html {
        return Err(Error::usage(
            "--format html is not there yet; for a page to look at, try --format speedscope (https://www.speedscope.app), \
             or --format collapsed with flamegraph.pl",
        ));
    }
    if arguments.events && !matches!(format, Format::Csv | Format::Parquet) {
        return Err(Error::usage(format!(
            "--events makes a table, and --format {name} is none; use --format csv or --format parquet"
        )));
    }
    if format.is_of_stacks() && grouping != Grouping::Site {
        return Err(Error::usage(format!(
            "--format {name} is of whole stacks, and --by {} leaves none; leave --by out, or use --format csv",
            grouping.name()
        )));
    }
    if format.is_binary() && arguments.output.is_none() && io::stdout().is_terminal() {
        return Err(Error::usage(format!(
            "--format {name} is no text for a terminal; name a file with -o, or pipe it on"
        )));
    }
    Ok(())
}

/// What there is to report.
struct Read {
    capture: Capture,
    members: Vec<Member>,
    notes: Vec<String>,
}

impl Read {
    fn files(inputs: Inputs, line: &mut ProgressLine) -> Result<Read> {
        match inputs {
            Inputs::One(path) => {
                let capture = Capture::open_watched(&path, |read_bytes, all_bytes| {
                    line.show(|| reading(read_bytes, all_bytes));
                })?;
                Ok(Read {
                    notes: capture.unread.iter().cloned().collect(),
                    members: Vec::new(),
                    capture,
                })
            }
            Inputs::Several(paths) => {
                let merged = merge::merge(&paths, |progress| {
                    line.show(|| {
                        let (number, all) = (progress.done + 1, progress.all);
                        let read = size(progress.read_bytes);
                        let whole = size(progress.size_bytes);
                        format!("reading file {number} of {all}, {read} of {whole}")
                    });
                })?;
                Ok(Read {
                    capture: merged.capture,
                    members: merged.members,
                    notes: merged.notes,
                })
            }
        }
    }
}

/// Refuses what captures without call sites cannot tell.
fn check_request(arguments: &ReportArguments, read: &Read) -> Result<()> {
    if arguments.events {
        return one_of_events(&arguments.files, &read.capture.model).map(drop);
    }
    if read.capture.model.has_live_table() {
        return Ok(());
    }
    let metric = Metric::from(arguments.metric);
    let grouping = Grouping::from(arguments.by);
    let asked = if metric.needs_live_table() {
        format!("--metric {}", metric.name())
    } else if grouping != Grouping::Site {
        format!("--by {}", grouping.name())
    } else if !arguments.filter.is_empty() {
        "--filter".to_owned()
    } else if arguments.format.needs_sites() {
        format!("--format {}", spelling(arguments.format).display())
    } else {
        return Ok(());
    };
    let what = match arguments.files.as_slice() {
        [only] => quoted(only),
        _ => "each of the captures".to_owned(),
    };
    Err(Error::usage(format!(
        "{asked} needs call sites and live blocks, and {what} is of mode counts, which keeps neither; \
         trace the program again with --mode sites"
    )))
}

fn write(
    report: &Report<'_>,
    format: Format,
    terminal: Terminal,
    mut out: impl Write,
) -> io::Result<()> {
    match format {
        // Refused before.
        Format::Html => {}
        Format::Json => json::write(report, &mut out)?,
        Format::Collapsed => collapsed::write(report, &mut out)?,
        Format::Speedscope => speedscope::write(report, &mut out)?,
        Format::Pprof => pprof::write(report, &mut out)?,
        Format::Csv => csv::write(report, &mut out)?,
        Format::Parquet => parquet::write(report, &mut out)?,
        Format::Text => text::write(report, terminal.width, terminal.colour, &mut out)?,
    }
    out.flush()
}
