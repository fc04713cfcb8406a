//! The tables behind the stacks: strings, frames, nodes of the stack tree, sites. Rows are only ever added, so a reader
//! that knows how many it has seen (the capture writer) takes the rest.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

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

/// A table of distinct rows, numbered from 0 in the order in which they were first seen.
pub(crate) struct Table<T> {
    rows: Vec<T>,
    index: FastMap<T, u32>,
}

impl<T: Clone + Eq + core::hash::Hash> Table<T> {
    pub(crate) fn new() -> Self {
        Table {
            rows: Vec::new(),
            index: FastMap::default(),
        }
    }

    /// The row's number; it is added if it is new.
    pub(crate) fn intern(&mut self, row: T) -> u32 {
        if let Some(&number) = self.index.get(&row) {
            return number;
        }
        let number = self.rows.len() as u32;
        self.rows.push(row.clone());
        self.index.insert(row, number);
        number
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
}
