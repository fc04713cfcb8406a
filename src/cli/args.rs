//! The command line as typed.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use pytrace::analysis::{Grouping, Metric};

/// Traces the memory allocations of Python programs: exact call sites, size histograms, pymalloc arena use.
#[derive(Debug, Parser)]
#[command(
    name = "pytrace",
    version,
    subcommand_required = true,
    arg_required_else_help = false,
    disable_help_subcommand = true,
    after_help = "Examples:
  pytrace run app.py                    trace a script; the summary follows its output
  pytrace run -o app.pytrace -m pytest  choose the capture file
  pytrace report app.pytrace            look at a capture
  pytrace doctor                        can the Python here be traced?

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
    Doctor(DoctorArguments),
}

/// Run a program and trace it.
///
/// CMD is a command, or a script.py, -m module or -c code, which is run with the python3 of the active environment.
/// Every Python process writes a capture of its own.
///
/// Exit status: the program's own, 128+n when signal n ended it, 127 when it is not found and 126 when it cannot be
/// executed, as in a shell; 2 for a bad command line.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pytrace run app.py --size 3
  pytrace run -m http.server
  pytrace run -c 'x = list(range(10**6))'
  pytrace run -o '/tmp/%n-%p.pytrace' --native off -- make test
  pytrace run -- -X dev app.py          options of Python's own come after --

The library libpytrace.so is found by $PYTRACE_LIBRARY, beside this program, or in ../lib/pytrace.
All settings can also be given as PYTRACE_* variables; options win.")]
pub(crate) struct RunArguments {
    /// Capture file: %p process id, %n program name, %h host, %% a percent sign; `none` for no file.
    /// An existing file is kept: .1, .2 … is added to the new one's name
    /// [default: pytrace-%n-%p.pytrace]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<OsString>,

    /// Remove an existing capture file before the start (not when its name has %p, %n or %h)
    #[arg(short, long)]
    pub(crate) force: bool,

    /// How much is recorded: totals and histograms alone, or exact call sites, live bytes and peak as well [default: sites]
    #[arg(long)]
    pub(crate) mode: Option<Mode>,

    /// Native part of a stack: the C function that called the allocator, all native frames, or none [default: caller]
    #[arg(long)]
    pub(crate) native: Option<Native>,

    /// Python frames kept per stack, innermost first; 0 keeps all [default: 0]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=4096))]
    pub(crate) depth: Option<u32>,

    /// Whether Python children are traced as well [default: python]
    #[arg(long)]
    pub(crate) children: Option<Children>,

    /// Where the summary goes at exit: stderr, none, or a file [default: stderr]
    #[arg(long, value_name = "WHERE")]
    pub(crate) summary: Option<OsString>,

    /// A command, or a script.py, -m module, -c code, with its arguments
    #[arg(value_name = "CMD", required = true, trailing_var_arg = true)]
    pub(crate) command: Vec<OsString>,
}

/// What the library accepts as PYTRACE_MODE.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Mode {
    Sites,
    Counts,
}

/// What the library accepts as PYTRACE_NATIVE.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Native {
    Caller,
    Full,
    Off,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Children {
    Python,
    None,
}

/// Report what a capture holds.
///
/// A capture that was cut short, or whose program still runs, is reported up to its last complete record.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pytrace report app.pytrace
  pytrace report app.pytrace --metric live --top 20
  pytrace report app.pytrace --by file --metric peak
  pytrace report app.pytrace --format json | jq '.total'

The JSON fields are described in docs/REPORT.md.")]
pub(crate) struct ReportArguments {
    /// The capture
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// Form of the report
    #[arg(long, default_value = "text")]
    pub(crate) format: Format,

    /// Where the report goes [default: standard output]
    #[arg(short, long, value_name = "OUT")]
    pub(crate) output: Option<PathBuf>,

    /// What call sites are sorted by: bytes asked for, allocations, bytes live at the end, bytes live at the peak of the
    /// total, allocations freed at once, or bytes set aside beyond what was asked for
    #[arg(long, default_value = "allocated")]
    pub(crate) metric: MetricArgument,

    /// What is one row: a call site, or all sites with the same innermost Python line, function, file or module
    #[arg(long, default_value = "site")]
    pub(crate) by: GroupingArgument,

    /// Rows listed [default: 25 in text, all in JSON]
    #[arg(long, value_name = "N")]
    pub(crate) top: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum MetricArgument {
    Allocated,
    Allocations,
    Live,
    Peak,
    Temporary,
    Slack,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum GroupingArgument {
    Site,
    Line,
    Function,
    File,
    Module,
}

/// Tell whether a Python can be traced here, and what would be recorded.
///
/// Starts the interpreter under the library with a tiny program and reads the capture. Exit status: 0 if it can be
/// traced, 1 if not.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pytrace doctor
  pytrace doctor python3.13
  pytrace doctor ./venv/bin/python")]
pub(crate) struct DoctorArguments {
    /// The interpreter [default: python3 of the active environment]
    #[arg(value_name = "PYTHON")]
    pub(crate) python: Option<OsString>,
}

impl From<MetricArgument> for Metric {
    fn from(argument: MetricArgument) -> Metric {
        match argument {
            MetricArgument::Allocated => Metric::Allocated,
            MetricArgument::Allocations => Metric::Allocations,
            MetricArgument::Live => Metric::Live,
            MetricArgument::Peak => Metric::Peak,
            MetricArgument::Temporary => Metric::Temporary,
            MetricArgument::Slack => Metric::Slack,
        }
    }
}

impl From<GroupingArgument> for Grouping {
    fn from(argument: GroupingArgument) -> Grouping {
        match argument {
            GroupingArgument::Site => Grouping::Site,
            GroupingArgument::Line => Grouping::Line,
            GroupingArgument::Function => Grouping::Function,
            GroupingArgument::File => Grouping::File,
            GroupingArgument::Module => Grouping::Module,
        }
    }
}

/// The value as it is typed, and as the `PYTRACE_*` variables spell it.
pub(crate) fn spelling(value: impl ValueEnum) -> OsString {
    let possible = value.to_possible_value();
    possible.map_or_else(OsString::new, |value| value.get_name().into())
}

/// Whether a word of the settings means "no file".
pub(crate) fn means_none(word: &OsStr) -> bool {
    word == "none"
}
