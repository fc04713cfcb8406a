//! The settings: `PYTRACE_*` environment variables, read once per process.
//!
//! A value that is not accepted makes the process run untraced and be told so; a name that is not known is told and
//! otherwise ignored.

use std::ffi::CStr;

use pytrace_format::record::{Domain, Mode, Native};

/// Where the exit summary goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Summary {
    Stderr,
    File(String),
    None,
}

/// Everything that can be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) enabled: bool,
    /// Pattern of the capture's path; `None`: no capture.
    pub(crate) output: Option<String>,
    pub(crate) summary: Summary,
    pub(crate) top: usize,
    pub(crate) mode: Mode,
    pub(crate) native: Native,
    /// Python frames kept per stack; 0: all.
    pub(crate) depth: usize,
    /// Which domains are shown, by their number.
    pub(crate) shown: [bool; 5],
    pub(crate) trace_children: bool,
    pub(crate) start_paused: bool,
    pub(crate) interval_ms: u32,
    /// `PYTRACE_TREE`, if the parent set it.
    pub(crate) tree: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            enabled: true,
            output: Some("pytrace-%n-%p.pytrace".into()),
            summary: Summary::Stderr,
            top: 10,
            mode: Mode::Sites,
            native: Native::Caller,
            depth: 0,
            shown: [true; 5],
            trace_children: true,
            start_paused: false,
            interval_ms: 100,
            tree: None,
        }
    }
}

/// What reading the environment came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Parsed {
    /// The settings, or the line that says which value is wrong and what would be right.
    pub(crate) settings: Result<Settings, String>,
    /// Lines about names that are not known.
    pub(crate) warnings: Vec<String>,
}

const KNOWN: &[&str] = &[
    "PYTRACE",
    "PYTRACE_OUTPUT",
    "PYTRACE_SUMMARY",
    "PYTRACE_TOP",
    "PYTRACE_MODE",
    "PYTRACE_NATIVE",
    "PYTRACE_DEPTH",
    "PYTRACE_DOMAINS",
    "PYTRACE_CHILDREN",
    "PYTRACE_START",
    "PYTRACE_INTERVAL_MS",
];

/// Names that other parts of pytrace set or read.
const FOREIGN: &[&str] = &["PYTRACE_TREE", "PYTRACE_LIBRARY"];

fn choice<T: Copy>(name: &str, value: &str, choices: &[(&str, T)]) -> Result<T, String> {
    choices
        .iter()
        .find(|(accepted, _)| *accepted == value)
        .map(|(_, meaning)| *meaning)
        .ok_or_else(|| {
            let accepted: Vec<&str> = choices.iter().map(|(accepted, _)| *accepted).collect();
            format!(
                "{name}={value} is not accepted (use one of: {})",
                accepted.join(", ")
            )
        })
}

fn number(name: &str, value: &str, least: u32, most: u32) -> Result<u32, String> {
    value
        .parse()
        .ok()
        .filter(|number| {
            (least..=most).contains(number) && value.bytes().all(|byte| byte.is_ascii_digit())
        })
        .ok_or_else(|| {
            format!("{name}={value} is not accepted (use a whole number from {least} to {most})")
        })
}

fn domains(name: &str, value: &str) -> Result<[bool; 5], String> {
    let mut shown = [false; 5];
    for word in value.split(',') {
        let domain = Domain::ALL.iter().find(|domain| domain.name() == word);
        match domain.and_then(|domain| shown.get_mut(*domain as usize)) {
            Some(entry) => *entry = true,
            None => {
                return Err(format!(
                    "{name}={value} is not accepted (use any of: raw, mem, object, malloc, mmap, with commas)"
                ));
            }
        }
    }
    Ok(shown)
}

impl Settings {
    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let empty = || format!("{name} is empty (use a path, or none)");
        match name {
            "PYTRACE" => self.enabled = choice(name, value, &[("on", true), ("off", false)])?,
            "PYTRACE_OUTPUT" => {
                self.output = match value {
                    "" => return Err(empty()),
                    "none" => None,
                    path => Some(path.to_owned()),
                };
            }
            "PYTRACE_SUMMARY" => {
                self.summary = match value {
                    "" => return Err(empty()),
                    "stderr" => Summary::Stderr,
                    "none" => Summary::None,
                    path => Summary::File(path.to_owned()),
                };
            }
            "PYTRACE_TOP" => self.top = number(name, value, 0, 1000)? as usize,
            "PYTRACE_MODE" => {
                self.mode = choice(
                    name,
                    value,
                    &[
                        ("sites", Mode::Sites),
                        ("counts", Mode::Counts),
                        ("events", Mode::Events),
                    ],
                )?;
            }
            "PYTRACE_NATIVE" => {
                self.native = choice(
                    name,
                    value,
                    &[
                        ("caller", Native::Caller),
                        ("full", Native::Full),
                        ("off", Native::Off),
                    ],
                )?;
            }
            "PYTRACE_DEPTH" => self.depth = number(name, value, 0, 4096)? as usize,
            "PYTRACE_DOMAINS" => self.shown = domains(name, value)?,
            "PYTRACE_CHILDREN" => {
                self.trace_children = choice(name, value, &[("python", true), ("none", false)])?;
            }
            "PYTRACE_START" => {
                self.start_paused = choice(name, value, &[("on", false), ("paused", true)])?;
            }
            "PYTRACE_INTERVAL_MS" => self.interval_ms = number(name, value, 10, 60_000)?,
            "PYTRACE_TREE" => self.tree = Some(value.to_owned()),
            _ => {}
        }
        Ok(())
    }
}

/// The known name that an unknown one is probably meant to be: the same letters but for one or two.
fn suggestion(unknown: &str) -> Option<&'static str> {
    const FARTHEST: usize = 2;
    let letters = |name: &str| {
        let mut letters: Vec<char> = name.chars().collect();
        letters.sort_unstable();
        letters
    };
    let distance = |left: &[char], right: &[char]| {
        let mut rest = right.to_vec();
        let unmatched =
            left.iter().filter(
                |letter| match rest.iter().position(|other| other == *letter) {
                    Some(at) => {
                        rest.swap_remove(at);
                        false
                    }
                    None => true,
                },
            );
        let unmatched = unmatched.count();
        unmatched + rest.len()
    };
    let asked = letters(unknown);
    KNOWN
        .iter()
        .map(|known| (distance(&asked, &letters(known)), *known))
        .min()
        .filter(|(distance, _)| *distance <= FARTHEST)
        .map(|(_, known)| known)
}

/// Reads settings from `NAME=value` strings. All variables are looked at, so that `PYTRACE=off` wins over any error.
pub(crate) fn parse<'a>(environment: impl Iterator<Item = &'a [u8]>) -> Parsed {
    let mut settings = Settings::default();
    let mut error = None;
    let mut warnings = Vec::new();
    for entry in environment {
        let Some(split) = entry.iter().position(|&byte| byte == b'=') else {
            continue;
        };
        let (name, value) = entry.split_at(split);
        let name = String::from_utf8_lossy(name);
        if name != "PYTRACE" && !name.starts_with("PYTRACE_") {
            continue;
        }
        let value = String::from_utf8_lossy(value.get(1..).unwrap_or(&[]));
        if !KNOWN.contains(&&*name) && !FOREIGN.contains(&&*name) {
            let hint = suggestion(&name)
                .map_or(String::new(), |known| format!(" (did you mean {known}?)"));
            warnings.push(format!("unknown variable {name}{hint}"));
            continue;
        }
        if let Err(message) = settings.set(&name, &value) {
            error.get_or_insert(format!("{message}; the program runs untraced"));
        }
    }
    if !settings.enabled {
        return Parsed {
            settings: Ok(settings),
            warnings: Vec::new(),
        };
    }
    Parsed {
        settings: match error {
            Some(message) => Err(message),
            None => Ok(settings),
        },
        warnings,
    }
}

unsafe extern "C" {
    static environ: *const *const libc::c_char;
}

/// Reads the settings of this process. Call it while no other thread changes the environment (the constructor).
pub(crate) fn from_environment() -> Parsed {
    let mut entries: Vec<&[u8]> = Vec::new();
    // SAFETY: `environ` is null or a null-terminated array of strings, and nobody changes it meanwhile (the caller's part).
    unsafe {
        let mut at = environ;
        while !at.is_null() && !(*at).is_null() {
            entries.push(CStr::from_ptr(*at).to_bytes());
            at = at.add(1);
        }
    }
    parse(entries.into_iter())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(entries: &[&str]) -> Result<Settings, String> {
        parse(entries.iter().map(|entry| entry.as_bytes())).settings
    }

    #[test]
    fn an_empty_environment_gives_the_defaults() {
        assert_eq!(
            settings(&["HOME=/", "PYTRACER=x", "nonsense"]),
            Ok(Settings::default())
        );
    }

    #[test]
    fn every_variable_is_read() {
        let read = settings(&[
            "PYTRACE=on",
            "PYTRACE_OUTPUT=/tmp/%p",
            "PYTRACE_SUMMARY=none",
            "PYTRACE_TOP=0",
            "PYTRACE_MODE=sites",
            "PYTRACE_NATIVE=off",
            "PYTRACE_DEPTH=4096",
            "PYTRACE_DOMAINS=mmap,raw",
            "PYTRACE_CHILDREN=none",
            "PYTRACE_START=paused",
            "PYTRACE_INTERVAL_MS=10",
            "PYTRACE_TREE=a:1",
        ])
        .expect("all right");
        assert_eq!(read.output.as_deref(), Some("/tmp/%p"));
        assert_eq!(read.shown, [true, false, false, false, true]);
        assert_eq!((read.depth, read.top, read.interval_ms), (4096, 0, 10));
        assert!(read.start_paused && !read.trace_children);
        assert_eq!((read.native, read.summary), (Native::Off, Summary::None));
        assert_eq!(read.tree.as_deref(), Some("a:1"));
    }

    #[test]
    fn bad_values_are_named_with_what_is_accepted() {
        for (entry, accepted) in [
            ("PYTRACE=yes", "on, off"),
            ("PYTRACE_TOP=1001", "from 0 to 1000"),
            ("PYTRACE_TOP=-1", "from 0 to 1000"),
            ("PYTRACE_TOP=+1", "from 0 to 1000"),
            ("PYTRACE_TOP=", "from 0 to 1000"),
            ("PYTRACE_TOP=99999999999999999999", "from 0 to 1000"),
            ("PYTRACE_DEPTH=4097", "from 0 to 4096"),
            ("PYTRACE_INTERVAL_MS=9", "from 10 to 60000"),
            ("PYTRACE_DOMAINS=", "raw, mem"),
            ("PYTRACE_DOMAINS=raw,heap", "raw, mem"),
            ("PYTRACE_NATIVE=Full", "caller"),
            ("PYTRACE_OUTPUT=", "a path, or none"),
        ] {
            let message = settings(&[entry]).expect_err(entry);
            let name = entry.split('=').next().expect("a name");
            assert!(
                message.starts_with(name) && message.contains(accepted),
                "{message}"
            );
        }
    }

    #[test]
    fn off_wins_over_errors() {
        let read = settings(&["PYTRACE_TOP=x", "PYTRACE=off"]).expect("off");
        assert!(!read.enabled);
    }

    #[test]
    fn unknown_names_are_told_with_a_guess() {
        let parsed = parse(
            [
                &b"PYTRACE_DOMIANS=raw"[..],
                b"PYTRACE_XYZ=1",
                b"PYTRACE_TREE=t",
            ]
            .into_iter(),
        );
        assert!(parsed.settings.is_ok());
        assert_eq!(
            parsed.warnings,
            [
                "unknown variable PYTRACE_DOMIANS (did you mean PYTRACE_DOMAINS?)",
                "unknown variable PYTRACE_XYZ"
            ]
        );
    }
}
