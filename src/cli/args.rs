//! The command line as typed.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use pytrace::analysis::{Grouping, Metric};

/// Traces the memory allocations of Python programs: exact call sites, size histograms, pymalloc arena use.
#[derive(Debug, Parser)]
#[command(
    name = "pytrace",
    version,
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
  pytrace run -o '/tmp/%n-%p.pytrace' --native full -- make test
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

    /// How much is recorded: exact call sites, totals only, or every event as well [default: sites]
    #[arg(long)]
    pub(crate) mode: Option<Mode>,

    /// Native part of a stack: the C function that called the allocator, all frames, or none [default: caller]
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

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Mode {
    Sites,
    Counts,
    Events,
}

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
    Html,
    Collapsed,
    Speedscope,
    Pprof,
    Csv,
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

/// Reads the command line.
pub(crate) fn parse(words: Vec<OsString>) -> Result<CommandLine, clap::Error> {
    CommandLine::try_parse_from(with_command_separated(words))
}

/// Puts `--` before the `-m` or `-c` that begins CMD, so that these and all that follows are CMD's and not options.
///
/// Which options take a value is asked of the parser itself.
fn with_command_separated(mut words: Vec<OsString>) -> Vec<OsString> {
    if words.get(1).is_none_or(|word| word != "run") {
        return words;
    }
    let command_line = CommandLine::command();
    let Some(run) = command_line.find_subcommand("run") else {
        return words;
    };
    let takes_value = |is_it: &dyn Fn(&clap::Arg) -> bool| {
        let mut options = run.get_arguments();
        options.any(|option| is_it(option) && option.get_action().takes_values())
    };
    let mut at = 2;
    while let Some(word) = words.get(at) {
        let bytes = word.as_bytes();
        let value_follows = if bytes == b"--" || !bytes.starts_with(b"-") {
            return words;
        } else if bytes.starts_with(b"-m") || bytes.starts_with(b"-c") {
            words.insert(at, OsString::from("--"));
            return words;
        } else if let Some(long) = bytes.strip_prefix(b"--") {
            takes_value(&|option| option.get_long().map(str::as_bytes) == Some(long))
        } else {
            // A cluster like -fo: the value follows if the last letter is the first one that takes a value.
            let letters = &bytes[1..];
            let first = letters.iter().position(|&letter| {
                takes_value(&|option| option.get_short() == Some(char::from(letter)))
            });
            first.is_some_and(|first| first + 1 == letters.len())
        };
        at += if value_follows { 2 } else { 1 };
    }
    words
}

/// The parser's complaint as one line; `None` when it is no error but an answer (`--help`, `--version`).
pub(crate) fn complaint(error: &clap::Error) -> Option<String> {
    if !error.use_stderr() {
        return None;
    }
    let text = error.render().to_string();
    let mut words = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with("Usage:") || line.starts_with("For more information") {
            continue;
        }
        words.push(
            line.strip_prefix("error: ")
                .unwrap_or(line)
                .replace("tip: ", "; "),
        );
    }
    let line = words
        .join(" ")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    let line = line.replace(" ; ", "; ");
    Some(format!("{line} (see `pytrace --help`)"))
}

/// Whether a word of the settings means "no file".
pub(crate) fn means_none(word: &OsStr) -> bool {
    word == "none"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<CommandLine, String> {
        let words = words.iter().map(OsString::from).collect();
        parse(words).map_err(|error| complaint(&error).unwrap_or_default())
    }

    fn command_of(words: &[&str]) -> Vec<OsString> {
        match parsed(words).unwrap().command {
            Subcommands::Run(run) => run.command,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn parser_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn the_command_keeps_all_its_words() {
        for words in [
            ["pytrace", "run", "-m", "mod", "-o", "x", "--help"].as_slice(),
            ["pytrace", "run", "--", "-m", "mod", "-o", "x", "--help"].as_slice(),
            [
                "pytrace", "run", "-f", "--mode", "counts", "-m", "mod", "-o", "x", "--help",
            ]
            .as_slice(),
            [
                "pytrace",
                "run",
                "-fo",
                "out",
                "--mode=counts",
                "-m",
                "mod",
                "-o",
                "x",
                "--help",
            ]
            .as_slice(),
            ["pytrace", "run", "-ofile", "-m", "mod", "-o", "x", "--help"].as_slice(),
        ] {
            assert_eq!(
                command_of(words),
                ["-m", "mod", "-o", "x", "--help"],
                "{words:?}"
            );
        }
        let words = ["pytrace", "run", "ls", "-c", "--", "-m"];
        assert_eq!(command_of(&words), ["ls", "-c", "--", "-m"]);
        let words = ["pytrace", "run", "-cprint()"];
        assert_eq!(command_of(&words), ["-cprint()"]);
    }

    #[test]
    fn complaints_are_one_line_with_a_suggestion() {
        for (words, parts) in [
            (
                ["pytrace", "run", "--moed", "counts", "x"].as_slice(),
                ["--moed", "--mode"].as_slice(),
            ),
            (
                &["pytrace", "run", "--mode", "count", "x"],
                &["'count'", "'counts'"],
            ),
            (
                &["pytrace", "run", "--depth", "9999", "x"],
                &["9999", "4096"],
            ),
            (&["pytrace", "run"], &["<CMD>..."]),
            (&["pytrace", "reprot", "x"], &["reprot", "report"]),
            (&["pytrace", "report"], &["<FILE>"]),
            (
                &["pytrace", "report", "x", "--metric", "lvie"],
                &["lvie", "live"],
            ),
        ] {
            let complaint = parsed(words).unwrap_err();
            assert!(!complaint.contains('\n'), "{complaint}");
            for part in parts {
                assert!(complaint.contains(part), "{words:?}: {complaint}");
            }
        }
    }

    #[test]
    fn help_is_no_complaint() {
        let error = parse(vec!["pytrace".into(), "run".into(), "--help".into()]).unwrap_err();
        assert_eq!(complaint(&error), None);
    }
}
