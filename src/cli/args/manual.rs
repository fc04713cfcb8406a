//! The options of `pytrace completions` and `pytrace man`.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

/// Print what a shell needs to complete pytrace's commands and options.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pytrace completions bash > ~/.local/share/bash-completion/completions/pytrace
  pytrace completions zsh > ~/.zfunc/_pytrace          with ~/.zfunc in $fpath
  pytrace completions fish > ~/.config/fish/completions/pytrace.fish")]
pub(crate) struct CompletionsArguments {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub(crate) shell: Shell,
}

/// Print the manual page, or write those of all commands into a folder.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pytrace man | man -l -
  pytrace man ~/.local/share/man/man1      pytrace.1, pytrace-run.1, ...")]
pub(crate) struct ManArguments {
    /// The folder, which is made if it is not there
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: Option<PathBuf>,
}
