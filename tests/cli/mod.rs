//! The `pytrace` command itself: what it accepts, says and returns.

mod check; // limits: exit statuses, and the forms of the answer
mod choosing; // lines, filters, folders
mod counts; // captures without call sites
mod diff; // captures and sets of them, and a program that does the same twice
mod doctor; // the list of what works
mod exports; // reports for other tools, opened by these
mod long_work; // on a terminal: how far it is
mod manual; // completions, manual pages, help
mod native; // native stacks: names from real files, stacks of every shape
mod report; // captures made by hand: every field
mod run; // exit statuses, signals, environment, output files
mod speedscope; // its files, held against its schema
mod unreadable; // every kind of bad file

use crate::support::installation::library;
use crate::support::watchdog::{LIMIT, Watched};
use pytrace_format::record::Mode;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use tempfile::TempDir;

/// A command line in a folder of its own; nothing of the caller's environment but PATH leaks in.
pub(crate) struct Pytrace {
    command: Command,
    folder: TempDir,
}

/// What a command line gave.
pub(crate) struct Answer {
    status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    folder: TempDir,
}

impl Pytrace {
    pub(crate) fn new(subcommand: &str) -> Pytrace {
        let folder = TempDir::new().expect("a temporary folder can be made");
        // The tests may have been started with signals ignored, as by nohup; a shell does not trap those.
        let mut command = Command::new("env");
        command
            .arg("--default-signal")
            .arg(env!("CARGO_BIN_EXE_pytrace"))
            .arg(subcommand)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("PYTRACE_LIBRARY", library())
            .current_dir(folder.path());
        Pytrace { command, folder }
    }

    pub(crate) fn words<A: AsRef<OsStr>>(mut self, words: impl IntoIterator<Item = A>) -> Pytrace {
        self.command.args(words);
        self
    }

    pub(crate) fn word(self, word: impl AsRef<OsStr>) -> Pytrace {
        self.words([word])
    }

    pub(crate) fn set(mut self, name: &str, value: impl AsRef<OsStr>) -> Pytrace {
        self.command.env(name, value);
        self
    }

    /// Writes a file into the folder first.
    fn file(self, name: &str, content: impl AsRef<[u8]>) -> Pytrace {
        std::fs::write(self.path(name), content).expect("the folder is ours");
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn start(&mut self) -> Watched {
        Watched::start(&mut self.command, LIMIT)
    }

    pub(crate) fn run(mut self) -> Answer {
        let (status, stdout, stderr) = self.start().wait();
        Answer {
            status,
            stdout,
            stderr,
            folder: self.folder,
        }
    }
}

impl Answer {
    pub(crate) fn code(&self) -> i32 {
        self.status.code().expect("pytrace exits")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The one line of a refusal, which ends with status 2 and prints nothing else.
    #[track_caller]
    pub(crate) fn refusal(&self) -> &str {
        assert_eq!(self.code(), 2, "{}", self.stderr);
        assert_eq!(self.stdout, "");
        self.only_line()
    }

    /// The one line on standard error.
    #[track_caller]
    pub(crate) fn only_line(&self) -> &str {
        let line = self
            .stderr
            .strip_prefix("pytrace: ")
            .and_then(|line| line.strip_suffix('\n'));
        match line {
            Some(line) if !line.contains('\n') => line,
            _ => panic!("one line `pytrace: …` was expected: {:?}", self.stderr),
        }
    }
}

#[test]
fn help_that_cannot_be_written_is_no_success() {
    for word in ["--help", "--version"] {
        let full = std::fs::File::create("/dev/full").expect("it is there");
        let output = Pytrace::new(word).command.stdout(full).output();
        let output = output.expect("pytrace starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{word}: {said}");
        assert!(
            said.contains("standard output could not be written"),
            "{said}"
        );
    }
}

#[test]
fn bad_command_lines_get_one_line() {
    for (words, part) in [
        (["run"].as_slice(), "<CMD>..."),
        (&["run", "--moed", "counts", "true"], "'--mode'"),
        (
            &["run", "--mode", "all", "true"],
            "possible values: sites, counts, events]",
        ),
        (
            &["run", "--native", "all", "true"],
            "possible values: caller, full, off]",
        ),
        (&["run", "--depth", "4097", "true"], "4096"),
        (&["run", "missing.py"], "no such script: 'missing.py'"),
        (&["run", "-o", "a%q", "true"], "'%q'"),
        (
            &["run", "-o", "/tmp", "true"],
            "the output '/tmp' is no regular file",
        ),
        (
            &["run", "-o", "missing/a.pytrace", "true"],
            "choose another one with -o",
        ),
        (&["report"], "<FILE>"),
        (&["report", "x", "--metric", "lvie"], "'live'"),
        (
            &["report", "x", "--format", "htm"],
            "possible values: text, json, collapsed, speedscope, pprof, csv, parquet]",
        ),
        (&["reprot", "x"], "'report'"),
    ] {
        let answer = Pytrace::new(words[0]).words(&words[1..]).run();
        let line = answer.refusal();
        assert!(line.contains(part), "{words:?}: {line}");
    }
}

#[test]
fn no_answer_is_written_over_a_capture() {
    for words in [
        ["report", "a.pytrace", "-o", "a.pytrace"].as_slice(),
        &["report", ".", "--format", "json", "-o", "./a.pytrace"],
        &["report", "a.pytrace", "-o", "link"],
        &["diff", "b.pytrace", "a.pytrace", "-o", "a.pytrace"],
        &[
            "diff",
            "--old",
            "a.pytrace",
            "--new",
            "b.pytrace",
            "-o",
            "a.pytrace",
        ],
        &["check", "a.pytrace", "--max-peak", "1", "-o", "a.pytrace"],
        &[
            "check",
            "b.pytrace",
            "--baseline",
            "a.pytrace",
            "-o",
            "a.pytrace",
        ],
    ] {
        let capture = report::small(Mode::Sites).file();
        let pytrace = Pytrace::new(words[0])
            .words(&words[1..])
            .file("a.pytrace", &capture)
            .file("b.pytrace", &capture);
        std::os::unix::fs::symlink("a.pytrace", pytrace.path("link")).expect("the folder is ours");
        let answer = pytrace.run();
        let line = answer.refusal();
        assert!(line.contains("would write over a capture"), "{line}");
        let left = std::fs::read(answer.path("a.pytrace")).expect("it is there");
        assert!(left == capture, "{words:?}");
    }
    // Any other file is.
    let answer = Pytrace::new("report")
        .file("a.pytrace", report::small(Mode::Sites).file())
        .file("old", "old")
        .words(["a.pytrace", "-o", "old"])
        .run();
    assert_eq!(answer.code(), 0, "{}", answer.stderr);
    let written = std::fs::read_to_string(answer.path("old")).expect("it is there");
    assert!(written.contains("app.py, pid"), "{written}");
}

#[test]
fn help_and_version_are_answers() {
    for words in [
        ["--help"].as_slice(),
        &["run", "--help"],
        &["report", "--help"],
        &["doctor", "--help"],
        &["-V"],
    ] {
        let answer = Pytrace::new(words[0]).words(&words[1..]).run();
        assert_eq!(
            (answer.code(), answer.stderr.as_str()),
            (0, ""),
            "{words:?}"
        );
        assert!(
            answer.stdout.contains("Examples:") || answer.stdout.starts_with("pytrace "),
            "{words:?}"
        );
    }
}
