//! Files by raw system calls: whole reads, whole writes, and the one line on stderr.
//!
//! Invariant: what is said goes to the file that was standard error when the library was loaded, or nowhere: the program may
//! close that descriptor, or start without it, and have a file or a connection of its own there later.

use std::ffi::CString;

use core::sync::atomic::{AtomicU64, Ordering};

use pytrace_model::text::is_printed;

use super::descriptor::Descriptor;
use super::signals::QuietWrites;
use super::syscall;

/// Device and inode of standard error as it was at the start; zeroes: there was none.
static STDERR_DEVICE: AtomicU64 = AtomicU64::new(0);
static STDERR_INODE: AtomicU64 = AtomicU64::new(0);

/// Largest part of a file that is read at once, bytes.
const LARGEST_PART: u64 = 64 << 20;

/// An open file of ours; closed when dropped.
pub(crate) struct File(Descriptor);

impl Drop for File {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl File {
    /// Opens a file for reading; `None` when that fails.
    pub(crate) fn open(path: &str) -> Option<File> {
        let path = CString::new(path).ok()?;
        let flags = libc::O_RDONLY | libc::O_CLOEXEC | libc::O_NONBLOCK;
        let descriptor = Descriptor::new(syscall::open(&path, flags, 0));
        descriptor.ok().map(File)
    }

    /// Whether it may be kept open: its number is none that the program counts on.
    pub(crate) fn is_out_of_the_way(&self) -> bool {
        self.0.is_out_of_the_way()
    }

    /// The file's beginning, at most `limit` bytes; what could be read if there is trouble.
    pub(crate) fn read_up_to(&self, limit: usize) -> Vec<u8> {
        const CHUNK: usize = 4096;
        let mut bytes = Vec::new();
        let Some(number) = self.0.number() else {
            return bytes;
        };
        while bytes.len() < limit {
            let filled = bytes.len();
            bytes.resize(filled + CHUNK.min(limit - filled), 0);
            let rest = bytes.get_mut(filled..).unwrap_or(&mut []);
            let count = syscall::read_at(number, rest, filled as u64);
            bytes.truncate(filled + usize::try_from(count).unwrap_or(0));
            if count == 0 || (count < 0 && count != -(libc::EINTR as isize)) {
                break;
            }
        }
        bytes
    }

    /// `size` bytes at an offset; `None` when the file does not have them all.
    pub(crate) fn read_at(&self, offset: u64, size: u64) -> Option<Vec<u8>> {
        if size > LARGEST_PART {
            return None;
        }
        let number = self.0.number()?;
        let mut bytes = vec![0; size as usize];
        let mut filled = 0;
        while filled < bytes.len() {
            let count = syscall::read_at(
                number,
                bytes.get_mut(filled..)?,
                offset.checked_add(filled as u64)?,
            );
            match count {
                count if count > 0 => filled += count as usize,
                count if count == -(libc::EINTR as isize) => {}
                _ => return None,
            }
        }
        Some(bytes)
    }
}

/// Reads a file whole, at most `limit` bytes of it; `None` when it cannot be opened.
pub(crate) fn read(path: &str, limit: usize) -> Option<Vec<u8>> {
    File::open(path).map(|file| file.read_up_to(limit))
}

/// Writes all bytes; `Err(errno)` when the system refuses. No signal is raised by it. A descriptor that would block is given up after a second.
pub(crate) fn write_all(fd: i32, mut bytes: &[u8]) -> Result<(), i32> {
    let quiet = QuietWrites::begin();
    let deadline = super::clock::monotonic_ns() + 1_000_000_000;
    while !bytes.is_empty() {
        match syscall::write(fd, bytes) {
            0 => return Err(libc::EIO),
            count if count > 0 => bytes = bytes.get(count as usize..).unwrap_or(&[]),
            error if error == -(libc::EINTR as isize) => {}
            error
                if error == -(libc::EAGAIN as isize) && super::clock::monotonic_ns() < deadline =>
            {
                syscall::yield_processor();
            }
            error => return Err(-error as i32),
        }
    }
    drop(quiet);
    Ok(())
}

/// What an error's number means, in words.
pub(crate) fn reason(errno: i32) -> String {
    let text = std::io::Error::from_raw_os_error(errno).to_string();
    text.split(" (os error")
        .next()
        .unwrap_or_default()
        .to_owned()
}

/// Notes which file standard error is. Called once, when the library is loaded.
pub(crate) fn note_stderr() {
    if let Some((device, inode)) = syscall::file_identity(libc::STDERR_FILENO) {
        STDERR_DEVICE.store(device, Ordering::Relaxed);
        STDERR_INODE.store(inode, Ordering::Relaxed);
    }
}

/// Writes to standard error, if it is still what it was at the start.
pub(crate) fn write_to_stderr(bytes: &[u8]) {
    let noted = (
        STDERR_DEVICE.load(Ordering::Relaxed),
        STDERR_INODE.load(Ordering::Relaxed),
    );
    if noted != (0, 0) && syscall::file_identity(libc::STDERR_FILENO) == Some(noted) {
        // Nobody is left to tell when it cannot be written.
        let _ = write_all(libc::STDERR_FILENO, bytes);
    }
}

/// A line as it is put together: on the stack, as there may be no memory; longer ones are written in parts.
struct Line {
    bytes: [u8; 256],
    length: usize,
}

impl Line {
    fn push(&mut self, character: char) {
        if self.length + character.len_utf8() > self.bytes.len() {
            self.write();
        }
        // Room for any: encoding has no panic then.
        let mut encoded = [0; 4];
        for &byte in character.encode_utf8(&mut encoded).as_bytes() {
            if let Some(place) = self.bytes.get_mut(self.length) {
                *place = byte;
                self.length += 1;
            }
        }
    }

    fn write(&mut self) {
        write_to_stderr(self.bytes.get(..self.length).unwrap_or(&[]));
        self.length = 0;
    }
}

/// Says one line on stderr, with the project's prefix; what names in it hold does not reach a terminal. Allocates nothing.
pub(crate) fn say(text: &str) {
    let mut line = Line {
        bytes: [0; 256],
        length: 0,
    };
    "pytrace: ".chars().for_each(|one| line.push(one));
    for character in text.chars() {
        if is_printed(character) {
            line.push(character);
        } else {
            character.escape_default().for_each(|one| line.push(one));
        }
    }
    line.push('\n');
    line.write();
}
