//! A capture is written anew when most of what it says was superseded: counters are appended whenever they have changed, so that
//! the file of a program that runs for weeks would grow without end, however few its call sites.
//!
//! Invariant: the capture's name leads to a complete capture at every moment. The new file is written whole beside the old one,
//! without a name where the file system can do that, and takes its name then ([`replacing`]). Whatever goes wrong, the old one is
//! as it was.

use pytrace_format::record::Record;
use pytrace_format::{Encoder, file_header};

use super::own_file::OwnFile;
use super::replacing;
use crate::sys::file;

/// Files smaller than this stay as they are.
const WORTH_REWRITING_BYTES: u64 = 4 << 20;

/// A file is written anew when it is this many times as large as it was when nothing in it was superseded. So all of it that is
/// ever written is at most half as much again as what is appended.
const MOST_GROWTH: u64 = 3;

/// Bytes of records that are gathered for one write.
pub(crate) const MOST_PENDING_BYTES: usize = 1 << 20;

/// The size at which a file is written anew.
pub(crate) struct Limit(u64);

impl Limit {
    /// Of a file of which so many bytes say nothing twice.
    pub(crate) fn after(bytes: u64) -> Limit {
        Limit(bytes.saturating_mul(MOST_GROWTH).max(WORTH_REWRITING_BYTES))
    }

    /// Whether a file has reached it.
    pub(crate) fn is_reached_by(&self, file: &OwnFile) -> bool {
        file.bytes() >= self.0
    }
}

/// Adds a record to those that are gathered; one that no frame can hold is told of. Whether it is time for a write.
pub(crate) fn gather(encoder: &mut Encoder, record: &Record) -> bool {
    if let Err(error) = encoder.push(record) {
        file::say(&format!("left out of the capture: {error}"));
    }
    encoder.pending_bytes() >= MOST_PENDING_BYTES
}

/// A new file on its way.
pub(crate) struct Rewriting<'a> {
    /// Whether somebody waits for the writer to be done.
    is_waited_for: &'a dyn Fn() -> bool,
    file: OwnFile,
    /// Where the old one is.
    path: String,
    /// The new one's own name, if it has one already.
    named: Option<String>,
    encoder: Encoder,
    is_whole: bool,
}

impl Rewriting<'_> {
    /// Begins a file that is to take the place of `old`, at `path`; `None` where that cannot be. It is given up as soon as somebody
    /// waits for it: a disk may take seconds for what is in it, and the old one is whole.
    pub(crate) fn begin<'a>(
        old: &OwnFile,
        path: &str,
        is_waited_for: &'a dyn Fn() -> bool,
    ) -> Option<Rewriting<'a>> {
        let beside = name_beside(path)?;
        let unnamed = OwnFile::create_unnamed(&beside).map(|file| (file, None));
        let (file, named) = unnamed
            .or_else(|_| OwnFile::create(&beside).map(|(file, name)| (file, Some(name))))
            .ok()?;
        let mut rewriting = Rewriting {
            is_waited_for,
            file,
            path: path.to_owned(),
            named,
            encoder: Encoder::new(),
            is_whole: true,
        };
        if !replacing::may_replace(old, &rewriting.file, path) {
            rewriting.give_up();
            return None;
        }
        rewriting.is_whole = rewriting.file.write(&file_header()).is_ok();
        Some(rewriting)
    }

    /// Adds a record.
    pub(crate) fn push(&mut self, record: &Record) {
        if self.is_whole && gather(&mut self.encoder, record) {
            self.write_gathered();
        }
    }

    fn write_gathered(&mut self) {
        self.is_whole &= !(self.is_waited_for)() && self.file.write(self.encoder.finish()).is_ok();
        self.encoder.clear();
    }

    /// Puts the new file in the place of `old`: it, and what knows how its records go on. `None`: the old one is as it was.
    pub(crate) fn end(mut self, old: &OwnFile) -> Option<(OwnFile, Encoder)> {
        self.write_gathered();
        if !self.is_whole || !self.file.is_open() {
            self.give_up();
            return None;
        }
        let named = match self.named {
            Some(name) => Some(name),
            None => name_beside(&self.path).and_then(|name| self.file.give_name(&name).ok()),
        };
        if named.is_some_and(|name| replacing::replace(old, &self.file, &name, &self.path)) {
            return Some((self.file, self.encoder));
        }
        self.file.close();
        None
    }

    fn give_up(&self) {
        if let Some(name) = &self.named {
            replacing::withdraw(&self.file, name);
        }
        self.file.close();
    }
}

/// Bytes of a capture's name that a new file's keeps: names may have 255, and it has more behind.
const MOST_KEPT_OF_NAME: usize = 240;

/// Bytes that are left for what a new file's name has behind.
const ADDED_TO_NAME: usize = 15;

/// The name that a new file has until it takes the place of the old one; `None` where the system would not take it.
fn name_beside(path: &str) -> Option<String> {
    let (folder, name) = path.rsplit_once('/')?;
    let kept: String = name
        .char_indices()
        .take_while(|(at, character)| at + character.len_utf8() <= MOST_KEPT_OF_NAME)
        .map(|(_, character)| character)
        .collect();
    let beside = format!("{folder}/{kept}.new");
    (beside.len() + ADDED_TO_NAME <= libc::PATH_MAX as usize).then_some(beside)
}

#[cfg(test)]
mod tests;
