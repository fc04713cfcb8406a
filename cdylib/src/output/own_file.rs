//! A file that is written beside the program.
//!
//! Invariant: nothing is written to a descriptor that is not ours any more: the program may have closed it, and have a file of
//! its own at that number.

use super::path;
use crate::sys::descriptor::Descriptor;
use crate::sys::syscall::FileStatus;
use crate::sys::{file, syscall};

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
    descriptor: Descriptor,
    bytes: u64,
}

impl OwnFile {
    fn new(opened: isize) -> Result<OwnFile, i32> {
        Descriptor::new(opened).map(|descriptor| OwnFile {
            descriptor,
            bytes: 0,
        })
    }

    /// Creates a file at `path`, or the first of `path.1`, `path.2`… that does not exist; its path. `Err(errno)`.
    pub(crate) fn create(path: &str) -> Result<(OwnFile, String), i32> {
        let (fd, path) = path::create(path)?;
        Ok((OwnFile::new(fd as isize)?, path))
    }

    /// Creates a file that has no name yet and can be given one in the folder of `path`. `Err(errno)`: many file systems have no
    /// such files.
    pub(crate) fn create_unnamed(path: &str) -> Result<OwnFile, i32> {
        let file = OwnFile::new(path::create_unnamed(path))?;
        if file.descriptor.number().is_some_and(path::can_be_named) {
            return Ok(file);
        }
        file.close();
        Err(libc::ENOENT)
    }

    /// Gives it the name `path`, or that of the first of `path.1`, `path.2`… that does not exist. `Err(errno)`.
    pub(crate) fn give_name(&self, path: &str) -> Result<String, i32> {
        path::give_name(self.descriptor.number().ok_or(libc::EBADF)?, path)
    }

    /// Whether the descriptor is this file's.
    pub(crate) fn is_open(&self) -> bool {
        self.descriptor.number().is_some()
    }

    /// What the system says of it; `None` when the descriptor is not its any more.
    pub(crate) fn status(&self) -> Option<FileStatus> {
        self.descriptor.number().and_then(syscall::file_status)
    }

    /// Whether this is what is told of.
    pub(crate) fn is(&self, status: &FileStatus) -> bool {
        status.identity == self.descriptor.identity()
    }

    /// Appends.
    ///
    /// # Errors
    /// What keeps it from being written whole.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        let number = self.descriptor.number().ok_or(Trouble::Closed)?;
        file::write_all(number, bytes).map_err(Trouble::Refused)?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Bytes that were written.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Closes the descriptor, if it is this file's.
    pub(crate) fn close(&self) {
        self.descriptor.close();
    }
}
