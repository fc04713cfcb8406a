//! The options of `pytrace check`.

use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueEnum};
use pytrace::amount::{self, Tolerance};

/// Check a capture against limits, for continuous integration.
///
/// Exit status: 0 when all limits hold, 1 when one does not (one line each says by how much, and where most was asked
/// for), 2 for an error. The total counts raw, mem, object and malloc; mmap stands beside it. A capture that is
/// incomplete or lost events proves no limit: that is 1 as well, unless it is allowed.
///
/// SIZE is a number of bytes, such as 512, 64K, 10MiB or 1.5GB: K, M, G, T and KiB … are powers of 1024, KB … of 1000.
#[derive(Debug, Args)]
#[command(
    override_usage = "pytrace check [OPTIONS] FILE LIMIT...",
    group = ArgGroup::new("limit")
        .args(["max_peak", "max_live", "max_allocated", "max_allocations", "baseline"])
        .multiple(true)
        .required(true),
    after_help = "Examples:
  pytrace check app.pytrace --max-peak 200MiB --max-allocations 1.5M
  pytrace check app.pytrace --baseline main.pytrace --tolerance 2%
  pytrace check app.pytrace --max-live 10M --format github
  pytrace check app.pytrace --max-peak 200MiB --format junit -o pytrace.xml

The baseline is the capture of an earlier run. docs/CHECK.md describes the formats."
)]
pub(crate) struct CheckArguments {
    /// The capture
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// Bytes live at the moment at which they were most
    #[arg(long, value_name = "SIZE", value_parser = amount::bytes, allow_negative_numbers = true)]
    pub(crate) max_peak: Option<u64>,

    /// Bytes live when the program ended, before the interpreter tore down
    #[arg(long, value_name = "SIZE", value_parser = amount::bytes, allow_negative_numbers = true)]
    pub(crate) max_live: Option<u64>,

    /// Bytes asked for in all
    #[arg(long, value_name = "SIZE", value_parser = amount::bytes, allow_negative_numbers = true)]
    pub(crate) max_allocated: Option<u64>,

    /// Allocations in all, such as 20000, 20k or 1.5M (k is 1000)
    #[arg(long, value_name = "N", value_parser = amount::count, allow_negative_numbers = true)]
    pub(crate) max_allocations: Option<u64>,

    /// An earlier capture: peak, live, allocated and allocations may not exceed its own by more than the tolerance
    #[arg(long, value_name = "OLD")]
    pub(crate) baseline: Option<PathBuf>,

    /// How much more than the baseline is accepted [default: 5%]
    #[arg(long, value_name = "PERCENT", value_parser = Tolerance::parse, requires = "baseline")]
    pub(crate) tolerance: Option<Tolerance>,

    /// Let a capture pass that is incomplete or lost events, as that of a program that was killed
    #[arg(long)]
    pub(crate) allow_incomplete: bool,

    /// Form of the answer
    #[arg(long, default_value = "text")]
    pub(crate) format: CheckFormat,

    /// Where the answer goes [default: standard output]
    #[arg(short, long, value_name = "OUT")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CheckFormat {
    /// A line a limit that is exceeded
    Text,
    /// Annotations of GitHub Actions
    Github,
    /// JUnit XML
    Junit,
    /// Schema pytrace.check/1
    Json,
}
