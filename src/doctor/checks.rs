//! The judgement: one line per thing that works or does not.

use std::path::Path;

use pytrace_model::Model;
use pytrace_model::record::{Allocator, Domain, Frame, Moment, Scope};
use pytrace_model::text::{count, escape_name, size};

use super::probe::{FUNCTION, Findings, Identity, Run, SIZE_BYTES};
use super::settings;
use crate::capture::Capture;
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

    fn add(&mut self, verdict: Verdict, subject: &'static str, finding: impl Into<String>) {
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

    fn capture(&mut self, findings: &Findings) {
        let capture = match &findings.capture {
            Some(Ok(capture)) => capture,
            Some(Err(error)) => return self.add(Verdict::Fatal, "capture", error.to_string()),
            None => {
                let said = findings.traced.as_ref().map_or("", |run| run.stderr.trim());
                let said = said.lines().next().unwrap_or("the library said nothing");
                let finding = format!("none was written: {}", escape_name(said));
                return self.add(Verdict::Fatal, "capture", finding);
            }
        };
        let model = &capture.model;
        let quality = &model.quality;
        let events = count(quality.events);
        if capture.is_complete() && quality.lost_events == 0 {
            let threads = if model.process.free_threaded {
                ", free-threaded build"
            } else {
                ""
            };
            self.add(
                Verdict::Good,
                "capture",
                format!("complete: {events} events, none lost{threads}"),
            );
        } else {
            let lost = count(quality.lost_events);
            let ended = capture.ending.name();
            let finding = format!("not complete: {events} events, {lost} lost, ended: {ended}");
            self.add(Verdict::Bad, "capture", finding);
        }
        self.domains(model);
        self.stacks(capture);
        self.arenas(model);
    }

    fn domains(&mut self, model: &Model) {
        let allocations = |domain| model.scope(Scope::Domain(domain)).counters.allocations;
        let seen = [Domain::Raw, Domain::Mem, Domain::Object];
        let text: Vec<_> = seen
            .iter()
            .map(|&domain| format!("{} {}", domain.name(), count(allocations(domain))))
            .collect();
        let text = text.join(", ");
        if seen.iter().all(|&domain| allocations(domain) > 0) {
            self.add(Verdict::Good, "hooks", format!("allocations seen: {text}"));
        } else {
            let finding =
                format!("no allocations in a domain: {text}; what goes through it is not counted");
            self.add(Verdict::Bad, "hooks", finding);
        }
        match allocations(Domain::Malloc) {
            0 => self.add(
                Verdict::Bad,
                "malloc",
                "no direct call of malloc was seen: the program brings an allocator of its own, or links it statically",
            ),
            seen => self.add(Verdict::Good, "malloc", format!("interposed: {} direct calls seen", count(seen))),
        }
    }

    fn stacks(&mut self, capture: &Capture) {
        let model = &capture.model;
        let reason = &model.process.no_stacks_reason;
        if !reason.is_empty() {
            return self.add(
                Verdict::Bad,
                "stacks",
                format!("missing: {}", escape_name(reason)),
            );
        }
        let found = model.sites_with_counters().any(|(site, counters)| {
            counters.requested_bytes >= SIZE_BYTES
                && model
                    .stack_frames(site.stack)
                    .any(|(_, frame)| match *frame {
                        Frame::Python { function, line, .. } => {
                            model.string(function) == FUNCTION && line == 3
                        }
                        Frame::Native { .. } => false,
                    })
        });
        if found {
            self.add(Verdict::Good, "stacks", "Python stacks, right to the line");
        } else {
            self.add(
                Verdict::Bad,
                "stacks",
                "a known allocation was not found on its line: call sites of this interpreter cannot be trusted",
            );
        }
    }

    fn arenas(&mut self, model: &Model) {
        const SUBJECT: &str = "arenas";
        let allocator = model.process.allocator;
        let state = model
            .pymalloc
            .get(&Moment::Exit)
            .or(model.pymalloc.get(&Moment::ExitByEvents));
        match (allocator, state) {
            (_, Some(state)) => self.add(
                Verdict::Good,
                SUBJECT,
                format!(
                    "{}: {} arenas of {}, pools of {}",
                    allocator.name(),
                    count(state.arenas),
                    size(state.arena_bytes),
                    size(state.pool_bytes)
                ),
            ),
            (Allocator::Pymalloc | Allocator::PymallocDebug | Allocator::Unknown, None) => self
                .add(
                    Verdict::Bad,
                    SUBJECT,
                    format!(
                        "allocator {}, and its arenas were not found",
                        allocator.name()
                    ),
                ),
            (other, None) => self.add(
                Verdict::Note,
                SUBJECT,
                format!("none: small objects are served by {}", other.name()),
            ),
        }
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
            } else {
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

fn not_run(file: &str, traced: &Run, alone: Option<&Run>) -> String {
    let last_line = |run: &Run| {
        let line = run.stderr.lines().rfind(|line| !line.trim().is_empty());
        line.map_or(String::new(), |line| {
            format!(" ({})", escape_name(line.trim()))
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
