//! The capture's file name as `PYTRACE_OUTPUT` writes it, and whether files of that name appeared.
//!
//! `%p` is the process id, `%n` the program's name, `%h` the host, `%%` a percent sign. The library adds `.1`, `.2` … to a
//! name that exists, so every capture is a new file: a name that was not there before the run is one of its captures.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Where captures go when nothing is asked for.
pub const DEFAULT_PATTERN: &str = "pytrace-%n-%p.pytrace";

/// An absolute file name pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    pattern: OsString,
}

/// One part of a pattern.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    Literal(Vec<u8>),
    Anything,
}

impl Output {
    /// Takes a pattern as typed. A relative one starts at `folder`, now: the program (and its children) may change
    /// theirs before the first record is written.
    pub fn new(typed: &OsStr, folder: &Path) -> Output {
        let mut pattern = Vec::new();
        if !typed.as_bytes().starts_with(b"/") {
            for &byte in folder.as_os_str().as_bytes() {
                pattern.push(byte);
                if byte == b'%' {
                    pattern.push(byte);
                }
            }
            pattern.push(b'/');
        }
        pattern.extend_from_slice(typed.as_bytes());
        Output {
            pattern: OsString::from_vec(pattern),
        }
    }

    /// Fails on a `%` sequence that means nothing. The library keeps it as it is, which nobody who types it can want.
    pub fn check_placeholders(&self) -> Result<()> {
        match unknown_placeholder(self.pattern.as_bytes()) {
            Some(found) => Err(Error::output_pattern(&self.pattern, found)),
            None => Ok(()),
        }
    }

    /// The value of `PYTRACE_OUTPUT`.
    pub fn value(&self) -> &OsStr {
        &self.pattern
    }

    /// The one file that the pattern names, if it holds no placeholder.
    pub fn only_file(&self) -> Option<PathBuf> {
        match parts(self.pattern.as_bytes()).as_slice() {
            [Part::Literal(path)] => Some(PathBuf::from(OsStr::from_bytes(path))),
            _ => None,
        }
    }

    /// The folder of the captures, unless its name holds a placeholder.
    pub fn folder(&self) -> Option<PathBuf> {
        let split = self.split_folder()?;
        Some(PathBuf::from(OsStr::from_bytes(&split.0)))
    }

    /// Fails when no file can be made in the folder, or when the name is that of a folder or a device.
    pub fn check_writable(&self) -> Result<()> {
        let Some(folder) = self.folder() else {
            return Ok(());
        };
        if let Some(path) = self.only_file() {
            refuse_what_is_no_file(&path)?;
        }
        let access = rustix::fs::access(&folder, rustix::fs::Access::WRITE_OK);
        match access {
            Err(errno) => Err(Error::output_folder(&folder, errno.into())),
            Ok(()) if !folder.is_dir() => {
                let source = io::Error::from(io::ErrorKind::NotADirectory);
                Err(Error::output_folder(&folder, source))
            }
            Ok(()) => Ok(()),
        }
    }

    /// Removes the one file that the pattern names, if it is there.
    pub fn remove_existing(&self) -> Result<()> {
        let Some(path) = self.only_file() else {
            return Ok(());
        };
        refuse_what_is_no_file(&path)?;
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(Error::not_replaced(&path, source))
            }
            _ => Ok(()),
        }
    }

    /// The files that the pattern can name, as of now; empty when the folder is not known.
    pub fn matching_files(&self) -> HashSet<OsString> {
        let Some((folder, name)) = self.split_folder() else {
            return HashSet::new();
        };
        let Ok(entries) = fs::read_dir(OsStr::from_bytes(&folder)) else {
            return HashSet::new();
        };
        entries
            .filter_map(|entry| Some(entry.ok()?.file_name()))
            .filter(|file| matches(&name, file.as_bytes()))
            .collect()
    }

    /// The folder as bytes and the parts of the file name.
    fn split_folder(&self) -> Option<(Vec<u8>, Vec<Part>)> {
        let bytes = self.pattern.as_bytes();
        let slash = bytes.iter().rposition(|&byte| byte == b'/')?;
        let folder = parts(&bytes[..slash.max(1)]);
        let name = parts(&bytes[slash + 1..]);
        match <[Part; 1]>::try_from(folder) {
            Ok([Part::Literal(folder)]) => Some((folder, name)),
            _ => None,
        }
    }
}

/// A device must never be removed, and a number added to its name is not what was meant.
fn refuse_what_is_no_file(path: &Path) -> Result<()> {
    match fs::metadata(path) {
        Ok(found) if !found.is_file() => Err(Error::output_is_no_file(path)),
        _ => Ok(()),
    }
}

/// Splits a pattern. A sequence that means nothing stands for itself.
fn parts(pattern: &[u8]) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut literal = Vec::new();
    let mut rest = pattern;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match (byte, after.first()) {
            (b'%', Some(b'%')) => {
                literal.push(b'%');
                rest = &after[1..];
            }
            (b'%', Some(b'p' | b'n' | b'h')) => {
                if !literal.is_empty() {
                    parts.push(Part::Literal(std::mem::take(&mut literal)));
                }
                parts.push(Part::Anything);
                rest = &after[1..];
            }
            _ => literal.push(byte),
        }
    }
    if !literal.is_empty() {
        parts.push(Part::Literal(literal));
    }
    parts
}

fn unknown_placeholder(pattern: &[u8]) -> Option<String> {
    let mut bytes = pattern.iter();
    while let Some(byte) = bytes.next() {
        if *byte == b'%' {
            match bytes.next() {
                Some(b'%' | b'p' | b'n' | b'h') => {}
                Some(&other) => return Some(format!("%{}", char::from(other))),
                None => return Some("%".to_string()),
            }
        }
    }
    None
}

/// Whether a file name is the pattern's, alone or with the number that the library adds.
fn matches(parts: &[Part], name: &[u8]) -> bool {
    match parts {
        [] => is_added_number(name),
        [Part::Literal(literal), rest @ ..] => name
            .strip_prefix(literal.as_slice())
            .is_some_and(|name| matches(rest, name)),
        [Part::Anything, rest @ ..] => (0..=name.len()).any(|skip| matches(rest, &name[skip..])),
    }
}

fn is_added_number(suffix: &[u8]) -> bool {
    match suffix {
        [] => true,
        [b'.', digits @ ..] => !digits.is_empty() && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(typed: &str) -> Output {
        Output::new(OsStr::new(typed), Path::new("/work 100%"))
    }

    #[test]
    fn a_relative_pattern_starts_at_the_folder_with_its_percent_signs_kept() {
        assert_eq!(output("a-%p").value(), "/work 100%%/a-%p");
        assert_eq!(output("/x/%p").value(), "/x/%p");
        assert_eq!(output("a").only_file().unwrap(), Path::new("/work 100%/a"));
        assert_eq!(output("a-%n").only_file(), None);
        assert_eq!(output("/a").folder().unwrap(), Path::new("/"));
        assert_eq!(output("/x/%h/a").folder(), None);
    }

    #[test]
    fn unknown_placeholders_are_named_and_stand_for_themselves() {
        for (typed, found) in [("a%q", "'%q'"), ("a%", "'%'")] {
            let output = Output::new(OsStr::new(typed), Path::new("/"));
            let error = output.check_placeholders().unwrap_err();
            assert!(error.to_string().contains(found), "{error}");
            assert_eq!(output.only_file().unwrap(), Path::new("/").join(typed));
        }
        output("%p-%n-%h-%%").check_placeholders().unwrap();
    }

    #[test]
    fn new_files_are_recognised() {
        let folder = tempfile::tempdir().unwrap();
        let output = Output::new(OsStr::new("x-%n-%p.pytrace"), folder.path());
        for name in [
            "x-app-12.pytrace",
            "x-app-12.pytrace.3",
            "x-app-12.pytrace.gz",
            "y.pytrace",
        ] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let mut found: Vec<_> = output.matching_files().into_iter().collect();
        found.sort();
        assert_eq!(found, ["x-app-12.pytrace", "x-app-12.pytrace.3"]);
    }

    #[test]
    fn only_a_literal_name_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let old = folder.path().join("old");
        fs::write(&old, "").unwrap();
        Output::new(OsStr::new("ol%p"), folder.path())
            .remove_existing()
            .unwrap();
        assert!(old.exists());
        let output = Output::new(OsStr::new("old"), folder.path());
        output.remove_existing().unwrap();
        assert!(!old.exists());
        output.remove_existing().unwrap();
        output.check_writable().unwrap();
    }

    #[test]
    fn devices_and_folders_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/dev/null", folder.path().join("device")).unwrap();
        fs::create_dir(folder.path().join("folder")).unwrap();
        for name in ["device", "folder"] {
            let output = Output::new(OsStr::new(name), folder.path());
            assert!(output.check_writable().is_err());
            assert!(output.remove_existing().is_err());
            assert!(folder.path().join(name).symlink_metadata().is_ok());
        }
    }
}
