//! `pytrace diff`: from the options to what changed.

use std::path::{Path, PathBuf};

use pytrace::capture::Capture;
use pytrace::diff::{Difference, Side, json, text};
use pytrace::error::Result;
use pytrace::merge;
use pytrace::symbols::{self, Progress};
use pytrace_model::text::count;

use super::args::{DiffArguments, DiffFormat};
use super::destination;
use super::progress::{ProgressLine, reading};

/// Writes what changed; the exit status is 0.
pub(crate) fn run(arguments: &DiffArguments) -> Result<u8> {
    let output = arguments.output.as_deref();
    let mut line = ProgressLine::of_stderr();
    let mut side = |one: &Option<PathBuf>, several: &[PathBuf]| -> Result<Side> {
        let named = one.as_slice();
        let inputs = merge::find(if named.is_empty() { several } else { named })?;
        let files = inputs.files().iter();
        destination::spares(output, files.clone().map(PathBuf::as_path))?;
        let read = |path: &PathBuf| Ok((path.clone(), read(path, &mut line)?));
        files.map(read).collect()
    };
    let before = side(&arguments.old_side, &arguments.old)?;
    let after = side(&arguments.new_side, &arguments.new)?;
    line.show(|| "comparing".to_owned());
    let difference = Difference::of(before, after, arguments.metric.into(), |tables| {
        symbols::name_native_frames(tables, |Progress { done, all }| {
            let (done, all) = (count(done as u64), count(all as u64));
            line.show(|| format!("naming native frames, {done} of {all}"));
        })
    })?;
    line.clear();
    destination::write(output, |terminal, out| match arguments.format {
        DiffFormat::Text => text::write(
            &difference,
            arguments.top,
            terminal.width,
            terminal.colour,
            out,
        ),
        DiffFormat::Json => json::write(&difference, arguments.top, out),
    })?;
    Ok(0)
}

fn read(path: &Path, line: &mut ProgressLine) -> Result<Capture> {
    Capture::open_watched(path, |read_bytes, all_bytes| {
        line.show(|| reading(read_bytes, all_bytes));
    })
}
