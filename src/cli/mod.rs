//! The command line: the only place that prints, and the only one that knows exit statuses.

mod args;
mod check;
mod destination;
mod diff;
mod doctor;
mod manual;
mod parse;
mod progress;
mod report;
mod run;
mod settings;
mod terminal;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use args::Subcommands;
use pytrace::error::{Error, Result};

const BAD_REQUEST: u8 = 2;
const NOT_EXECUTABLE: u8 = 126;
const NOT_FOUND: u8 = 127;

/// Reads the command line and does what it asks.
pub(crate) fn main(words: Vec<OsString>) -> ExitCode {
    let command = parse::command_in(&words);
    let command_line = match parse::parse(words) {
        Ok(command_line) => command_line,
        Err(error) => {
            return ExitCode::from(match parse::complaint(&error, command.as_deref()) {
                Some(complaint) => {
                    say(&complaint);
                    BAD_REQUEST
                }
                None => {
                    // Help that nobody reads on (`| head`) is still an answer.
                    let printed = error.print();
                    exit_status(
                        printed
                            .map(|()| 0)
                            .map_err(|source| Error::not_written(None, source)),
                    )
                }
            });
        }
    };
    let done = match &command_line.command {
        Subcommands::Run(arguments) => run::run(arguments),
        Subcommands::Report(arguments) => report::run(arguments),
        Subcommands::Diff(arguments) => diff::run(arguments),
        Subcommands::Check(arguments) => check::run(arguments),
        Subcommands::Doctor(arguments) => doctor::run(arguments),
        Subcommands::Completions(arguments) => manual::completions(arguments),
        Subcommands::Man(arguments) => manual::man(arguments),
    };
    ExitCode::from(exit_status(done))
}

fn exit_status(done: Result<u8>) -> u8 {
    match done {
        Ok(status) => status,
        Err(error) if error.is_broken_pipe() => 0,
        Err(error) => {
            say(&error.to_string());
            status_of(&error)
        }
    }
}

fn status_of(error: &Error) -> u8 {
    if error.is_command_not_found() {
        NOT_FOUND
    } else if error.is_not_executable() {
        NOT_EXECUTABLE
    } else {
        BAD_REQUEST
    }
}

/// One line to the user. Standard error may be closed: then there is nobody to tell.
fn say(message: &str) {
    let _ = writeln!(io::stderr(), "pytrace: {message}");
}
