//! A new file takes the name of an old one, and of nothing else: the program may put a file of its own there at any moment, give the
//! old one another name, another owner, other rights.
//!
//! Invariant: no file is destroyed but the old one, by its one name, while the new one is like it.

use super::own_file::OwnFile;
use super::path;

/// Whether `fresh` may have the name `path` in the stead of `old`: it is that file's, which has no other name, and what the system
/// says of owner, group and rights is the same of both.
pub(crate) fn may_replace(old: &OwnFile, fresh: &OwnFile, path: &str) -> bool {
    let (named, fresh) = (path::status(path), fresh.status());
    named.zip(fresh).is_some_and(|(named, fresh)| {
        old.is(&named) && named.links == 1 && named.access() == fresh.access()
    })
}

/// Gives `fresh`, whose name is `name`, the name `path` of `old`, which is gone then. False: `path` is what it was, and `name` gone.
pub(crate) fn replace(old: &OwnFile, fresh: &OwnFile, name: &str, path: &str) -> bool {
    replace_by(path::exchange, old, fresh, name, path)
}

fn replace_by(
    exchange: impl Fn(&str, &str) -> Result<(), i32>,
    old: &OwnFile,
    fresh: &OwnFile,
    name: &str,
    path: &str,
) -> bool {
    // Asked before as well: what the program put there long ago does not go away even for a moment.
    if may_replace(old, fresh, path) {
        match exchange(name, path) {
            Ok(()) if may_replace(old, fresh, name) => {
                path::remove(name);
                return true;
            }
            // The program was there in between: what it made goes back. Where that fails it has taken the new file away.
            Ok(()) => {
                let _ = exchange(name, path);
            }
            Err(libc::EINVAL | libc::ENOSYS) if path::rename(name, path).is_ok() => return true,
            Err(_) => {}
        }
    }
    withdraw(fresh, name);
    false
}

/// Takes the name away from `fresh`, if it is still its.
pub(crate) fn withdraw(fresh: &OwnFile, name: &str) {
    if path::status(name).is_some_and(|named| fresh.is(&named)) {
        path::remove(name);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::{Path, PathBuf};

    use super::*;

    /// Files `old` and `fresh` in a folder of the test's own, by their names.
    struct Two {
        folder: PathBuf,
        old: OwnFile,
        fresh: OwnFile,
        path: String,
        name: String,
    }

    fn two(test: &str) -> Two {
        let name = format!("pytrace-replacing-{test}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder).expect("a fresh folder");
        let create = |name: &str| {
            let path = folder.join(name).to_string_lossy().into_owned();
            let (mut file, path) = OwnFile::create(&path).expect("creatable");
            file.write(path.rsplit('/').next().expect("a name").as_bytes())
                .expect("room");
            (file, path)
        };
        let (old, path) = create("old");
        let (fresh, name) = create("fresh");
        Two {
            folder,
            old,
            fresh,
            path,
            name,
        }
    }

    /// Names and contents of the files there are, when the program does something right before the files are exchanged.
    fn left_when(test: &str, does: impl Fn(&Path), is_replaced: bool) -> Vec<(String, String)> {
        let two = two(test);
        let exchange = |one: &str, other: &str| {
            if fs::read_to_string(other).is_ok_and(|text| text == "old") {
                does(&two.folder);
            }
            path::exchange(one, other)
        };
        let answer = replace_by(exchange, &two.old, &two.fresh, &two.name, &two.path);
        assert_eq!(answer, is_replaced, "{test}");
        two.old.close();
        two.fresh.close();
        left(&two.folder)
    }

    fn left(folder: &Path) -> Vec<(String, String)> {
        let mut left: Vec<(String, String)> = fs::read_dir(folder)
            .expect("a folder")
            .map(|entry| {
                let path = entry.expect("an entry").path();
                let name = path.file_name().expect("a name").to_string_lossy();
                (name.into_owned(), fs::read_to_string(&path).expect("text"))
            })
            .collect();
        left.sort();
        fs::remove_dir_all(folder).expect("removable");
        left
    }

    fn files(all: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
        all.iter().map(owned).collect()
    }

    #[test]
    fn the_name_is_taken_over_and_what_the_program_does_meanwhile_stays() {
        assert_eq!(left_when("taken", |_| {}, true), files(&[("old", "fresh")]));
        let moves = |folder: &Path| {
            fs::rename(folder.join("old"), folder.join("moved")).expect("movable");
            fs::write(folder.join("old"), "another's").expect("writable");
        };
        assert_eq!(
            left_when("moved", moves, false),
            files(&[("moved", "old"), ("old", "another's")])
        );
        let links = |folder: &Path| {
            fs::hard_link(folder.join("old"), folder.join("linked")).expect("linkable");
        };
        assert_eq!(
            left_when("linked", links, false),
            files(&[("linked", "old"), ("old", "old")])
        );
        let shows = |folder: &Path| {
            let all = fs::Permissions::from_mode(0o644);
            fs::set_permissions(folder.join("old"), all).expect("ours");
        };
        assert_eq!(left_when("shown", shows, false), files(&[("old", "old")]));
        let removes = |folder: &Path| {
            fs::remove_file(folder.join("old")).expect("removable");
        };
        assert_eq!(left_when("removed", removes, false), files(&[]));
    }

    #[test]
    fn file_systems_without_exchange_rename() {
        for errno in [libc::EINVAL, libc::ENOSYS, libc::EACCES] {
            let two = two(&format!("without-{errno}"));
            let refuses = |_: &str, _: &str| Err(errno);
            let answer = replace_by(refuses, &two.old, &two.fresh, &two.name, &two.path);
            let left = left(&two.folder);
            if errno == libc::EACCES {
                assert_eq!((answer, left), (false, files(&[("old", "old")])));
            } else {
                assert_eq!((answer, left), (true, files(&[("old", "fresh")])));
            }
        }
    }
}
