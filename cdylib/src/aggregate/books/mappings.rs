//! Anonymous mappings as blocks: an interval map in which a block ends with its last byte.
//!
//! Invariant: ranges are disjoint; `live[block].bytes` is the sum of the lengths of the ranges that name it.

use std::collections::BTreeMap;

use crate::stack::names::FastMap;

/// A mapping that is live, whole or in part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mapping {
    /// Where it began when it was made.
    start: u64,
    /// The site that made it.
    site: u32,
    /// Bytes of it that are still mapped.
    bytes: u64,
    /// Its size when it was made.
    born_bytes: u64,
}

/// What a block lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Removed {
    /// Where the block began when it was made.
    pub(crate) start: u64,
    /// The site that made the block.
    pub(crate) site: u32,
    /// Bytes taken off.
    pub(crate) bytes: u64,
    /// Size of the block when it was made.
    pub(crate) born_bytes: u64,
    /// Whether those were its last bytes.
    pub(crate) ended: bool,
}

/// A part of a block's address range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    start: u64,
    end: u64,
    block: u64,
}

/// The map.
#[derive(Default)]
pub(crate) struct Mappings {
    ranges: BTreeMap<u64, Piece>,
    live: FastMap<u64, Mapping>,
    next_block: u64,
}

impl Mappings {
    /// Adds a mapping. The range must be free: [`Mappings::take`] what lies there first.
    pub(crate) fn insert(&mut self, start: u64, bytes: u64, site: u32) {
        if bytes == 0 {
            return;
        }
        let block = self.next_block;
        self.next_block += 1;
        let end = start.saturating_add(bytes);
        self.ranges.insert(start, Piece { start, end, block });
        self.live.insert(
            block,
            Mapping {
                start,
                site,
                bytes,
                born_bytes: bytes,
            },
        );
    }

    /// Cuts a range out, wherever it cuts. The blocks still have the bytes until [`Mappings::settle`].
    pub(crate) fn take(&mut self, start: u64, bytes: u64) -> Vec<Piece> {
        let end = start.saturating_add(bytes);
        if bytes == 0 {
            return Vec::new();
        }
        let first = self
            .ranges
            .range(..=start)
            .next_back()
            .filter(|(_, range)| range.end > start)
            .map_or(start, |(&at, _)| at);
        let hit: Vec<Piece> = self
            .ranges
            .range(first..end)
            .map(|(_, &range)| range)
            .collect();
        for range in &hit {
            self.ranges.remove(&range.start);
            if range.start < start {
                self.ranges.insert(
                    range.start,
                    Piece {
                        end: start,
                        ..*range
                    },
                );
            }
            if range.end > end {
                self.ranges.insert(
                    end,
                    Piece {
                        start: end,
                        ..*range
                    },
                );
            }
        }
        hit.into_iter()
            .map(|range| Piece {
                start: range.start.max(start),
                end: range.end.min(end),
                ..range
            })
            .collect()
    }

    /// Puts pieces back that were taken out.
    pub(crate) fn put_back(&mut self, pieces: Vec<Piece>) {
        for piece in pieces {
            self.ranges.insert(piece.start, piece);
        }
    }

    /// Takes the pieces' bytes off their blocks; says what each piece cost its block.
    pub(crate) fn settle(&mut self, pieces: &[Piece]) -> Vec<Removed> {
        let mut removed = Vec::with_capacity(pieces.len());
        for piece in pieces {
            let Some(mapping) = self.live.get_mut(&piece.block) else {
                continue;
            };
            let bytes = piece.end - piece.start;
            mapping.bytes -= bytes;
            removed.push(Removed {
                start: mapping.start,
                site: mapping.site,
                bytes,
                born_bytes: mapping.born_bytes,
                ended: mapping.bytes == 0,
            });
            if mapping.bytes == 0 {
                self.live.remove(&piece.block);
            }
        }
        removed
    }

    /// Whether the pieces are one whole block.
    pub(crate) fn is_whole_block(&self, pieces: &[Piece]) -> bool {
        let [piece, rest @ ..] = pieces else {
            return false;
        };
        let bytes: u64 = pieces.iter().map(|piece| piece.end - piece.start).sum();
        rest.iter().all(|other| other.block == piece.block)
            && self
                .live
                .get(&piece.block)
                .is_some_and(|mapping| mapping.bytes == bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remove(map: &mut Mappings, start: u64, bytes: u64) -> Vec<Removed> {
        let pieces = map.take(start, bytes);
        map.settle(&pieces)
    }

    fn lost(removed: &[Removed]) -> Vec<(u32, u64, bool)> {
        removed
            .iter()
            .map(|removed| (removed.site, removed.bytes, removed.ended))
            .collect()
    }

    #[test]
    fn a_block_ends_with_its_last_byte() {
        let mut map = Mappings::default();
        map.insert(0x1000, 0x3000, 5);
        assert_eq!(
            lost(&remove(&mut map, 0x2000, 0x1000)),
            [(5, 0x1000, false)]
        );
        assert_eq!(lost(&remove(&mut map, 0x2000, 0x1000)), []);
        assert_eq!(
            lost(&remove(&mut map, 0, 0x10000)),
            [(5, 0x1000, false), (5, 0x1000, true)]
        );
        assert_eq!(remove(&mut map, 0, u64::MAX), []);
    }

    #[test]
    fn what_was_taken_can_be_put_back() {
        let mut map = Mappings::default();
        map.insert(0x1000, 0x3000, 5);
        let pieces = map.take(0x2000, 0x1000);
        assert!(!map.is_whole_block(&pieces));
        map.put_back(pieces);
        let pieces = map.take(0, 0x8000);
        assert!(map.is_whole_block(&pieces));
        assert_eq!(
            map.settle(&pieces)
                .iter()
                .map(|removed| removed.bytes)
                .sum::<u64>(),
            0x3000
        );
        assert!(!map.is_whole_block(&[]));
    }

    #[test]
    fn agrees_with_a_page_map() {
        let mut map = Mappings::default();
        let mut pages = [None::<u32>; 64];
        let mut seed = 7u64;
        for site in 0..4000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let start = (seed >> 40) % 64;
            let length = 1 + (seed >> 50) % (64 - start).min(9);
            let span = start as usize..(start + length).min(64) as usize;
            let expected = pages[span.clone()].iter().flatten().count() as u64;
            let removed = remove(&mut map, start, span.len() as u64);
            assert_eq!(
                removed.iter().map(|removed| removed.bytes).sum::<u64>(),
                expected
            );
            for removed in removed.iter().filter(|removed| removed.ended) {
                assert!(
                    pages
                        .iter()
                        .enumerate()
                        .all(|(at, page)| span.contains(&at) || *page != Some(removed.site))
                );
            }
            pages[span.clone()].fill(None);
            if seed & 1 == 0 {
                map.insert(start, span.len() as u64, site);
                pages[span].fill(Some(site));
            }
        }
    }
}
