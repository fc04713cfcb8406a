//! What a command line starts: a command of its own, or the Python of the active environment.

use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// File name endings that Python itself runs.
const SCRIPT_ENDINGS: [&[u8]; 4] = [b".py", b".pyw", b".pyc", b".pyz"];

/// A program and its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// What is executed: a path, or a name that PATH is searched for.
    pub name: OsString,
    /// Its arguments.
    pub arguments: Vec<OsString>,
}

impl Program {
    /// Reads `words`, a command line: a script or an option (`-m module`, `-c code`, any other option of Python's) is
    /// run by the active Python, all else is a command.
    ///
    /// A name like `rst2html.py` that is no file here, but a command on PATH, is that command.
    ///
    /// # Errors
    /// A script that does not exist, and an empty command line.
    pub fn of_command_line(words: &[OsString]) -> Result<Program> {
        let Some((first, rest)) = words.split_first() else {
            return Err(Error::usage("nothing to run: name a command or a script"));
        };
        if first.as_bytes().starts_with(b"-") {
            return Ok(Program {
                name: active_python(),
                arguments: words.to_vec(),
            });
        }
        let is_script = SCRIPT_ENDINGS
            .iter()
            .any(|ending| first.as_bytes().ends_with(ending));
        if is_script && Path::new(first).is_file() {
            return Ok(Program {
                name: active_python(),
                arguments: words.to_vec(),
            });
        }
        if is_script && on_path(first).is_none() {
            return Err(Error::script_missing(Path::new(first)));
        }
        Ok(Program {
            name: first.clone(),
            arguments: rest.to_vec(),
        })
    }

    /// The file that is executed, if there is one.
    pub fn file(&self) -> Option<PathBuf> {
        on_path(&self.name)
    }
}

/// `$VIRTUAL_ENV/bin/python3`, else `python3`, to be searched for on PATH.
pub fn active_python() -> OsString {
    env::var_os("VIRTUAL_ENV")
        .map(|environment| Path::new(&environment).join("bin/python3"))
        .filter(|python| python.is_file())
        .map_or_else(|| OsString::from("python3"), PathBuf::into_os_string)
}

/// Where a name leads: itself when it is a path, else the first executable file of that name on PATH.
fn on_path(name: &OsStr) -> Option<PathBuf> {
    if name.as_bytes().contains(&b'/') {
        return Some(PathBuf::from(name)).filter(|path| path.exists());
    }
    env::split_paths(&env::var_os("PATH")?)
        .map(|folder| folder.join(name))
        .find(|path| {
            path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(words: &[&str]) -> Result<Program> {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        Program::of_command_line(&words)
    }

    #[test]
    fn options_go_to_python() {
        let program = program(&["-m", "http.server", "-x"]).unwrap();
        assert!(program.name.as_bytes().ends_with(b"python3"));
        assert_eq!(program.arguments, ["-m", "http.server", "-x"]);
    }

    #[test]
    fn an_existing_script_goes_to_python_and_a_missing_one_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("a b.py");
        let script = script.to_str().unwrap();
        let error = program(&[script]).unwrap_err().to_string();
        assert!(error.starts_with("no such script: '"), "{error}");
        std::fs::write(script, "").unwrap();
        let program = program(&[script, "--flag"]).unwrap();
        assert!(program.name.as_bytes().ends_with(b"python3"));
        assert_eq!(program.arguments, [script, "--flag"]);
    }

    #[test]
    fn all_else_is_a_command() {
        let program = program(&["sh", "-c", "exit 3"]).unwrap();
        assert_eq!(program.name, "sh");
        assert_eq!(program.arguments, ["-c", "exit 3"]);
        assert!(program.file().unwrap().ends_with("sh"));
    }
}
