//! Where the preload library is, and how LD_PRELOAD names it.
//!
//! Invariant: what [`Preload`] hands out is an absolute path without a space or a colon, since ld.so splits LD_PRELOAD
//! there and has no escape for either (the half of a split path could even name somebody else's library).

use std::ffi::{OsStr, OsString};
use std::fs::Permissions;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::error::{Error, Result};

/// File name of the preload library.
pub const FILE_NAME: &str = "libpytrace.so";

/// Finds the preload library: `$PYTRACE_LIBRARY`, else beside this program, else in `../lib/pytrace` from there.
///
/// A setting that names no file is an error: falling back would trace with a library that was not asked for.
pub fn find() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("PYTRACE_LIBRARY").filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        return match path.canonicalize() {
            Ok(real) if real.is_file() => Ok(real),
            _ => Err(Error::library_setting_wrong(path)),
        };
    }
    let program = std::env::current_exe().unwrap_or_default();
    let looked_at = places_beside(&program);
    for place in &looked_at {
        if let Ok(real) = place.canonicalize()
            && real.is_file()
        {
            return Ok(real);
        }
    }
    Err(Error::library_not_found(looked_at))
}

fn places_beside(program: &Path) -> Vec<PathBuf> {
    let Some(folder) = program.parent() else {
        return Vec::new();
    };
    let mut places = vec![folder.join(FILE_NAME)];
    if let Some(prefix) = folder.parent() {
        places.push(prefix.join("lib/pytrace").join(FILE_NAME));
    }
    places
}

/// A path of the library that LD_PRELOAD can carry.
///
/// Where the real path cannot be carried, this is a link in a private folder (mode 0700), which is removed with this
/// value: after the program that was started has ended. A daemon that outlives it keeps the library that it has mapped; the
/// programs that it starts from then on run untraced, with one warning of ld.so each.
#[derive(Debug)]
pub struct Preload {
    path: PathBuf,
    _link_folder: Option<TempDir>,
}

impl Preload {
    /// Prepares `library`, an absolute path.
    pub fn new(library: &Path) -> Result<Preload> {
        if can_be_carried(library) {
            return Ok(Preload {
                path: library.to_path_buf(),
                _link_folder: None,
            });
        }
        let made = link_to(library).map_err(|source| Error::link_not_made(library, source));
        let (path, folder) = made?;
        Ok(Preload {
            path,
            _link_folder: Some(folder),
        })
    }

    /// The value of LD_PRELOAD: this library first, then what was there.
    pub fn value(&self, existing: Option<&OsStr>) -> OsString {
        let mut value = self.path.clone().into_os_string();
        for entry in entries(existing.unwrap_or_default()) {
            if entry != self.path.as_os_str() {
                value.push(":");
                value.push(entry);
            }
        }
        value
    }

    /// The path that LD_PRELOAD carries.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn entries(value: &OsStr) -> impl Iterator<Item = &OsStr> {
    value
        .as_bytes()
        .split(|&byte| byte == b':' || byte == b' ')
        .filter(|entry| !entry.is_empty())
        .map(OsStr::from_bytes)
}

/// ld.so splits at spaces and colons, and expands `$ORIGIN`, `$LIB` and `$PLATFORM`.
fn can_be_carried(path: &Path) -> bool {
    let bytes = path.as_os_str().as_bytes();
    !bytes.iter().any(|byte| b" :$".contains(byte))
}

fn link_to(library: &Path) -> io::Result<(PathBuf, TempDir)> {
    let wanted = std::env::temp_dir();
    let parent = if can_be_carried(&wanted) && wanted.is_absolute() {
        wanted
    } else {
        PathBuf::from("/tmp")
    };
    let folder = tempfile::Builder::new()
        .prefix("pytrace-")
        .permissions(Permissions::from_mode(0o700))
        .tempdir_in(parent)?;
    let path = folder.path().join(FILE_NAME);
    symlink(library, &path)?;
    Ok((path, folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_beside_the_program_and_in_its_prefix() {
        assert_eq!(
            places_beside(Path::new("/usr/bin/pytrace")),
            [
                Path::new("/usr/bin/libpytrace.so"),
                Path::new("/usr/lib/pytrace/libpytrace.so")
            ]
        );
    }

    #[test]
    fn is_put_before_what_was_preloaded() {
        let preload = Preload::new(Path::new("/x/libpytrace.so")).unwrap();
        assert_eq!(preload.value(None), "/x/libpytrace.so");
        assert_eq!(
            preload.value(Some(OsStr::new("/a.so /b.so:"))),
            "/x/libpytrace.so:/a.so:/b.so"
        );
        assert_eq!(
            preload.value(Some(OsStr::new("/a.so:/x/libpytrace.so"))),
            "/x/libpytrace.so:/a.so"
        );
    }

    #[test]
    fn a_path_that_would_be_split_goes_through_a_private_link() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["with space", "with:colon", "$LIB"] {
            let library = folder.path().join(name);
            std::fs::write(&library, "library").unwrap();
            let preload = Preload::new(&library).unwrap();
            let link = preload.path().to_path_buf();
            assert!(can_be_carried(&link), "{link:?}");
            assert_eq!(std::fs::read(&link).unwrap(), b"library");
            let mode = link.parent().unwrap().metadata().unwrap().permissions();
            assert_eq!(mode.mode() & 0o777, 0o700);
            drop(preload);
            assert!(!link.exists());
        }
    }
}
