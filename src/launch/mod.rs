//! Starts a program with the preload library in it, and gives back its exit status as a shell would.
//!
//! The program is a child that is waited for (not exec'd over this process): afterwards a missing capture can be
//! explained and the link to the library removed. The program sees nothing of this beyond its environment.

pub mod executable;
pub mod library;
pub mod output;
pub mod program;
mod signals;

use std::ffi::{OsStr, OsString};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};

use crate::error::{Error, Result, quoted};
use executable::Executable;
use library::Preload;
use output::Output;
use program::Program;
use signals::Forwarder;

/// What is started, and how it is traced.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The program.
    pub program: Program,
    /// Where its captures go; `None` when none is wanted.
    pub output: Option<Output>,
    /// Settings as `PYTRACE_*` variables and their values.
    pub settings: Vec<(&'static str, OsString)>,
}

/// How it went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The program's exit status; 128 + n when signal n ended it.
    pub exit_status: u8,
    /// Why there is no capture, when one was to be expected: one line.
    pub missing_capture: Option<String>,
}

impl Launch {
    /// Runs the program to its end.
    ///
    /// # Errors
    /// The library is not found, or the program cannot be started. What the program does is no error.
    pub fn run(&self) -> Result<Outcome> {
        let preload = Preload::new(&library::find()?)?;
        let before = self.output.as_ref().map(Output::matching_files);
        let forwarder = Forwarder::install();
        let mut child = self
            .command(&preload)
            .spawn()
            .map_err(|source| Error::not_started(&self.program.name, source))?;
        let handle = forwarder.map(|forwarder| forwarder.forward_to(child.id()));
        let status = child
            .wait()
            .map_err(|source| Error::not_started(&self.program.name, source))?;
        if let Some(handle) = handle {
            handle.close();
        }
        let appeared = match (&self.output, before) {
            (Some(output), Some(before)) if output.folder().is_some() => {
                !output.matching_files().is_subset(&before)
            }
            _ => true,
        };
        Ok(Outcome {
            exit_status: exit_status(status),
            missing_capture: (!appeared).then(|| self.why_no_capture()),
        })
    }

    /// The command with its environment: everything inherited, our library first in LD_PRELOAD, the settings.
    ///
    /// PYTRACE_TREE is taken away: what is started here is the root of a tree of its own, also below a traced program.
    pub fn command(&self, preload: &Preload) -> Command {
        let mut command = Command::new(&self.program.name);
        command.args(&self.program.arguments);
        let existing = std::env::var_os("LD_PRELOAD");
        command.env("LD_PRELOAD", preload.value(existing.as_deref()));
        command.env_remove("PYTRACE_TREE");
        let output = self
            .output
            .as_ref()
            .map_or(OsStr::new("none"), Output::value);
        command.env("PYTRACE_OUTPUT", output);
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        command
    }

    fn why_no_capture(&self) -> String {
        let name = quoted(&self.program.name);
        let file = self.program.file();
        let executable = file.map_or(Executable::Unknown, |file| Executable::of_file(&file));
        match executable.why_not_loaded() {
            Some(reason) => format!("no capture was written: {name} {reason}"),
            None => format!(
                "no capture was written: {name} ran no CPython, or the library could not be loaded into it; \
                 `pytrace doctor` tells what can be traced here"
            ),
        }
    }
}

fn exit_status(status: ExitStatus) -> u8 {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    // Both parts of a wait status have at most eight bits; a status that has neither is no success.
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(255)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_statuses_are_a_shells() {
        assert_eq!(exit_status(ExitStatus::from_raw(3 << 8)), 3);
        assert_eq!(exit_status(ExitStatus::from_raw(9)), 137);
    }

    #[test]
    fn the_environment_names_library_output_and_settings() {
        let launch = Launch {
            program: Program {
                name: "true".into(),
                arguments: Vec::new(),
            },
            output: None,
            settings: vec![("PYTRACE_MODE", "counts".into())],
        };
        let preload = Preload::new(std::path::Path::new("/x/libpytrace.so")).unwrap();
        let command = launch.command(&preload);
        let value = |name: &str| {
            let mut all = command.get_envs();
            all.find(|(key, _)| *key == name).map(|(_, value)| value)
        };
        assert_eq!(value("PYTRACE_MODE"), Some(Some(OsStr::new("counts"))));
        assert_eq!(value("PYTRACE_OUTPUT"), Some(Some(OsStr::new("none"))));
        assert_eq!(value("PYTRACE_TREE"), Some(None));
        let preloaded = value("LD_PRELOAD").flatten().unwrap();
        assert!(preloaded.to_str().unwrap().starts_with("/x/libpytrace.so"));
    }
}
