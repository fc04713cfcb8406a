//! `pytrace check`: from the options to a verdict and its exit status.

use std::env;
use std::path::{Path, PathBuf};

use pytrace::amount::Tolerance;
use pytrace::analysis::Metric;
use pytrace::capture::Capture;
use pytrace::check::{self, Limit, Source, Verdict, github, json, junit, text};
use pytrace::error::{Error, Result, quoted};

use super::args::{CheckArguments, CheckFormat};
use super::destination;
use super::progress::{ProgressLine, reading};

/// Limits were exceeded, or could not be proven to hold.
const EXCEEDED: u8 = 1;

/// Writes the verdict; 0 if all limits hold, else 1.
pub(crate) fn run(arguments: &CheckArguments) -> Result<u8> {
    let output = arguments.output.as_deref();
    let captures = [Some(&arguments.file), arguments.baseline.as_ref()];
    destination::spares(output, captures.into_iter().flatten().map(PathBuf::as_path))?;
    let capture = read(&arguments.file)?;
    let baseline = arguments.baseline.as_deref().map(read).transpose()?;
    let mut limits = limits(arguments);
    if let (Some(baseline), Some(path)) = (&baseline, &arguments.baseline) {
        let (old, new) = (&baseline.model, &capture.model);
        if !check::shows_same_domains(old, new) {
            return Err(Error::usage(format!(
                "{} and {} show different domains (PYTRACE_DOMAINS), so their totals cannot be compared; \
                 trace one of them again",
                quoted(path),
                quoted(&arguments.file)
            )));
        }
        let tolerance = arguments.tolerance.unwrap_or(Tolerance::DEFAULT);
        limits.extend(Limit::of_baseline(old, new, tolerance));
    }
    let mut verdict = Verdict::of(&capture, baseline.as_ref(), limits)?;
    verdict.allow_doubts = arguments.allow_incomplete;
    let written = destination::write(output, |_, out| match arguments.format {
        CheckFormat::Text => text::write(&verdict, out),
        CheckFormat::Github => github::write(&verdict, &repository(), out),
        CheckFormat::Junit => junit::write(&verdict, out),
        CheckFormat::Json => json::write(&verdict, out),
    });
    match written {
        // The verdict holds, whether or not it is read to its end.
        Err(error) if error.is_broken_pipe() => {}
        written => written?,
    }
    Ok(if verdict.is_good() { 0 } else { EXCEEDED })
}

fn read(path: &Path) -> Result<Capture> {
    let mut line = ProgressLine::of_stderr();
    Capture::open_watched(path, |read_bytes, all_bytes| {
        line.show(|| reading(read_bytes, all_bytes));
    })
}

/// Those that were given outright.
fn limits(arguments: &CheckArguments) -> Vec<Limit> {
    let given = [
        (Metric::Peak, arguments.max_peak),
        (Metric::Live, arguments.max_live),
        (Metric::Allocated, arguments.max_allocated),
        (Metric::Allocations, arguments.max_allocations),
    ];
    let limit = |(metric, most): (Metric, Option<u64>)| {
        most.map(|most| Limit {
            metric,
            most,
            source: Source::Option,
        })
    };
    given.into_iter().filter_map(limit).collect()
}

/// The folder that GitHub names files from; outside of its runners the current one.
fn repository() -> PathBuf {
    let workspace = env::var_os("GITHUB_WORKSPACE").filter(|folder| !folder.is_empty());
    workspace
        .map(PathBuf::from)
        .or_else(|| env::current_dir().ok())
        .unwrap_or_default()
}
