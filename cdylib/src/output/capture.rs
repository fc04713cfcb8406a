//! The capture file: opened at the first flush, appended to, given up at the first trouble.

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
    Open {
        fd: i32,
        /// Device and inode: a descriptor that shows others was closed and reused by the program.
        identity: (u64, u64),
        path: String,
        /// Bytes were written.
        begun: bool,
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

    /// Makes the file ready for records: creates it the first time, and sees that the descriptor is still ours. False: no
    /// capture is kept.
    pub(crate) fn open(&mut self, pattern: &str) -> bool {
        if matches!(self.state, State::NotOpened) {
            self.create(pattern);
        }
        let State::Open {
            fd, identity, path, ..
        } = &self.state
        else {
            return false;
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

    /// Writes what was added to the file. The first time the header is written with it: who is killed before leaves no file, or
    /// one without a byte.
    pub(crate) fn write(&mut self) {
        let bytes = self.encoder.finish();
        if let State::Open {
            fd, path, begun, ..
        } = &mut self.state
        {
            let written = if *begun {
                file::write_all(*fd, bytes)
            } else {
                file::write_all(*fd, &[&file_header(), bytes].concat())
            };
            if let Err(errno) = written {
                file::say(&format!(
                    "{path}: cannot write: {}; the capture ends here",
                    file::reason(errno)
                ));
                syscall::close(*fd);
                self.state = State::GivenUp;
            } else {
                *begun = true;
            }
        }
        self.encoder.clear();
    }

    fn create(&mut self, pattern: &str) {
        let path = path::expand(
            pattern,
            syscall::process_id(),
            &process::program(),
            &path::host(),
        );
        if let Some(limit) = syscall::descriptor_limit().filter(|limit| *limit < FEWEST_DESCRIPTORS)
        {
            file::say(&format!(
                "{path}: the program may have only {limit} open files; no capture is kept"
            ));
            self.state = State::GivenUp;
            return;
        }
        self.state = match path::create(&path) {
            Ok((fd, path)) => {
                let fd = move_up(fd);
                match syscall::file_identity(fd) {
                    Some(identity) => State::Open {
                        fd,
                        identity,
                        path,
                        begun: false,
                    },
                    None => {
                        file::say(&format!("{path}: cannot be looked at; no capture is kept"));
                        syscall::close(fd);
                        State::GivenUp
                    }
                }
            }
            Err(errno) => {
                file::say(&format!(
                    "{path}: cannot create the capture: {}",
                    file::reason(errno)
                ));
                State::GivenUp
            }
        };
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
