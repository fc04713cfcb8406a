//! `pytrace completions` and `pytrace man`: what is made from the definition of the command line itself.

use std::fs;
use std::path::Path;

use clap::{Command, CommandFactory};
use clap_mangen::Man;
use pytrace::error::{Error, Result};

use super::args::{CommandLine, CompletionsArguments, ManArguments};
use super::destination;

/// Prints a shell's completions; 0.
pub(crate) fn completions(arguments: &CompletionsArguments) -> Result<u8> {
    let mut script = Vec::new();
    let mut command = CommandLine::command();
    clap_complete::generate(arguments.shell, &mut command, "pytrace", &mut script);
    destination::write(None, |_, out| out.write_all(&script))?;
    Ok(0)
}

/// Prints the manual page, or writes those of all commands; 0.
pub(crate) fn man(arguments: &ManArguments) -> Result<u8> {
    let Some(folder) = &arguments.folder else {
        destination::write(None, |_, out| Man::new(CommandLine::command()).render(out))?;
        return Ok(0);
    };
    fs::create_dir_all(folder).map_err(|source| Error::not_written(Some(folder), source))?;
    for (name, page) in pages() {
        write(&folder.join(format!("{name}.1")), page)?;
    }
    Ok(0)
}

fn write(path: &Path, page: Command) -> Result<()> {
    destination::write(Some(path), |_, out| Man::new(page).render(out))
}

/// A page for the program and one for each command, by name.
fn pages() -> Vec<(String, Command)> {
    let mut program = CommandLine::command();
    // What `build` gives the commands, such as the name in their usage, their pages need.
    program.build();
    let commands: Vec<_> = program.get_subcommands().cloned().collect();
    let pages = commands.into_iter().map(|command| {
        let name = format!("pytrace-{}", command.get_name());
        // A page's name is what `man` is asked for.
        let command = command
            .display_name(&name)
            .version(env!("CARGO_PKG_VERSION"));
        (name, command)
    });
    [("pytrace".to_string(), CommandLine::command())]
        .into_iter()
        .chain(pages)
        .collect()
}
