//! The options of `pytrace doctor`.

use std::ffi::OsString;

use clap::Args;

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
