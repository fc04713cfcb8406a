//! Files and descriptors.

use super::{is_error, raw};

/// Writes bytes to a descriptor; the number written, or `-errno`.
pub(crate) fn write(fd: i32, bytes: &[u8]) -> isize {
    // SAFETY: the slice is readable for its length.
    unsafe {
        raw(
            libc::SYS_write,
            [fd as usize, bytes.as_ptr() as usize, bytes.len(), 0, 0, 0],
        )
    }
}

/// Reads bytes at an offset; the number read (0 at the end), or `-errno`.
pub(crate) fn read_at(fd: i32, bytes: &mut [u8], offset: u64) -> isize {
    // SAFETY: the slice is writable for its length.
    unsafe {
        raw(
            libc::SYS_pread64,
            [
                fd as usize,
                bytes.as_mut_ptr() as usize,
                bytes.len(),
                offset as usize,
                0,
                0,
            ],
        )
    }
}

/// Opens a file; its descriptor, or `-errno`.
pub(crate) fn open(path: &core::ffi::CStr, flags: i32, mode: u32) -> isize {
    // SAFETY: the path is a NUL-terminated string that outlives the call.
    unsafe {
        raw(
            libc::SYS_openat,
            [
                libc::AT_FDCWD as usize,
                path.as_ptr() as usize,
                flags as usize,
                mode as usize,
                0,
                0,
            ],
        )
    }
}

/// Gives the file that the link `file` leads to the name `path`, if there is none such yet; 0, or `-errno`.
pub(crate) fn link(file: &core::ffi::CStr, path: &core::ffi::CStr) -> isize {
    with_names(
        libc::SYS_linkat,
        file,
        path,
        libc::AT_SYMLINK_FOLLOW as usize,
    )
}

/// Gives the file `from` the name `to`, in place of what had it; 0, or `-errno`.
pub(crate) fn rename(from: &core::ffi::CStr, to: &core::ffi::CStr) -> isize {
    // Not `renameat2`: this is for systems that lack it, too. Its fourth argument is the last.
    with_names(libc::SYS_renameat, from, to, 0)
}

/// Exchanges the files of two names, at once; 0, or `-errno`, as where the file system cannot.
pub(crate) fn exchange(one: &core::ffi::CStr, other: &core::ffi::CStr) -> isize {
    with_names(
        libc::SYS_renameat2,
        one,
        other,
        libc::RENAME_EXCHANGE as usize,
    )
}

/// One of the calls that take two names and flags; paths start where the process is.
fn with_names(
    number: libc::c_long,
    one: &core::ffi::CStr,
    other: &core::ffi::CStr,
    flags: usize,
) -> isize {
    // SAFETY: the paths are NUL-terminated strings that outlive the call.
    unsafe {
        raw(
            number,
            [
                libc::AT_FDCWD as usize,
                one.as_ptr() as usize,
                libc::AT_FDCWD as usize,
                other.as_ptr() as usize,
                flags,
                0,
            ],
        )
    }
}

/// Takes a file's name away.
pub(crate) fn remove(path: &core::ffi::CStr) {
    // SAFETY: the path is a NUL-terminated string that outlives the call.
    unsafe { raw(libc::SYS_unlink, [path.as_ptr() as usize, 0, 0, 0, 0, 0]) };
}

/// The folder that relative paths start from, with a NUL after it; the number of bytes, or `-errno`.
pub(crate) fn current_folder(path: &mut [u8]) -> isize {
    // SAFETY: the slice is writable for its length.
    unsafe {
        raw(
            libc::SYS_getcwd,
            [path.as_mut_ptr() as usize, path.len(), 0, 0, 0, 0],
        )
    }
}

/// Closes a descriptor of ours.
pub(crate) fn close(fd: i32) {
    // SAFETY: closing touches no memory.
    unsafe { raw(libc::SYS_close, [fd as usize, 0, 0, 0, 0, 0]) };
}

/// Duplicates `fd` to the lowest free number from `lowest` on, close-on-exec; the number, or `-errno`.
pub(crate) fn duplicate_above(fd: i32, lowest: i32) -> isize {
    // SAFETY: fcntl with an integer argument touches no memory.
    unsafe {
        raw(
            libc::SYS_fcntl,
            [
                fd as usize,
                libc::F_DUPFD_CLOEXEC as usize,
                lowest as usize,
                0,
                0,
                0,
            ],
        )
    }
}

/// What the system says of an open file.
pub(crate) struct FileStatus {
    /// Device and inode.
    pub(crate) identity: (u64, u64),
    pub(crate) is_regular: bool,
    /// Names that it has.
    pub(crate) links: u64,
    pub(crate) owner: u32,
    group: u32,
    mode: u32,
}

impl FileStatus {
    /// Who may do what with it.
    pub(crate) fn access(&self) -> (u32, u32, u32) {
        (self.owner, self.group, self.mode)
    }
}

impl From<libc::stat> for FileStatus {
    fn from(stat: libc::stat) -> Self {
        FileStatus {
            identity: (stat.st_dev, stat.st_ino),
            is_regular: stat.st_mode & libc::S_IFMT == libc::S_IFREG,
            links: stat.st_nlink,
            owner: stat.st_uid,
            group: stat.st_gid,
            mode: stat.st_mode,
        }
    }
}

/// The status of an open file; `None` when the descriptor is not open.
pub(crate) fn file_status(fd: i32) -> Option<FileStatus> {
    // SAFETY: `stat` is plain data, for which all zeroes is a value.
    let mut stat: libc::stat = unsafe { core::mem::zeroed() };
    // SAFETY: the structure is writable and of the kernel's layout for this architecture.
    let result = unsafe {
        raw(
            libc::SYS_fstat,
            [fd as usize, &raw mut stat as usize, 0, 0, 0, 0],
        )
    };
    (!is_error(result)).then(|| stat.into())
}

/// The status of what has this name, a link itself and not what it leads to; `None` when there is nothing. Takes no descriptor.
pub(crate) fn named_status(path: &core::ffi::CStr) -> Option<FileStatus> {
    // SAFETY: `stat` is plain data, for which all zeroes is a value.
    let mut stat: libc::stat = unsafe { core::mem::zeroed() };
    // SAFETY: the path is a NUL-terminated string that outlives the call; the structure is writable and of the kernel's layout
    // for this architecture.
    let result = unsafe {
        raw(
            libc::SYS_newfstatat,
            [
                libc::AT_FDCWD as usize,
                path.as_ptr() as usize,
                &raw mut stat as usize,
                libc::AT_SYMLINK_NOFOLLOW as usize,
                0,
                0,
            ],
        )
    };
    (!is_error(result)).then(|| stat.into())
}

/// How many descriptors the process may have; `None` when the system does not say.
pub(crate) fn descriptor_limit() -> Option<u64> {
    let mut limit = libc::rlimit64 {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: nothing is set, and the structure is writable and the kernel's.
    let result = unsafe {
        raw(
            libc::SYS_prlimit64,
            [
                0,
                libc::RLIMIT_NOFILE as usize,
                0,
                &raw mut limit as usize,
                0,
                0,
            ],
        )
    };
    (!is_error(result)).then_some(limit.rlim_cur)
}

/// Device and inode of an open file; `None` when the descriptor is not open.
pub(crate) fn file_identity(fd: i32) -> Option<(u64, u64)> {
    file_status(fd).map(|status| status.identity)
}

/// Makes an open file empty; 0, or `-errno`.
pub(crate) fn empty_file(fd: i32) -> isize {
    // SAFETY: touches no memory.
    unsafe { raw(libc::SYS_ftruncate, [fd as usize, 0, 0, 0, 0, 0]) }
}

/// Columns of the terminal behind a descriptor; `None` when it is none.
pub(crate) fn terminal_columns(fd: i32) -> Option<usize> {
    // SAFETY: `winsize` is plain data, for which all zeroes is a value.
    let mut size: libc::winsize = unsafe { core::mem::zeroed() };
    // SAFETY: the structure is writable and is what TIOCGWINSZ fills.
    let result = unsafe {
        raw(
            libc::SYS_ioctl,
            [
                fd as usize,
                libc::TIOCGWINSZ as usize,
                &raw mut size as usize,
                0,
                0,
                0,
            ],
        )
    };
    (!is_error(result)).then_some(usize::from(size.ws_col))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_come_back_as_negative_numbers() {
        assert_eq!(write(-1, b"x"), -(libc::EBADF as isize));
        assert_eq!(
            open(c"/nonexistent/file", libc::O_RDONLY, 0),
            -(libc::ENOENT as isize)
        );
        assert!(file_identity(-1).is_none());
        assert!(terminal_columns(-1).is_none());
    }
}
