//! Runs an interpreter with a tiny program, under the library and without it, and collects what it left.
//!
//! Invariant: it ends, whatever the program does, within [`LIMIT`] a run, and keeps at most [`KEPT_BYTES`] of its output.

use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::capture::Capture;
use crate::error::Result;
use crate::launch::Launch;
use crate::launch::executable::Executable;
use crate::launch::library::Preload;
use crate::launch::output::Output;
use crate::launch::program::Program;

/// How long one run may take.
const LIMIT: Duration = Duration::from_secs(20);

/// How much of its output is looked at.
const KEPT_BYTES: u64 = 64 << 10;

/// The function whose allocation the capture must show.
pub const FUNCTION: &str = "pytrace_doctor_probe";

/// What that allocation asks for at least: above all that an interpreter asks for while it starts.
pub const SIZE_BYTES: u64 = 5_000_011;

/// What marks the lines of the program among whatever else the interpreter prints.
const MARK: &str = "pytrace-doctor ";

/// Runs on every Python, 2 included.
const CODE: &str = "\
import sys
def pytrace_doctor_probe():
    return bytearray(5000011)
kept = pytrace_doctor_probe()
def say(name, value):
    print('pytrace-doctor ' + name + '=' + str(value))
say('implementation', getattr(getattr(sys, 'implementation', None), 'name', 'cpython'))
say('version', '%d.%d.%d' % tuple(sys.version_info[:3]))
say('executable', sys.executable)
say('loaded', any(line.rstrip().endswith(sys.argv[1]) for line in open('/proc/self/maps')))
sys.stdout.flush()
";

/// What the interpreter says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// `cpython`, `pypy` …
    pub implementation: String,
    /// For instance `3.11.7`.
    pub version: String,
    /// `sys.executable`
    pub executable: String,
    /// Whether the library is mapped into it.
    pub loaded: bool,
}

/// What one run left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// What the interpreter said about itself; `None` when the program did not run to its end.
    pub identity: Option<Identity>,
    /// How it ended, when not well.
    pub failure: Option<String>,
    /// What it wrote to standard error.
    pub stderr: String,
}

/// All that was found.
#[derive(Debug)]
pub struct Findings {
    /// The name or path that was asked for.
    pub name: OsString,
    /// The file that it leads to.
    pub file: Option<PathBuf>,
    /// What kind of file that is.
    pub executable: Executable,
    /// The library.
    pub library: Result<PathBuf>,
    /// The run under the library, with no settings; `None` when there could be none.
    pub traced: Option<Run>,
    /// The run without the library, when the other one failed.
    pub alone: Option<Run>,
    /// The capture of the traced run; `None` when there is none.
    pub capture: Option<Result<Capture>>,
    /// Lines that the library writes under the settings of the environment.
    pub complaints: Vec<String>,
}

/// Runs the interpreter `name`.
pub fn examine(name: OsString, library: Result<PathBuf>) -> Findings {
    let program = Program {
        name: name.clone(),
        arguments: Vec::new(),
    };
    let file = program.file();
    let executable = file
        .as_deref()
        .map_or(Executable::Unknown, Executable::of_file);
    let mut findings = Findings {
        name,
        file,
        executable,
        library,
        traced: None,
        alone: None,
        capture: None,
        complaints: Vec::new(),
    };
    let Ok(library) = &findings.library else {
        return findings;
    };
    if findings.file.is_none() || findings.executable.why_not_loaded().is_some() {
        return findings;
    }
    let ready = tempfile::tempdir().ok().zip(Preload::new(library).ok());
    let Some((folder, preload)) = ready else {
        return findings;
    };
    let traced = run(&mut traced_command(
        &program,
        library,
        &preload,
        Some(&folder),
    ));
    if traced.identity.is_none() {
        let mut command = Command::new(&program.name);
        findings.alone = Some(run(command.args(["-c", CODE]).arg(library)));
    }
    findings.traced = Some(traced);
    findings.capture = capture_of(&folder);
    if super::settings::of_environment().next().is_some() {
        let run = run(&mut traced_command(&program, library, &preload, None));
        let lines = run
            .stderr
            .lines()
            .filter_map(|line| line.strip_prefix("pytrace: "));
        findings.complaints = lines.map(str::to_string).collect();
    }
    findings
}

/// The command, without any setting of the environment when it shall write a capture, and with all of them when not.
fn traced_command(
    program: &Program,
    library: &Path,
    preload: &Preload,
    folder: Option<&TempDir>,
) -> Command {
    let output = folder.map(|folder| Output::new("capture".as_ref(), folder.path()));
    let launch = Launch {
        program: Program {
            name: program.name.clone(),
            arguments: vec!["-c".into(), CODE.into(), library.into()],
        },
        output,
        settings: vec![("PYTRACE_SUMMARY", "none".into())],
    };
    let mut command = launch.command(preload);
    if folder.is_some() {
        for (name, _) in super::settings::of_environment() {
            if name != "PYTRACE_OUTPUT" && name != "PYTRACE_SUMMARY" {
                command.env_remove(name);
            }
        }
    }
    command
}

/// The capture of the interpreter: where a launcher started it as its child, there may be more than one.
fn capture_of(folder: &TempDir) -> Option<Result<Capture>> {
    let mut files: Vec<_> = fs::read_dir(folder.path())
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    files.sort();
    files.last().map(|path| Capture::open(path))
}

fn run(command: &mut Command) -> Run {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            return Run {
                failure: Some(format!("it could not be started: {error}")),
                ..Run::default()
            };
        }
    };
    let stdout = child.stdout.take().map(collect);
    let stderr = child.stderr.take().map(collect);
    let failure = wait(&mut child);
    let text = |stream: Option<JoinHandle<String>>| {
        stream
            .and_then(|stream| stream.join().ok())
            .unwrap_or_default()
    };
    Run {
        identity: identity(&text(stdout)),
        failure,
        stderr: text(stderr),
    }
}

/// Reads a stream in a thread of its own, up to the limit; a writer of more gets a broken pipe.
fn collect(stream: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut kept = Vec::new();
        // What was read before an error is all there is.
        let _ = stream.take(KEPT_BYTES).read_to_end(&mut kept);
        String::from_utf8_lossy(&kept).into_owned()
    })
}

/// Waits for the end, which is brought about when the time is up.
fn wait(child: &mut Child) -> Option<String> {
    let started = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => {
                return (!status.success()).then(|| format!("it ended with {status}"));
            }
            Ok(None) if started.elapsed() < LIMIT => thread::sleep(Duration::from_millis(5)),
            Ok(None) => {
                // It fails only when the program has ended just now.
                let _ = child.kill();
                let _ = child.wait();
                return Some(format!("it did not end within {} s", LIMIT.as_secs()));
            }
            Err(error) => return Some(format!("it could not be waited for: {error}")),
        }
    }
}

fn identity(stdout: &str) -> Option<Identity> {
    let mut identity = Identity::default();
    let mut complete = false;
    for line in stdout.lines().filter_map(|line| line.strip_prefix(MARK)) {
        let (name, value) = line.split_once('=')?;
        let value = value.to_string();
        match name {
            "implementation" => identity.implementation = value,
            "version" => identity.version = value,
            "executable" => identity.executable = value,
            "loaded" => {
                identity.loaded = value == "True";
                complete = true;
            }
            _ => {}
        }
    }
    complete.then_some(identity)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_found_among_other_output() {
        let stdout = "hello from sitecustomize\npytrace-doctor implementation=cpython\n\
                      pytrace-doctor version=3.11.7\nnoise=1\npytrace-doctor executable=/p y\n\
                      pytrace-doctor loaded=True\n";
        let expected = Identity {
            implementation: "cpython".into(),
            version: "3.11.7".into(),
            executable: "/p y".into(),
            loaded: true,
        };
        assert_eq!(identity(stdout), Some(expected));
        assert_eq!(identity("pytrace-doctor version=3.11.7\n"), None);
        assert_eq!(identity(""), None);
    }

    #[test]
    fn the_code_allocates_what_is_looked_for() {
        assert!(CODE.contains(&format!("bytearray({SIZE_BYTES})")));
        assert!(CODE.contains(&format!("def {FUNCTION}():")));
        assert!(CODE.contains(&format!("'{MARK}'")));
    }

    #[test]
    fn a_program_that_never_stops_printing_is_stopped() {
        let run = run(&mut Command::new("yes"));
        assert_eq!(run.identity, None);
        assert!(run.failure.is_some());
    }

    #[test]
    fn a_missing_program_is_a_failure() {
        let run = run(&mut Command::new("/nonexistent/python"));
        assert!(run.failure.unwrap().contains("could not be started"));
    }
}
