//! The options of `pytrace run`.

use std::ffi::OsString;

use clap::{Args, ValueEnum};

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

    /// How much is recorded: totals and histograms alone (counts), exact call sites, live bytes and peak as well, or in the
    /// capture also every event in its order (events) [default: sites]
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
    Events,
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
