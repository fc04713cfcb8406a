//! Other allocators to preload beside ours: Debian's packages, where they are installed or where `scripts/test` unpacks them.

use super::installation::target;
use super::skipped;
use std::path::{Path, PathBuf};

/// A library of this name; says so where there is none.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let unpacked = target().join("allocators/usr/lib/x86_64-linux-gnu");
    let folders = [Path::new("/usr/lib/x86_64-linux-gnu"), &unpacked];
    let found = (folders.iter())
        .map(|folder| folder.join(name))
        .find(|path| path.exists());
    if found.is_none() {
        skipped(name, "it is neither installed nor unpacked by scripts/test");
    }
    found
}
