//! Who is traced: what the system says of this process.

use pytrace_format::record::{Domain, Process, Settings};

use crate::python;
use crate::session::Session;
use crate::sys::{file, syscall};

/// More than any command line that matters.
const LONGEST_COMMAND_LINE: usize = 1 << 20;

/// Options of CPython's command line that take their value from the next argument.
const OPTIONS_WITH_VALUE: [&str; 3] = ["-W", "-X", "--check-hash-based-pycs"];

/// Whether this process prints the summary of its tree.
pub(crate) fn is_root(session: &Session) -> bool {
    session
        .tree
        .rsplit(':')
        .next()
        .and_then(|pid| pid.parse().ok())
        .is_none_or(|root: u32| root == session.pid)
}

/// The command line's words.
fn arguments() -> Vec<String> {
    let bytes = file::read("/proc/thread-self/cmdline", LONGEST_COMMAND_LINE).unwrap_or_default();
    bytes
        .split(|&byte| byte == 0)
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect()
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The script or module that a CPython command line runs; `python` for `-c` code and interactive use.
fn program_of(arguments: &[String]) -> String {
    let mut words = arguments.iter().skip(1).map(String::as_str);
    while let Some(word) = words.next() {
        if word.is_empty() {
            break;
        }
        if OPTIONS_WITH_VALUE.contains(&word) {
            words.next();
            continue;
        }
        let Some(letters) = word.strip_prefix('-') else {
            return base_name(word).to_owned();
        };
        if letters.is_empty() || word.starts_with("--") {
            if word == "-" || word == "--" {
                break;
            }
            continue;
        }
        for (at, letter) in letters.char_indices() {
            let rest = letters.get(at + letter.len_utf8()..).unwrap_or("");
            match letter {
                'm' => {
                    let module = if rest.is_empty() {
                        words.next().unwrap_or("")
                    } else {
                        rest
                    };
                    return if module.is_empty() {
                        "python".into()
                    } else {
                        module.to_owned()
                    };
                }
                'c' => return "python".into(),
                'W' | 'X' => {
                    if rest.is_empty() {
                        words.next();
                    }
                    break;
                }
                _ => {}
            }
        }
    }
    "python".into()
}

/// The name of what runs: for a Python executable its script, for a program that embeds Python the program.
pub(crate) fn program() -> String {
    name_of(&arguments())
}

fn name_of(arguments: &[String]) -> String {
    let executable = arguments.first().map_or("python", |path| base_name(path));
    if executable.starts_with("python") || executable.starts_with("pypy") || executable.is_empty() {
        program_of(arguments)
    } else {
        executable.to_owned()
    }
}

/// The path of the executable; empty when it cannot be read.
fn executable() -> String {
    std::fs::read_link("/proc/thread-self/exe").map_or_else(
        |_| String::new(),
        |path| path.to_string_lossy().into_owned(),
    )
}

/// What the system says of who runs here.
pub(crate) struct Identity {
    argv0: String,
    program: String,
    executable: String,
}

/// Asks the system. That takes descriptors: not to be done at every flush.
pub(crate) fn identity() -> Identity {
    let arguments = arguments();
    Identity {
        program: name_of(&arguments),
        argv0: arguments.into_iter().next().unwrap_or_default(),
        executable: executable(),
    }
}

/// The capture's record of this process.
pub(crate) fn record(session: &Session, identity: &Identity) -> Process {
    let python = python::current();
    Process {
        pid: session.pid,
        parent_pid: syscall::parent_process_id(),
        started_at_unix_ns: session.started_unix_ns,
        argv0: identity.argv0.clone(),
        program: identity.program.clone(),
        executable: identity.executable.clone(),
        python_version: python.map_or_else(String::new, |python| python.version.clone()),
        free_threaded: python.is_some_and(|python| python.free_threaded),
        tree: session.tree.clone(),
        allocator: session.allocator(),
        no_stacks_reason: python
            .and_then(|python| python.missing_stacks())
            .unwrap_or_default()
            .to_owned(),
    }
}

/// The capture's record of the settings.
pub(crate) fn settings(session: &Session) -> Settings {
    let settings = &session.settings;
    Settings {
        mode: settings.mode,
        native: settings.native,
        depth: settings.depth as u32,
        domains: Domain::ALL
            .into_iter()
            .filter(|domain| settings.shown.get(*domain as usize) == Some(&true))
            .collect(),
        interval_ms: settings.interval_ms,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_found_on_every_kind_of_command_line() {
        for (line, program) in [
            ("python app.py x", "app.py"),
            ("python -u -X dev /a/b/app.py", "app.py"),
            ("python -Xdev -Wignore -m http.server 8000", "http.server"),
            ("python -Im pip", "pip"),
            ("python -mpip", "pip"),
            ("python -c pass app.py", "python"),
            ("python -Ic pass", "python"),
            ("python", "python"),
            ("python -", "python"),
            ("python -m", "python"),
            ("python --check-hash-based-pycs always a.py", "a.py"),
            ("python -W", "python"),
            ("", "python"),
        ] {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            assert_eq!(program_of(&words), program, "{line}");
        }
    }
}
