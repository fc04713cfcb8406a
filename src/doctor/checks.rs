//! The judgement: one line per thing that works or does not.

use std::path::Path;

use pytrace_model::text::{cut_end, escape_name};

use super::probe::{Findings, Identity, Run};
use super::settings;
use crate::error::quoted;
use crate::launch::executable::Executable;

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It works.
    Good,
    /// It does not, and something will be missing.
    Bad,
    /// It does not, and so nothing can be traced.
    Fatal,
    /// Neither: worth knowing.
    Note,
}

/// One line of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// How it came out.
    pub verdict: Verdict,
    /// What was looked at, in one word.
    pub subject: &'static str,
    /// What was found, in one line.
    pub finding: String,
}

/// The whole list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkup {
    /// The checks, in the order in which things happen.
    pub checks: Vec<Check>,
}

impl Checkup {
    /// Judges what was found; captures would go to `folder`.
    pub fn of(findings: &Findings, folder: &Path) -> Checkup {
        let mut checkup = Checkup::default();
        checkup.library(findings);
        if checkup.interpreter(findings) {
            checkup.capture(findings);
        }
        checkup.folder(folder);
        checkup.settings(findings);
        checkup
    }

    /// Whether the interpreter can be traced.
    pub fn can_be_traced(&self) -> bool {
        self.checks
            .iter()
            .all(|check| check.verdict != Verdict::Fatal)
    }

    pub(super) fn add(
        &mut self,
        verdict: Verdict,
        subject: &'static str,
        finding: impl Into<String>,
    ) {
        let finding = finding.into();
        self.checks.push(Check {
            verdict,
            subject,
            finding,
        });
    }

    fn library(&mut self, findings: &Findings) {
        match &findings.library {
            Ok(path) => self.add(
                Verdict::Good,
                "library",
                escape_name(&path.to_string_lossy()),
            ),
            Err(error) => self.add(Verdict::Fatal, "library", error.to_string()),
        }
    }

    /// `false` when nothing more can be said about it.
    fn interpreter(&mut self, findings: &Findings) -> bool {
        const SUBJECT: &str = "interpreter";
        let name = quoted(&findings.name);
        let Some(file) = &findings.file else {
            self.add(
                Verdict::Fatal,
                SUBJECT,
                format!(
                    "{name} was not found; name an interpreter: `pytrace doctor /path/to/python3`"
                ),
            );
            return false;
        };
        let file = escape_name(&file.to_string_lossy());
        if let Some(reason) = findings.executable.why_not_loaded() {
            let remedy = "use an interpreter that is linked dynamically against glibc";
            self.add(
                Verdict::Fatal,
                SUBJECT,
                format!("{file} {reason}; {remedy}"),
            );
            return false;
        }
        let Some(traced) = &findings.traced else {
            return false;
        };
        let Some(identity) = &traced.identity else {
            self.add(
                Verdict::Fatal,
                SUBJECT,
                not_run(&file, traced, findings.alone.as_ref()),
            );
            return false;
        };
        let implementation = escape_name(&identity.implementation);
        let version = escape_name(&identity.version);
        if identity.implementation != "cpython" {
            self.add(
                Verdict::Fatal,
                SUBJECT,
                format!("{file} is {implementation} {version}, and only CPython can be traced"),
            );
            return false;
        }
        if identity.version.starts_with("2.") {
            self.add(
                Verdict::Fatal,
                SUBJECT,
                format!("{file} is Python {version}, which has no allocator interface; Python 3 is needed"),
            );
            return false;
        }
        let through = match findings.executable {
            Executable::Script { .. } => format!(" (through {file})"),
            _ => String::new(),
        };
        let executable = match identity.executable.as_str() {
            "" => file,
            executable => escape_name(executable),
        };
        self.add(
            Verdict::Good,
            SUBJECT,
            format!("CPython {version}, {executable}{through}"),
        );
        self.loaded(identity, traced)
    }

    fn loaded(&mut self, identity: &Identity, traced: &Run) -> bool {
        if identity.loaded {
            self.add(
                Verdict::Good,
                "loaded",
                "the interpreter runs with the library in it",
            );
            return true;
        }
        let loader = traced
            .stderr
            .lines()
            .find(|line| line.contains("cannot be preloaded"));
        self.add(
            Verdict::Fatal,
            "loaded",
            match loader {
                Some(line) => format!("the loader refused the library: {}", escape_name(line)),
                None => "the interpreter runs without the library: something on the way to it drops LD_PRELOAD (a \
                         wrapper script, a set-uid program)"
                    .to_string(),
            },
        );
        false
    }

    fn folder(&mut self, folder: &Path) {
        let name = quoted(folder);
        match rustix::fs::access(folder, rustix::fs::Access::WRITE_OK) {
            Ok(()) => self.add(
                Verdict::Good,
                "folder",
                format!("captures can be written to {name}"),
            ),
            Err(error) => self.add(
                Verdict::Bad,
                "folder",
                format!(
                    "captures cannot be written to {name} ({error}); choose another place with -o"
                ),
            ),
        }
    }

    fn settings(&mut self, findings: &Findings) {
        const SUBJECT: &str = "settings";
        let mut unknown = Vec::new();
        for (name, value) in settings::of_environment() {
            let shown = escape_name(&name);
            if !settings::KNOWN.contains(&name.as_str()) {
                let meant = settings::similar(&name);
                let meant = meant.map_or(String::new(), |meant| format!("; did you mean {meant}?"));
                self.add(
                    Verdict::Bad,
                    SUBJECT,
                    format!("{shown} is not known{meant}"),
                );
                unknown.push(name);
            } else if name == "PYTRACE" && value == "off" {
                self.add(
                    Verdict::Bad,
                    SUBJECT,
                    "PYTRACE=off: nothing is traced while it is set",
                );
            } else if name != "PYTRACE_LIBRARY" {
                self.add(
                    Verdict::Note,
                    SUBJECT,
                    format!("{shown}={}", quoted(&value)),
                );
            }
        }
        for complaint in &findings.complaints {
            // The library names unknown settings too.
            if !unknown.iter().any(|name| complaint.contains(name.as_str())) {
                self.add(Verdict::Bad, SUBJECT, escape_name(complaint));
            }
        }
    }
}

/// Columns quoted of what a program said.
const LONGEST_QUOTE: usize = 80;

fn not_run(file: &str, traced: &Run, alone: Option<&Run>) -> String {
    let last_line = |run: &Run| {
        let line = run.stderr.lines().rfind(|line| !line.trim().is_empty());
        line.map_or(String::new(), |line| {
            // A program that is no Python may repeat all that it was given.
            format!(" ({})", cut_end(&escape_name(line.trim()), LONGEST_QUOTE))
        })
    };
    let why = |run: &Run| {
        let failure = run
            .failure
            .as_deref()
            .unwrap_or("it printed something else");
        format!("{failure}{}", last_line(run))
    };
    match alone {
        Some(alone) if alone.identity.is_some() => format!(
            "{file} runs a tiny program alone, but not under the library: {}; please report this",
            why(traced)
        ),
        Some(alone) => format!(
            "{file} does not run a tiny Python program: {}; is it a Python?",
            why(alone)
        ),
        None => format!("{file} does not run a tiny Python program: {}", why(traced)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn findings(executable: Executable, traced: Option<Run>) -> Findings {
        Findings {
            name: "python3".into(),
            file: Some(PathBuf::from("/bin/python3")),
            executable,
            library: Ok(PathBuf::from("/lib/libpytrace.so")),
            traced,
            alone: None,
            capture: None,
            complaints: Vec::new(),
        }
    }

    fn fatal(findings: &Findings) -> String {
        let checkup = Checkup::of(findings, Path::new("/tmp"));
        assert!(!checkup.can_be_traced());
        let mut checks = checkup.checks.into_iter();
        let fatal = checks.find(|check| check.verdict == Verdict::Fatal);
        fatal.unwrap().finding
    }

    #[test]
    fn programs_that_take_no_library_are_told_before_they_are_run() {
        let musl = Executable::Dynamic {
            loader: PathBuf::from("/lib/ld-musl-x86_64.so.1"),
        };
        assert!(fatal(&findings(musl, None)).contains("musl"));
        assert!(fatal(&findings(Executable::Static, None)).contains("statically"));
        assert!(fatal(&findings(Executable::Foreign, None)).contains("another architecture"));
    }

    #[test]
    fn a_library_that_was_not_loaded_is_explained_by_the_loader() {
        let run = Run {
            identity: Some(Identity {
                implementation: "cpython".into(),
                version: "3.11.7".into(),
                ..Identity::default()
            }),
            failure: None,
            stderr:
                "ERROR: ld.so: object 'x' from LD_PRELOAD cannot be preloaded (wrong): ignored.\n"
                    .into(),
        };
        let finding = fatal(&findings(Executable::Unknown, Some(run.clone())));
        assert!(finding.contains("cannot be preloaded (wrong)"), "{finding}");
        let silent = Run {
            stderr: String::new(),
            ..run
        };
        let finding = fatal(&findings(Executable::Unknown, Some(silent)));
        assert!(finding.contains("drops LD_PRELOAD"), "{finding}");
    }

    #[test]
    fn what_a_program_repeats_is_cut() {
        let run = Run {
            failure: Some("it ended with exit status: 2".into()),
            stderr: format!("ls: cannot access '{}'\n", "import sys\\n".repeat(90)),
            ..Run::default()
        };
        let mut findings = findings(Executable::Unknown, Some(run.clone()));
        findings.alone = Some(run);
        let finding = fatal(&findings);
        assert!(
            finding.contains("(ls: cannot access 'import sys"),
            "{finding}"
        );
        assert!(finding.len() < 200, "{finding}");
    }

    #[test]
    fn a_crash_under_the_library_alone_is_ours() {
        let crash = Run {
            failure: Some("it ended with signal: 11".into()),
            ..Run::default()
        };
        let mut findings = findings(Executable::Unknown, Some(crash));
        findings.alone = Some(Run {
            identity: Some(Identity::default()),
            ..Run::default()
        });
        let finding = fatal(&findings);
        assert!(finding.contains("please report this"), "{finding}");
    }
}
