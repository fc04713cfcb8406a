//! The exit summary: where it goes and how it is drawn.

use std::ffi::CString;

use pytrace_model::Model;
use pytrace_model::summary::{Style, render_body, render_end};

use crate::settings::{Settings, Summary};
use crate::sys::descriptor::Descriptor;
use crate::sys::{file, syscall};

/// Columns when it does not go to a terminal.
const PLAIN_COLUMNS: usize = 100;
/// The widest that is drawn: beyond, lines are hard to follow.
const MOST_COLUMNS: usize = 140;

/// How the summary is drawn for where it goes.
fn style(settings: &Settings, capture: Option<&str>) -> Style {
    let terminal = match settings.summary {
        Summary::Stderr => syscall::terminal_columns(libc::STDERR_FILENO),
        _ => None,
    };
    Style {
        width: terminal
            .filter(|&columns| columns > 0)
            .map_or(PLAIN_COLUMNS, |columns| columns.min(MOST_COLUMNS)),
        colour: terminal.is_some() && colour_is_wanted(),
        top: settings.top,
        footer: capture.map(str::to_owned),
    }
}

/// Draws the summary but for its end.
pub(crate) fn body(settings: &Settings, model: &Model) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = render_body(model, &style(settings, None), &mut text);
    text
}

/// Draws the end and prints it all.
pub(crate) fn print(settings: &Settings, mut text: String, model: &Model, capture: Option<&str>) {
    // As above.
    let _ = render_end(model, &style(settings, capture), &mut text);
    match &settings.summary {
        Summary::None => {}
        Summary::Stderr => file::write_to_stderr(text.as_bytes()),
        Summary::File(path) => {
            if let Err(errno) = write_file(path, &text) {
                let reason = file::reason(errno);
                file::say(&format!("{path}: cannot write the summary: {reason}"));
            }
        }
    }
}

/// Colours unless `NO_COLOR` is set to something or the terminal is dumb.
fn colour_is_wanted() -> bool {
    let value_of = |name: &core::ffi::CStr| {
        // SAFETY: getenv reads the environment; at the exit of the process nobody changes it.
        let value = unsafe { libc::getenv(name.as_ptr()) };
        if value.is_null() {
            return None;
        }
        // SAFETY: not null, so a NUL-terminated string of the environment.
        Some(
            unsafe { core::ffi::CStr::from_ptr(value) }
                .to_bytes()
                .to_vec(),
        )
    };
    value_of(c"NO_COLOR").is_none_or(|value| value.is_empty())
        && value_of(c"TERM").as_deref() != Some(b"dumb")
}

/// Writes the summary to a file, replacing what a former run left there. A link is not followed, a file that has another
/// name or owner is left alone, and nobody is waited for who might read from a pipe.
fn write_file(path: &str, text: &str) -> Result<(), i32> {
    let name = CString::new(path).map_err(|_| libc::EINVAL)?;
    let flags = libc::O_WRONLY
        | libc::O_CREAT
        | libc::O_CLOEXEC
        | libc::O_NOFOLLOW
        | libc::O_NONBLOCK
        | libc::O_NOCTTY;
    let file = Descriptor::new(syscall::open(&name, flags, 0o600))?;
    let number = file.number().ok_or(libc::EBADF)?;
    let result = make_empty(number).and_then(|()| file::write_all(number, text.as_bytes()));
    file.close();
    result
}

/// Empties the file, if it is one that a former run may have left.
fn make_empty(fd: i32) -> Result<(), i32> {
    let status = syscall::file_status(fd).ok_or(libc::EIO)?;
    if !status.is_regular {
        return Ok(());
    }
    if status.links != 1 || status.owner != syscall::effective_user() {
        return Err(libc::EPERM);
    }
    match syscall::empty_file(fd) {
        0 => Ok(()),
        error => Err(-error as i32),
    }
}
