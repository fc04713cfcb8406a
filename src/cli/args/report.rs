//! The options of `pytrace report`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use pytrace::analysis::{Grouping, Metric};

use super::rows;

/// Report what a capture holds, or several captures as one.
///
/// A capture that was cut short, or whose program still runs, is reported up to its last complete record. Several
/// captures are added up: a line for each process, then domains, sizes and call sites of all.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pytrace report app.pytrace
  pytrace report app.pytrace --metric live --top 20
  pytrace report app.pytrace --by file --metric peak
  pytrace report app.pytrace --by line  the source, with bytes beside its lines
  pytrace report app.pytrace --filter any-module=pandas --filter size=4K..
  pytrace report captures/              all processes of a run, added up
  pytrace report app.pytrace --format json | jq '.total'
  pytrace report app.pytrace --format collapsed --metric peak | flamegraph.pl --countname bytes > peak.svg
  pytrace report app.pytrace --format pprof -o app.pb.gz && go tool pprof -http : app.pb.gz
  pytrace report captures/ --format parquet -o run.parquet
  pytrace report app.pytrace --events --format parquet -o events.parquet

The JSON fields are described in docs/REPORT.md.")]
pub(crate) struct ReportArguments {
    /// A capture, several, or a folder of them (all its *.pytrace)
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,

    /// Form of the report; collapsed, speedscope and pprof are for flame graphs and profilers, csv and parquet for tables
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

    /// Report only call sites with KEY=VALUE; given several times, all have to hold. VALUE may be several, with commas
    /// between: any of them. file, function, module: of the innermost Python line, `*` and `?` stand for other characters,
    /// `file=pandas/*` is also the end of a path, `function=read` of a qualified name, `module=pandas` has its modules;
    /// without Python code the module is the library that asked. any-file, any-function, any-module: the same of any frame
    /// of the stack, native ones too. domain: raw, mem, object, malloc, mmap. size: bytes, or a range such as 512..4K, of the
    /// mean size of a site's allocations, since single sizes are not kept by site
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) filter: Vec<String>,

    /// Report every event in its order, in place of call sites: with --format csv or parquet, of a capture that was made with
    /// --mode events
    #[arg(long, conflicts_with_all = ["by", "metric", "filter", "top"])]
    pub(crate) events: bool,

    /// Rows listed [default: 25 in text, all in other forms]
    #[arg(long, value_name = "N", value_parser = rows, allow_negative_numbers = true)]
    pub(crate) top: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
    Collapsed,
    Speedscope,
    Pprof,
    Csv,
    Parquet,
    #[value(hide = true)]
    Html,
}

impl Format {
    /// Whether it is no text.
    pub(crate) fn is_binary(self) -> bool {
        matches!(self, Format::Pprof | Format::Parquet)
    }

    /// Whether it holds nothing but rows.
    pub(crate) fn needs_sites(self) -> bool {
        !matches!(self, Format::Text | Format::Json | Format::Html)
    }

    /// Whether its rows are whole stacks, which no grouping leaves.
    pub(crate) fn is_of_stacks(self) -> bool {
        matches!(self, Format::Collapsed | Format::Speedscope | Format::Pprof)
    }
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
