//! A file that is written beside the program: its descriptor is out of the program's way, and known again.
//!
//! Invariant: nothing is written to a descriptor that is not ours any more: the program may have closed it, and have a file of
//! its own at that number.

use super::path;
use crate::sys::{file, syscall};

/// Descriptors below are left to the program: it may count on the lowest free numbers, or close them all.
const LOWEST_FD: i32 = 900;

/// Why a file cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The program closed the descriptor.
    Closed,
    /// The system refuses, with this error number.
    Refused(i32),
}

/// An open file.
pub(crate) struct OwnFile {
    fd: i32,
    /// Device and inode.
    identity: (u64, u64),
    bytes: u64,
}

impl OwnFile {
    fn new(fd: isize) -> Result<OwnFile, i32> {
        if syscall::is_error(fd) {
            return Err(-fd as i32);
        }
        let fd = move_up(fd as i32);
        match syscall::file_identity(fd) {
            Some(identity) => Ok(OwnFile {
                fd,
                identity,
                bytes: 0,
            }),
            None => {
                syscall::close(fd);
                Err(libc::EBADF)
            }
        }
    }

    /// Creates a file at `path`, or the first of `path.1`, `path.2`… that does not exist; its path. `Err(errno)`.
    pub(crate) fn create(path: &str) -> Result<(OwnFile, String), i32> {
        let (fd, path) = path::create(path)?;
        Ok((OwnFile::new(fd as isize)?, path))
    }

    /// Creates a file that has no name yet, for one in the folder of `path`. `Err(errno)`: many file systems have no such files.
    pub(crate) fn create_unnamed(path: &str) -> Result<OwnFile, i32> {
        OwnFile::new(path::create_unnamed(path))
    }

    /// Gives it the name `path`, or that of the first of `path.1`, `path.2`… that does not exist. `Err(errno)`.
    pub(crate) fn give_name(&self, path: &str) -> Result<String, i32> {
        path::give_name(self.fd, path)
    }

    /// Whether the descriptor is this file's.
    pub(crate) fn is_open(&self) -> bool {
        syscall::file_identity(self.fd) == Some(self.identity)
    }

    /// Whether another file may have the name `path` in its stead: it is this file's, which has no other name and belongs to
    /// whom a new file would belong to.
    pub(crate) fn is_replaceable(&self, path: &str) -> bool {
        syscall::file_status(self.fd).is_some_and(|status| {
            status.identity == self.identity
                && status.links == 1
                && status.owner == syscall::effective_user()
        }) && path::identity(path) == Some(self.identity)
    }

    /// Appends.
    ///
    /// # Errors
    /// What keeps it from being written whole.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        if !self.is_open() {
            return Err(Trouble::Closed);
        }
        file::write_all(self.fd, bytes).map_err(Trouble::Refused)?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Bytes that were written.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Closes the descriptor, if it is this file's.
    pub(crate) fn close(&self) {
        if self.is_open() {
            syscall::close(self.fd);
        }
    }
}

/// The number from which on a descriptor of ours is looked for: the highest, where [`LOWEST_FD`] is not allowed.
fn lowest_fd() -> i32 {
    let highest = syscall::descriptor_limit().map_or(i32::MAX, |limit| {
        i32::try_from(limit).unwrap_or(i32::MAX).saturating_sub(1)
    });
    LOWEST_FD.min(highest)
}

/// Makes the table of descriptors large enough for ours, while the process has one thread. Later the kernel waits
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
