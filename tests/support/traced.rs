//! A program under the preload library, in a folder of its own.

use super::Interpreter;
use super::installation::{library, program};
use super::report::Report;
use super::watchdog::{LIMIT, Watched};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;
use tempfile::TempDir;

/// What will be run. The environment starts almost empty, so that nothing of the caller's (least of all PYTRACE_*) leaks in.
pub(crate) struct Traced {
    command: Vec<OsString>,
    variables: Vec<(OsString, OsString)>,
    folder: TempDir,
    limit: Duration,
}

impl Traced {
    /// Any program.
    pub(crate) fn command(executable: impl AsRef<OsStr>) -> Traced {
        let folder = TempDir::new().expect("a temporary folder can be made");
        for name in ["work", "captures"] {
            std::fs::create_dir(folder.path().join(name)).expect("the folder is ours");
        }
        let output = folder.path().join("captures/%n-%p.pytrace");
        let path = std::env::var_os("PATH").unwrap_or_default();
        Traced {
            command: vec![executable.as_ref().to_owned()],
            variables: Vec::new(),
            folder,
            limit: LIMIT,
        }
        .set("PATH", path)
        .set("LANG", "C.UTF-8")
        .set("PYTHONHASHSEED", "0")
        .set("PYTHONDONTWRITEBYTECODE", "1")
        .set("LD_PRELOAD", library())
        .set("PYTRACE_OUTPUT", output)
    }

    /// An interpreter, still without arguments.
    pub(crate) fn python(interpreter: &Interpreter) -> Traced {
        Traced::command(&interpreter.path)
    }

    /// A program of `tests/programs/` under an interpreter, which leaves its `site` module out: what the machine's packages
    /// run at every start is not part of the program.
    pub(crate) fn script(interpreter: &Interpreter, name: &str) -> Traced {
        Traced::python(interpreter)
            .argument("-S")
            .argument(program(name))
    }

    /// A program of `tests/programs/` that needs the interpreter's packages.
    pub(crate) fn script_with_packages(interpreter: &Interpreter, name: &str) -> Traced {
        Traced::python(interpreter).argument(program(name))
    }

    /// One more argument.
    pub(crate) fn argument(mut self, argument: impl AsRef<OsStr>) -> Traced {
        self.command.push(argument.as_ref().to_owned());
        self
    }

    /// More arguments.
    pub(crate) fn arguments<A: AsRef<OsStr>>(self, all: impl IntoIterator<Item = A>) -> Traced {
        all.into_iter().fold(self, Traced::argument)
    }

    /// Sets an environment variable.
    pub(crate) fn set(mut self, name: &str, value: impl AsRef<OsStr>) -> Traced {
        self.variables.retain(|(known, _)| known != name);
        self.variables
            .push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// Unsets an environment variable.
    pub(crate) fn unset(mut self, name: &str) -> Traced {
        self.variables.retain(|(known, _)| known != name);
        self
    }

    /// Sets how long it may take.
    pub(crate) fn limit(mut self, limit: Duration) -> Traced {
        self.limit = limit;
        self
    }

    /// The same run without the library.
    pub(crate) fn untraced(self) -> Traced {
        self.unset("LD_PRELOAD").unset("PYTRACE_OUTPUT")
    }

    /// The program's working folder; empty at the start.
    pub(crate) fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    /// The folder that holds everything of this run; its captures are in `captures/`.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts it.
    pub(crate) fn start(self) -> Running {
        let mut command = Command::new(&self.command[0]);
        command
            .args(&self.command[1..])
            .env_clear()
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(self.work());
        Running {
            watched: Watched::start(&mut command, self.limit),
            folder: self.folder,
        }
    }

    /// Starts it and waits for its end.
    pub(crate) fn run(self) -> Outcome {
        self.start().wait()
    }
}

/// A program that runs.
pub(crate) struct Running {
    pub(crate) watched: Watched,
    folder: TempDir,
}

impl Running {
    /// The program's working folder.
    pub(crate) fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    /// The captures that are there already.
    pub(crate) fn captures(&self) -> Vec<PathBuf> {
        files(&self.folder.path().join("captures"))
    }

    /// Waits for its end.
    pub(crate) fn wait(self) -> Outcome {
        let (status, stdout, stderr) = self.watched.wait();
        Outcome {
            status,
            stdout,
            stderr,
            folder: self.folder,
        }
    }
}

/// A program that ended.
pub(crate) struct Outcome {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    folder: TempDir,
}

impl Outcome {
    /// The same, once it is sure that the program succeeded.
    #[track_caller]
    pub(crate) fn success(self) -> Outcome {
        assert!(
            self.status.success(),
            "{}\n--- stdout\n{}\n--- stderr\n{}",
            self.status,
            self.stdout,
            self.stderr
        );
        self
    }

    /// The program's working folder.
    pub(crate) fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    /// The captures that were written, sorted by name.
    pub(crate) fn captures(&self) -> Vec<PathBuf> {
        files(&self.folder.path().join("captures"))
    }

    /// The one capture that was written.
    #[track_caller]
    pub(crate) fn capture(&self) -> PathBuf {
        let captures = self.captures();
        let [capture] = &captures[..] else {
            panic!(
                "one capture was expected: {captures:?}\n--- stderr\n{}",
                self.stderr
            );
        };
        capture.clone()
    }

    /// What `pytrace report` says about the one capture.
    #[track_caller]
    pub(crate) fn report(&self) -> Report {
        Report::of(&self.capture())
    }
}

/// The files of a folder, sorted.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the folder exists");
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("a folder can be read").path())
        .collect();
    paths.sort();
    paths
}
