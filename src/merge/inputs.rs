//! The captures that a command line names: files, and folders of them.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// What is to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inputs {
    /// One file, named as such.
    One(PathBuf),
    /// Several, or what a folder holds.
    Several(Vec<PathBuf>),
}

impl Inputs {
    /// The files.
    pub fn files(&self) -> &[PathBuf] {
        match self {
            Inputs::One(file) => std::slice::from_ref(file),
            Inputs::Several(files) => files,
        }
    }
}

/// Finds the captures. A file by itself is one; of a folder these are the files `*.pytrace` and `*.pytrace.1`, `.2` … right in it, by name; a file
/// that is named twice counts once.
///
/// # Errors
/// A folder that cannot be read or holds no capture.
pub fn find(named: &[PathBuf]) -> Result<Inputs> {
    if let [only] = named
        && !only.is_dir()
    {
        return Ok(Inputs::One(only.clone()));
    }
    let mut files = Vec::new();
    for path in named {
        if path.is_dir() {
            files.extend(captures_in(path)?);
        } else {
            files.push(path.clone());
        }
    }
    let mut seen = HashSet::new();
    // A file that cannot be looked at gets its line when it is read.
    files.retain(|path| {
        fs::metadata(path).map_or(true, |file| seen.insert((file.dev(), file.ino())))
    });
    Ok(Inputs::Several(files))
}

fn captures_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let not_opened = |source| Error::not_opened(folder, source);
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(not_opened)? {
        let path = entry.map_err(not_opened)?.path();
        // Opening a pipe would wait for its other end.
        if path.file_name().is_some_and(is_captures_name) && path.is_file() {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(Error::no_captures_in(folder));
    }
    files.sort();
    Ok(files)
}

/// Whether a traced program gives such names: `a.pytrace`, and `a.pytrace.1` where that was there.
fn is_captures_name(name: &OsStr) -> bool {
    let name = name.as_bytes();
    let last_dot = name.iter().rposition(|&byte| byte == b'.');
    let number = last_dot.map_or(&[][..], |dot| &name[dot + 1..]);
    let is_number = !number.is_empty() && number.iter().all(u8::is_ascii_digit);
    let name = match last_dot {
        Some(dot) if is_number => &name[..dot],
        _ => name,
    };
    name.ends_with(b".pytrace")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captures_are_known_by_their_names() {
        for name in ["a.pytrace", "a.pytrace.1", "pytrace-a.py-7.pytrace.12"] {
            assert!(is_captures_name(OsStr::new(name)), "{name}");
        }
        for name in [
            "a.json",
            "pytrace",
            "a.pytrace.",
            "a.pytrace.x",
            "a.1",
            "a.pytrace~",
        ] {
            assert!(!is_captures_name(OsStr::new(name)), "{name}");
        }
    }

    #[test]
    fn folders_give_their_captures_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        assert!(find(&[folder.path().into()]).is_err(), "there is none yet");
        for name in ["b.pytrace", "a.pytrace", "a.pytrace.1", "notes.txt"] {
            fs::write(path(name), "").unwrap();
        }
        fs::create_dir(path("c.pytrace")).unwrap();
        let all = ["a.pytrace", "a.pytrace.1", "b.pytrace"].map(path).to_vec();
        assert_eq!(
            find(&[folder.path().into()]).unwrap(),
            Inputs::Several(all.clone())
        );
        let twice = [all[2].clone(), folder.path().into()];
        let in_order = [&all[2], &all[0], &all[1]].map(Clone::clone).to_vec();
        assert_eq!(find(&twice).unwrap(), Inputs::Several(in_order));
        assert_eq!(find(&all[..1]).unwrap(), Inputs::One(all[0].clone()));
    }
}
