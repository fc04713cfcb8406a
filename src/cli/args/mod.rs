//! The command line as typed: one file per command.

mod check;
mod diff;
mod doctor;
mod manual;
mod report;
mod run;

use std::ffi::{OsStr, OsString};

use clap::{Parser, Subcommand, ValueEnum};

pub(crate) use check::{CheckArguments, CheckFormat};
pub(crate) use diff::{DiffArguments, DiffFormat};
pub(crate) use doctor::DoctorArguments;
pub(crate) use manual::{CompletionsArguments, ManArguments};
pub(crate) use report::{Format, ReportArguments};
pub(crate) use run::{Children, Mode, Native, RunArguments};

/// Traces the memory allocations of Python programs: exact call sites, size histograms, pymalloc arena use.
#[derive(Debug, Parser)]
#[command(
    name = "pytrace",
    version,
    subcommand_required = true,
    arg_required_else_help = false,
    disable_help_subcommand = true,
    after_help = "Examples:
  pytrace run app.py                           trace a script; the summary follows its output
  pytrace run -o app.pytrace -m pytest         choose the capture file
  pytrace report app.pytrace                   look at a capture
  pytrace diff before.pytrace after.pytrace    what changed between two runs
  pytrace check app.pytrace --max-peak 200MiB  exit status 1 if it was more
  pytrace doctor                               can the Python here be traced?

Errors are one line on standard error, with exit status 2."
)]
pub(crate) struct CommandLine {
    #[command(subcommand)]
    pub(crate) command: Subcommands,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Subcommands {
    Run(RunArguments),
    Report(ReportArguments),
    Diff(DiffArguments),
    Check(CheckArguments),
    Doctor(DoctorArguments),
    Completions(CompletionsArguments),
    Man(ManArguments),
}

/// The value as it is typed, and as the `PYTRACE_*` variables spell it.
pub(crate) fn spelling(value: impl ValueEnum) -> OsString {
    let possible = value.to_possible_value();
    possible.map_or_else(OsString::new, |value| value.get_name().into())
}

/// A number of rows as typed.
fn rows(text: &str) -> Result<usize, String> {
    text.parse()
        .map_err(|_| "give a number, such as 20".to_owned())
}

/// Whether a word of the settings means "no file".
pub(crate) fn means_none(word: &OsStr) -> bool {
    word == "none"
}
