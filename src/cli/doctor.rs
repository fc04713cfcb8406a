//! `pytrace doctor`: prints the list.

use std::env;
use std::io::{self, Write};
use std::path::PathBuf;

use pytrace::doctor::{Check, Checkup, Verdict, probe};
use pytrace::error::{Error, Result};
use pytrace::launch::{library, program};

use super::args::DoctorArguments;
use super::terminal::Terminal;

/// Examines the interpreter; 0 if it can be traced, 1 if not.
pub(crate) fn run(arguments: &DoctorArguments) -> Result<u8> {
    let python = arguments
        .python
        .clone()
        .unwrap_or_else(program::active_python);
    let findings = probe::examine(python, library::find());
    let folder = env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
    let checkup = Checkup::of(&findings, &folder);
    print(&checkup).map_err(|source| Error::not_written(None, source))?;
    Ok(if checkup.can_be_traced() { 0 } else { 1 })
}

fn print(checkup: &Checkup) -> io::Result<()> {
    let colour = Terminal::of_stdout().colour;
    let mut out = io::stdout().lock();
    for Check {
        verdict,
        subject,
        finding,
    } in &checkup.checks
    {
        let (mark, code) = match verdict {
            Verdict::Good => ("✓", "32"),
            Verdict::Bad | Verdict::Fatal => ("✗", "31"),
            Verdict::Note => ("·", "2"),
        };
        if colour {
            writeln!(out, "\x1b[{code}m{mark}\x1b[0m {subject:<12} {finding}")?;
        } else {
            writeln!(out, "{mark} {subject:<12} {finding}")?;
        }
    }
    let missing = checkup
        .checks
        .iter()
        .any(|check| check.verdict == Verdict::Bad);
    let conclusion = match (checkup.can_be_traced(), missing) {
        (true, false) => "This interpreter can be traced here.",
        (true, true) => "This interpreter can be traced here, with what ✗ says missing.",
        (false, _) => "This interpreter cannot be traced here.",
    };
    writeln!(out, "{conclusion}")?;
    out.flush()
}
