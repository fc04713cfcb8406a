//! The capture's path: its pattern filled in, and a number added while the file exists.

use std::ffi::{CStr, CString};

use crate::sys::syscall::{self, FileStatus};

/// Numbers tried before giving up.
const MOST_NUMBERS: u32 = 10_000;

/// Fills `%p`, `%n`, `%h`, `%%` in; any other letter after a `%` stays as it is.
pub(crate) fn expand(pattern: &str, pid: u32, name: &str, host: &str) -> String {
    let mut path = String::new();
    let mut rest = pattern.chars();
    while let Some(character) = rest.next() {
        if character != '%' {
            path.push(character);
            continue;
        }
        match rest.next() {
            Some('p') => path.push_str(&pid.to_string()),
            // A name is one component of the path, whatever it holds.
            Some('n') => path.push_str(&name.replace('/', "_")),
            Some('h') => path.push_str(&host.replace('/', "_")),
            Some('%') => path.push('%'),
            Some(other) => path.extend(['%', other]),
            None => path.push('%'),
        }
    }
    path
}

/// The host's name; `localhost` when the system does not say.
pub(crate) fn host() -> String {
    crate::sys::file::read("/proc/sys/kernel/hostname", 256)
        .map(|bytes| String::from_utf8_lossy(&bytes).trim_end().to_owned())
        .filter(|host| !host.is_empty())
        .unwrap_or_else(|| "localhost".into())
}

/// Creates the file, or the first of `path.1`, `path.2`… that does not exist. Never opens one that does, never follows a
/// link, readable by the owner alone. `Err(errno)`.
pub(crate) fn create(path: &str) -> Result<(i32, String), i32> {
    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW | libc::O_CLOEXEC;
    first_free(path, |name| syscall::open(name, flags, 0o600)).map(|(fd, path)| (fd as i32, path))
}

/// Creates a file without a name in the folder of `path`, readable by the owner alone: its descriptor, or `-errno`, as where the
/// file system has no such files.
pub(crate) fn create_unnamed(path: &str) -> isize {
    let folder = match path.rsplit_once('/') {
        Some(("", _)) => "/",
        Some((folder, _)) => folder,
        None => ".",
    };
    let Ok(folder) = CString::new(folder) else {
        return -(libc::EINVAL as isize);
    };
    let flags = libc::O_WRONLY | libc::O_TMPFILE | libc::O_CLOEXEC;
    syscall::open(&folder, flags, 0o600)
}

/// Whether a file without a name can be given one: that goes by a link in /proc, which may be missing.
pub(crate) fn can_be_named(fd: i32) -> bool {
    status(&link_to(fd)).is_some()
}

/// Gives a file without a name that of `path`, or of the first of `path.1`, `path.2`… that does not exist. `Err(errno)`.
pub(crate) fn give_name(fd: i32, path: &str) -> Result<String, i32> {
    let file = CString::new(link_to(fd)).map_err(|_| libc::EINVAL)?;
    first_free(path, |name| syscall::link(&file, name)).map(|(_, path)| path)
}

fn link_to(fd: i32) -> String {
    format!("/proc/thread-self/fd/{fd}")
}

/// A path that stays right when the program goes to another folder; `None` where the system does not say where it is.
pub(crate) fn absolute(path: &str) -> Option<String> {
    if path.starts_with('/') {
        return Some(path.to_owned());
    }
    let mut folder = vec![0; libc::PATH_MAX as usize];
    let length = usize::try_from(syscall::current_folder(&mut folder)).ok()?;
    // The system counts the NUL, and has no slash first where the folder cannot be reached.
    folder.truncate(length.saturating_sub(1));
    let folder = String::from_utf8(folder).ok()?;
    folder.starts_with('/').then(|| format!("{folder}/{path}"))
}

/// What the system says of what has this name, a link itself and not what it leads to; `None` when there is nothing.
pub(crate) fn status(path: &str) -> Option<FileStatus> {
    syscall::named_status(&CString::new(path).ok()?)
}

/// Gives a file another name, in place of what had it. `Err(errno)`.
pub(crate) fn rename(from: &str, to: &str) -> Result<(), i32> {
    both(from, to, syscall::rename)
}

/// Exchanges the files of two names, at once. `Err(errno)`: not all file systems can.
pub(crate) fn exchange(one: &str, other: &str) -> Result<(), i32> {
    both(one, other, syscall::exchange)
}

fn both(one: &str, other: &str, call: impl Fn(&CStr, &CStr) -> isize) -> Result<(), i32> {
    let names = (CString::new(one), CString::new(other));
    let (Ok(one), Ok(other)) = names else {
        return Err(libc::EINVAL);
    };
    match call(&one, &other) {
        0 => Ok(()),
        error => Err(-error as i32),
    }
}

/// Takes a file's name away.
pub(crate) fn remove(path: &str) {
    if let Ok(path) = CString::new(path) {
        syscall::remove(&path);
    }
}

/// The answer of a system call to the first of `path`, `path.1`… that it does not refuse because it exists.
fn first_free(path: &str, call: impl Fn(&CStr) -> isize) -> Result<(isize, String), i32> {
    for number in 0..MOST_NUMBERS {
        let candidate = match number {
            0 => path.to_owned(),
            number => format!("{path}.{number}"),
        };
        let name = CString::new(candidate.as_str()).map_err(|_| libc::EINVAL)?;
        let answer = call(&name);
        if answer == -(libc::EEXIST as isize) {
            continue;
        }
        if syscall::is_error(answer) {
            return Err(-answer as i32);
        }
        return Ok((answer, candidate));
    }
    Err(libc::EEXIST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_filled_in() {
        assert_eq!(
            expand("pytrace-%n-%p.pytrace", 12, "a.py", "h"),
            "pytrace-a.py-12.pytrace"
        );
        assert_eq!(expand("/tmp/%h/100%%%x%", 1, "n", "h"), "/tmp/h/100%%x%");
        assert_eq!(expand("%n", 1, "../etc/passwd", "h"), ".._etc_passwd");
    }

    #[test]
    fn existing_files_are_never_opened() {
        let folder = std::env::temp_dir().join(format!("pytrace-path-{}", std::process::id()));
        std::fs::create_dir(&folder).expect("a fresh folder");
        let path = folder.join("x").to_string_lossy().into_owned();
        std::fs::write(&path, "precious").expect("writable");
        std::os::unix::fs::symlink("/dev/null", format!("{path}.1")).expect("a link");
        let (fd, created) = create(&path).expect("created");
        syscall::close(fd);
        assert_eq!(created, format!("{path}.2"));
        assert_eq!(
            std::fs::read_to_string(&path).expect("still there"),
            "precious"
        );
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &std::fs::metadata(&created).expect("there").permissions(),
        );
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(create("/nonexistent/x"), Err(libc::ENOENT));
        let fd = create_unnamed(&path);
        if !syscall::is_error(fd) {
            let fd = fd as i32;
            assert_eq!(give_name(fd, &path), Ok(format!("{path}.3")));
            syscall::close(fd);
            let named = std::fs::metadata(format!("{path}.3")).expect("there");
            let mode = std::os::unix::fs::PermissionsExt::mode(&named.permissions());
            assert_eq!(mode & 0o777, 0o600);
        }
        assert_eq!(create_unnamed("/nonexistent/x"), -(libc::ENOENT as isize));
        std::fs::remove_dir_all(&folder).expect("removable");
    }
}
