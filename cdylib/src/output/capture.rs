//! The capture file: created when the first bytes are there, appended to, given up at the first trouble.

use pytrace_format::record::Record;
use pytrace_format::{Encoder, file_header};

use super::{path, process};
use crate::sys::{file, syscall};

/// Descriptors below are left to the program: it may count on the lowest free numbers, or close them all.
const LOWEST_FD: i32 = 900;
/// A program that may have fewer descriptors than this keeps them all: one more may be what it cannot do without.
const FEWEST_DESCRIPTORS: u64 = 32;

/// Bytes of records that are gathered for one write.
const MOST_PENDING_BYTES: usize = 1 << 20;

enum State {
    NotOpened,
    /// Records are gathered for a file that will be created with them.
    Awaited {
        path: String,
    },
    Open {
        fd: i32,
        /// Device and inode: a descriptor that shows others was closed and reused by the program.
        identity: (u64, u64),
        path: String,
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
        if matches!(self.state, State::NotOpened) {
            self.state = awaited(pattern);
        }
        let (fd, identity, path) = match &self.state {
            State::Open { fd, identity, path } => (fd, identity, path),
            State::Awaited { .. } => return true,
            State::NotOpened | State::GivenUp => return false,
        };
        if syscall::file_identity(*fd) == Some(*identity) {
            return true;
        }
        file::say(&format!(
            "{path}: the program closed the capture's descriptor; it ends here"
        ));
        self.state = State::GivenUp;
        false
    }

    /// Adds a record. What was added goes to the file by [`Capture::write`], or before when it is much.
    pub(crate) fn push(&mut self, record: &Record) {
        if let Err(error) = self.encoder.push(record) {
            file::say(&format!("left out of the capture: {error}"));
        }
        // Rows of tables come while the interner's lock is held, which hooks wait for: they are written after it.
        let is_row = matches!(
            record,
            Record::String(_)
                | Record::Module(_)
                | Record::Frame(_)
                | Record::Stack(_)
                | Record::Site(_)
        );
        if !is_row && self.encoder.pending_bytes() >= MOST_PENDING_BYTES {
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
}

fn append(state: &mut State, frames: &[u8]) {
    *state = match core::mem::replace(state, State::GivenUp) {
        State::Awaited { path } => begun(&path, &[&file_header(), frames].concat()),
        State::Open { fd, identity, path } => {
            let written = file::write_all(fd, frames);
            open(fd, Some(identity), path, written)
        }
        other => other,
    };
}

/// The state after a write. Trouble with it is told and ends the capture.
fn open(fd: i32, identity: Option<(u64, u64)>, path: String, written: Result<(), i32>) -> State {
    match (written, identity) {
        (Ok(()), Some(identity)) => return State::Open { fd, identity, path },
        (Ok(()), None) => file::say(&format!(
            "{path}: cannot be looked at; the capture ends here"
        )),
        (Err(errno), _) => file::say(&format!(
            "{path}: cannot write: {}; the capture ends here",
            file::reason(errno)
        )),
    }
    syscall::close(fd);
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

/// Creates the file with its first bytes, out of the program's way: it gets its name when they are in it, where the file system
/// can do that. Trouble is told.
fn begun(path: &str, bytes: &[u8]) -> State {
    let write_to = |fd| {
        let fd = move_up(fd);
        (fd, file::write_all(fd, bytes))
    };
    let named_later = path::create_unnamed(path).and_then(|fd| {
        let (fd, written) = write_to(fd);
        match path::give_name(fd, path) {
            Ok(path) => Some((fd, path, written)),
            Err(_) => {
                syscall::close(fd);
                None
            }
        }
    });
    let named_first = || {
        path::create(path).map(|(fd, path)| {
            let (fd, written) = write_to(fd);
            (fd, path, written)
        })
    };
    match named_later.map_or_else(named_first, Ok) {
        Ok((fd, path, written)) => open(fd, syscall::file_identity(fd), path, written),
        Err(errno) => {
            file::say(&format!(
                "{path}: cannot create the capture: {}",
                file::reason(errno)
            ));
            State::GivenUp
        }
    }
}

/// The number from which on the capture's descriptor is looked for: the highest, where [`LOWEST_FD`] is not allowed.
fn lowest_fd() -> i32 {
    let highest = syscall::descriptor_limit().map_or(i32::MAX, |limit| {
        i32::try_from(limit).unwrap_or(i32::MAX).saturating_sub(1)
    });
    LOWEST_FD.min(highest)
}

/// Makes the table of descriptors large enough for the capture's, while the process has one thread. Later the kernel waits
/// for all processors when it makes it larger, ten milliseconds and more, during which nothing would be written.
pub(crate) fn reserve_descriptor() {
    let standard = [libc::STDERR_FILENO, libc::STDOUT_FILENO, libc::STDIN_FILENO];
    let lowest = lowest_fd();
    for fd in standard {
        let reserved = syscall::duplicate_above(fd, lowest);
        if !syscall::is_error(reserved) {
            syscall::close(reserved as i32);
            return;
        }
    }
}

/// Moves a descriptor out of the program's way, if the limit allows.
fn move_up(fd: i32) -> i32 {
    let moved = syscall::duplicate_above(fd, lowest_fd());
    if syscall::is_error(moved) {
        return fd;
    }
    syscall::close(fd);
    moved as i32
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
