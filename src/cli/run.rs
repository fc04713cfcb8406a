//! `pytrace run`: from the options to a launch.

use std::env;
use std::path::Path;

use pytrace::error::{Error, Result};
use pytrace::launch::Launch;
use pytrace::launch::output::{DEFAULT_PATTERN, Output};
use pytrace::launch::program::Program;

use super::args::{RunArguments, means_none};
use super::settings;

/// Runs the program and returns its exit status.
pub(crate) fn run(arguments: &RunArguments) -> Result<u8> {
    let folder = env::current_dir().map_err(|source| {
        Error::usage(format!(
            "the current folder cannot be found ({source}); change to another one"
        ))
    })?;
    let program = Program::of_command_line(&arguments.command)?;
    let output = output(arguments, &folder)?;
    let outcome = Launch {
        program,
        output,
        settings: settings::of_options(arguments, &folder),
    }
    .run()?;
    if let Some(reason) = outcome.missing_capture
        && env::var_os("PYTRACE").is_none_or(|value| value != "off")
        && !settings::are_refused(arguments)
    {
        super::say(&reason);
    }
    Ok(outcome.exit_status)
}

/// Where captures go. Only an output asked for by -o is checked here: the library says what is wrong with others.
fn output(arguments: &RunArguments, folder: &Path) -> Result<Option<Output>> {
    if let Some(typed) = &arguments.output {
        if means_none(typed) {
            return Ok(None);
        }
        let output = Output::new(typed, folder);
        output.check_placeholders()?;
        output.check_writable()?;
        if arguments.force {
            output.remove_existing()?;
        }
        return Ok(Some(output));
    }
    let setting = env::var_os("PYTRACE_OUTPUT").filter(|value| !value.is_empty());
    let pattern = setting.unwrap_or_else(|| DEFAULT_PATTERN.into());
    Ok((!means_none(&pattern)).then(|| Output::new(&pattern, folder)))
}
