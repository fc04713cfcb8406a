//! Files by raw system calls: whole reads, whole writes, and the one line on stderr.

use std::ffi::CString;

use super::syscall;

/// Reads a file whole, at most `limit` bytes of it; `None` when it cannot be opened or read.
pub(crate) fn read(path: &str, limit: usize) -> Option<Vec<u8>> {
    let path = CString::new(path).ok()?;
    let fd = syscall::open(
        &path,
        libc::O_RDONLY | libc::O_CLOEXEC | libc::O_NONBLOCK,
        0,
    );
    if syscall::is_error(fd) {
        return None;
    }
    let fd = fd as i32;
    let mut bytes = Vec::new();
    let mut chunk = [0u8; 1024];
    let complete = loop {
        match syscall::read(fd, &mut chunk) {
            0 => break true,
            count if count > 0 => bytes.extend_from_slice(chunk.get(..count as usize)?),
            error if error == -(libc::EINTR as isize) => {}
            _ => break false,
        }
        if bytes.len() >= limit {
            break true;
        }
    };
    syscall::close(fd);
    complete.then_some(bytes)
}

/// Writes all bytes; `Err(errno)` when the system refuses. A descriptor that would block is given up after a second.
pub(crate) fn write_all(fd: i32, mut bytes: &[u8]) -> Result<(), i32> {
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
    Ok(())
}

/// Says one line on stderr, with the project's prefix, control characters escaped.
pub(crate) fn say(line: &str) {
    let mut text = String::from("pytrace: ");
    for character in line.chars() {
        if character.is_control() {
            text.extend(character.escape_default());
        } else {
            text.push(character);
        }
    }
    text.push('\n');
    // Nobody is left to tell when stderr is closed.
    let _ = write_all(libc::STDERR_FILENO, text.as_bytes());
}
