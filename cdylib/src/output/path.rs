//! The capture's path: its pattern filled in, and a number added while the file exists.

use std::ffi::CString;

use crate::sys::syscall;

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
    for number in 0..MOST_NUMBERS {
        let candidate = match number {
            0 => path.to_owned(),
            number => format!("{path}.{number}"),
        };
        let name = CString::new(candidate.as_str()).map_err(|_| libc::EINVAL)?;
        let fd = syscall::open(&name, flags, 0o600);
        if fd == -(libc::EEXIST as isize) {
            continue;
        }
        if syscall::is_error(fd) {
            return Err(-fd as i32);
        }
        return Ok((fd as i32, candidate));
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
        std::fs::remove_dir_all(&folder).expect("removable");
    }
}
