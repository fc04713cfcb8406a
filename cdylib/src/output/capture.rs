//! The capture file: created when the first bytes are there, appended to, given up at the first trouble; written anew when most
//! of what it says was superseded.

use pytrace_format::record::Record;
use pytrace_format::{Encoder, file_header};

use super::own_file::{OwnFile, Trouble};
use super::records::Sink;
use super::rewriting::{self, Limit, Rewriting};
use super::{path, process};
use crate::sys::{file, syscall};

/// A program that may have fewer descriptors than this keeps them all: one more may be what it cannot do without.
const FEWEST_DESCRIPTORS: u64 = 32;

enum State {
    NotOpened,
    /// Records are gathered for a file that will be created with them.
    Awaited {
        path: String,
    },
    Open {
        file: OwnFile,
        path: String,
        /// The path as it is from everywhere, if that is known.
        absolute: Option<String>,
        limit: Limit,
    },
    /// Ended by trouble that was told.
    GivenUp,
}

/// The file.
pub(crate) struct Capture {
    state: State,
    encoder: Encoder,
}

impl Capture {
    pub(crate) fn new() -> Self {
        Capture {
            state: State::NotOpened,
            encoder: Encoder::new(),
        }
    }

    /// Path of the file, if it was written and not given up.
    pub(crate) fn path(&self) -> Option<&str> {
        match &self.state {
            State::Open { path, .. } => Some(path),
            _ => None,
        }
    }

    /// Makes ready for records: the first time by asking whether there may be a file, later by seeing that the descriptor is
    /// still ours. False: no capture is kept.
    pub(crate) fn open(&mut self, pattern: &str) -> bool {
        match &self.state {
            State::NotOpened => self.state = awaited(pattern),
            State::Open { file, path, .. } if !file.is_open() => {
                tell(path, Trouble::Closed);
                self.state = State::GivenUp;
            }
            _ => {}
        }
        !matches!(self.state, State::GivenUp)
    }

    /// Adds a record. What was added goes to the file by [`Capture::write`], or before when it is much.
    pub(crate) fn push(&mut self, record: &Record) {
        if rewriting::gather(&mut self.encoder, record) {
            self.write();
        }
    }

    /// Writes what was added to the file. The first time the file is created for it and the header written with it: who is
    /// killed before leaves no file.
    pub(crate) fn write(&mut self) {
        append(&mut self.state, self.encoder.finish());
        self.encoder.clear();
    }

    /// Writes whole frames to the file, in the same way.
    pub(crate) fn write_frames(&mut self, frames: &[u8]) {
        append(&mut self.state, frames);
    }

    /// Whether so much was appended that the file should be written anew.
    pub(crate) fn is_outgrown(&self) -> bool {
        matches!(&self.state, State::Open { file, limit, .. } if limit.is_reached_by(file))
    }

    /// Writes the file anew, with the records that are given, which say everything that those in it say. Where that fails,
    /// or somebody waits for it, the file stays and is appended to as before. To be called when all that was added has been written.
    pub(crate) fn rewrite(
        &mut self,
        is_waited_for: &dyn Fn() -> bool,
        give: impl FnOnce(Sink<'_>),
    ) {
        let State::Open {
            file,
            absolute,
            limit,
            ..
        } = &mut self.state
        else {
            return;
        };
        let begun = absolute
            .as_deref()
            .and_then(|path| Rewriting::begin(file, path, is_waited_for));
        if let Some(mut rewriting) = begun {
            give(&mut |record| rewriting.push(&record));
            if let Some((fresh, encoder)) = rewriting.end(file) {
                core::mem::replace(file, fresh).close();
                self.encoder = encoder;
            }
        }
        *limit = Limit::after(file.bytes());
    }
}

fn append(state: &mut State, frames: &[u8]) {
    match state {
        State::Awaited { path } => *state = begun(path, &[&file_header(), frames].concat()),
        State::Open { file, path, .. } => {
            if let Err(trouble) = file.write(frames) {
                *state = given_up(file, path, trouble);
            }
        }
        State::NotOpened | State::GivenUp => {}
    }
}

/// Ends a capture, and says why.
fn given_up(file: &OwnFile, path: &str, trouble: Trouble) -> State {
    tell(path, trouble);
    file.close();
    State::GivenUp
}

/// A file of this pattern, to be created; or none, where the program needs its descriptors itself.
fn awaited(pattern: &str) -> State {
    let path = path::expand(
        pattern,
        syscall::process_id(),
        &process::program(),
        &path::host(),
    );
    match syscall::descriptor_limit().filter(|limit| *limit < FEWEST_DESCRIPTORS) {
        Some(limit) => {
            file::say(&format!(
                "{path}: the program may have only {limit} open files; no capture is kept"
            ));
            State::GivenUp
        }
        None => State::Awaited { path },
    }
}

/// Creates the file with its first bytes: it gets its name when they are in it, where the file system can do that. Trouble is told.
fn begun(path: &str, bytes: &[u8]) -> State {
    let named_later = || -> Result<_, i32> {
        let mut file = OwnFile::create_unnamed(path)?;
        let written = file.write(bytes);
        match file.give_name(path) {
            Ok(path) => Ok((file, path, written)),
            Err(errno) => {
                file.close();
                Err(errno)
            }
        }
    };
    let named_first = |_| -> Result<_, i32> {
        let (mut file, path) = OwnFile::create(path)?;
        let written = file.write(bytes);
        Ok((file, path, written))
    };
    match named_later().or_else(named_first) {
        Ok((file, path, Ok(()))) => State::Open {
            file,
            absolute: path::absolute(&path),
            path,
            limit: Limit::after(0),
        },
        Ok((file, path, Err(trouble))) => given_up(&file, &path, trouble),
        Err(errno) => {
            let reason = file::reason(errno);
            file::say(&format!("{path}: cannot create the capture: {reason}"));
            State::GivenUp
        }
    }
}

/// Says why a capture ends.
fn tell(path: &str, trouble: Trouble) {
    match trouble {
        Trouble::Closed => file::say(&format!(
            "{path}: the program closed the capture's descriptor; it ends here"
        )),
        Trouble::Refused(errno) => file::say(&format!(
            "{path}: cannot write: {}; the capture ends here",
            file::reason(errno)
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use pytrace_format::Decoder;
    use pytrace_format::record::{End, Ended};

    use super::*;

    #[test]
    fn there_is_no_file_before_there_are_bytes_for_it() {
        let pattern = std::env::temp_dir().join("pytrace-capture-%p");
        let mut capture = Capture::new();
        assert!(capture.open(&pattern.to_string_lossy()));
        let end = Record::End(End {
            ended: Ended::Running,
            at_ns: 1,
        });
        capture.push(&end);
        let file = std::env::temp_dir().join(format!("pytrace-capture-{}", std::process::id()));
        assert_eq!((file.exists(), capture.path()), (false, None));
        capture.write();
        assert_eq!(capture.path().map(Path::new), Some(file.as_path()));
        capture.push(&end);
        capture.write();
        let bytes = std::fs::read(&file).expect("written");
        std::fs::remove_file(&file).expect("removable");
        let records: Result<Vec<Record>, _> = Decoder::new(&bytes[..]).collect();
        assert_eq!(records.expect("whole"), [end.clone(), end]);
    }
}
