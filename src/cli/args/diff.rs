//! The options of `pytrace diff`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::report::MetricArgument;
use super::rows;

/// Tell what changed between two captures, or between two sets of repeated runs.
///
/// OLD and NEW are a capture each, or a folder that holds those of repeated runs. Call sites are matched by domain and
/// stack; where lines moved, by the stack without line numbers.
///
/// Of single captures every difference is told. Of sets a change is told where the runs' ranges do not overlap and the
/// medians are further apart than either range is wide.
#[derive(Debug, Args)]
#[command(
    override_usage = "pytrace diff [OPTIONS] OLD NEW
       pytrace diff [OPTIONS] --old FILE... --new FILE...",
    after_help = "Examples:
  pytrace diff main.pytrace branch.pytrace
  pytrace diff main.pytrace branch.pytrace --metric live --top 5
  pytrace diff runs-of-main/ runs-of-branch/
  pytrace diff --old a1.pytrace a2.pytrace --new b1.pytrace b2.pytrace
  pytrace diff main.pytrace branch.pytrace --format json | jq .different

docs/DIFF.md says why two runs of one program may differ, and describes the JSON fields."
)]
pub(crate) struct DiffArguments {
    /// The capture before, or a folder of captures of repeated runs
    #[arg(
        value_name = "OLD",
        requires = "new_side",
        required_unless_present = "old"
    )]
    pub(crate) old_side: Option<PathBuf>,

    /// The capture after, or such a folder
    #[arg(value_name = "NEW")]
    pub(crate) new_side: Option<PathBuf>,

    /// Captures of repeated runs before
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "new", conflicts_with_all = ["old_side", "new_side"])]
    pub(crate) old: Vec<PathBuf>,

    /// Captures of repeated runs after
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "old")]
    pub(crate) new: Vec<PathBuf>,

    /// Form of the answer
    #[arg(long, default_value = "text")]
    pub(crate) format: DiffFormat,

    /// Where the answer goes [default: standard output]
    #[arg(short, long, value_name = "OUT")]
    pub(crate) output: Option<PathBuf>,

    /// What changes are sorted by
    #[arg(long, default_value = "allocated")]
    pub(crate) metric: MetricArgument,

    /// Call sites and size classes listed [default: 25 and 10 in text, all in JSON]
    #[arg(long, value_name = "N", value_parser = rows, allow_negative_numbers = true)]
    pub(crate) top: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DiffFormat {
    /// Tables and whole stacks
    Text,
    /// Schema pytrace.diff/1
    Json,
}
