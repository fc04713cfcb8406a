//! The tables behind the stacks: strings, frames, nodes of the stack tree, sites. Rows are only ever added, so a reader
//! that knows how many it has seen (the capture writer) takes the rest.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};

use pytrace_format::record::Domain;

/// A multiply-and-rotate hasher for small keys. std's default asks the system for random keys and keeps them in a
/// thread-local, which hooks must not touch; these keys come from the program's own code, not from an adversary.
#[derive(Default)]
pub(crate) struct FastHasher(u64);

impl FastHasher {
    fn mix(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
}

impl Hasher for FastHasher {
    fn finish(&self) -> u64 {
        // The table takes its index from the low bits, the multiplication mixes into the high ones.
        self.0 ^ (self.0 >> 32)
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            for (to, from) in word.iter_mut().zip(chunk) {
                *to = *from;
            }
            self.mix(u64::from_le_bytes(word));
        }
        self.mix(bytes.len() as u64);
    }

    fn write_u8(&mut self, value: u8) {
        self.mix(u64::from(value));
    }

    fn write_u32(&mut self, value: u32) {
        self.mix(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        self.mix(value);
    }

    fn write_usize(&mut self, value: usize) {
        self.mix(value as u64);
    }
}

pub(crate) type FastMap<K, V> = HashMap<K, V, BuildHasherDefault<FastHasher>>;

/// A table of distinct rows, numbered from 0 in the order in which they were first seen. The index holds numbers alone, as
/// there may be very many rows: an entry is a number + 1, 0 is free, collisions go to the next one.
pub(crate) struct Table<T> {
    rows: Vec<T>,
    index: Vec<u32>,
}

/// Entries of a new index.
const FEWEST: usize = 64;

fn hash_of<Q: Hash + ?Sized>(key: &Q) -> usize {
    let mut hasher = FastHasher::default();
    key.hash(&mut hasher);
    hasher.finish() as usize
}

impl<T: Eq + Hash> Table<T> {
    pub(crate) fn new() -> Self {
        Table {
            rows: Vec::new(),
            index: vec![0; FEWEST],
        }
    }

    /// The row's number; it is added if it is new.
    pub(crate) fn intern(&mut self, row: T) -> u32 {
        match self.find(&row) {
            Ok(number) => number,
            Err(free) => self.add(free, row),
        }
    }

    /// The same for a row that is only made when it is new.
    pub(crate) fn intern_borrowed<Q>(&mut self, key: &Q) -> u32
    where
        T: Borrow<Q> + for<'a> From<&'a Q>,
        Q: Eq + Hash + ?Sized,
    {
        match self.find(key) {
            Ok(number) => number,
            Err(free) => self.add(free, T::from(key)),
        }
    }

    /// The number of a row, or the entry of the index that it would take.
    fn find<Q>(&self, key: &Q) -> Result<u32, usize>
    where
        T: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let mask = self.index.len() - 1;
        let mut at = hash_of(key) & mask;
        loop {
            let Some(number) = self.index.get(at).and_then(|entry| entry.checked_sub(1)) else {
                return Err(at);
            };
            if self.get(number).is_some_and(|row| row.borrow() == key) {
                return Ok(number);
            }
            at = (at + 1) & mask;
        }
    }

    fn add(&mut self, free: usize, row: T) -> u32 {
        let number = self.rows.len() as u32;
        if self.rows.try_reserve(1).is_err() {
            // The recording has stopped, and nothing that refers to this row will be written.
            return 0;
        }
        self.rows.push(row);
        if let Some(entry) = self.index.get_mut(free) {
            *entry = number + 1;
        }
        // At most three quarters full, so that a free entry is near.
        if self.rows.len() * 4 > self.index.len() * 3 {
            self.grow();
        }
        number
    }

    #[cold]
    fn grow(&mut self) {
        let length = self.index.len() * 2;
        if self.index.try_reserve(length - self.index.len()).is_err() {
            // The recording has stopped: the few rows that still come find the free quarter.
            return;
        }
        self.index.clear();
        self.index.resize(length, 0);
        for (row, number) in self.rows.iter().zip(1..) {
            let mut at = hash_of(row) & (length - 1);
            while self.index.get(at).is_some_and(|&entry| entry != 0) {
                at = (at + 1) & (length - 1);
            }
            if let Some(entry) = self.index.get_mut(at) {
                *entry = number;
            }
        }
    }

    /// A row by its number.
    pub(crate) fn get(&self, number: u32) -> Option<&T> {
        self.rows.get(number as usize)
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Rows from a number on.
    pub(crate) fn since(&self, number: usize) -> &[T] {
        self.rows.get(number..).unwrap_or(&[])
    }
}

/// One frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum FrameRow {
    /// A line of Python code: rows of the string table, and the line (0: none).
    Python { function: u32, file: u32, line: u32 },
    /// A return address in native code, and how often objects had been unloaded when it was seen.
    Native { address: usize, unloads: u32 },
}

/// A node of the stack tree. Nodes are numbered from 1; 0 is the empty stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct NodeRow {
    pub(crate) parent: u32,
    pub(crate) frame: u32,
}

/// A call site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SiteRow {
    pub(crate) domain: u8,
    pub(crate) node: u32,
}

impl SiteRow {
    pub(crate) fn domain(self) -> Domain {
        Domain::from_u8(self.domain).unwrap_or(Domain::Malloc)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_rows_share_a_number() {
        let mut table = Table::new();
        let rows: Vec<u32> = ["a", "b", "a", "c", "b"]
            .iter()
            .map(|row| table.intern(*row))
            .collect();
        assert_eq!(rows, [0, 1, 0, 2, 1]);
        assert_eq!(table.since(1), ["b", "c"]);
        assert_eq!((table.get(2), table.get(3)), (Some(&"c"), None));
        assert_eq!(table.since(9).len(), 0);
        assert_eq!(table.len(), 3);
    }

    #[test]
    fn rows_are_found_however_many_there_are() {
        let mut table: Table<Box<[usize]>> = Table::new();
        for round in 0..2 {
            for number in 0..10_000usize {
                let row = [number % 7, number];
                assert_eq!(
                    table.intern_borrowed(&row[..]),
                    number as u32,
                    "round {round}"
                );
            }
        }
        assert_eq!(table.get(9_999).map(|row| row[1]), Some(9_999));
    }
}
