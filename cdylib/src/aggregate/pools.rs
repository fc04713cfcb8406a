//! pymalloc's pools and size classes, as the events tell them: live blocks per pool.
//!
//! Invariant: a pool's class is that of its live blocks; a pool without any may get another. The exact state at exit is walked in memory by
//! `python::arenas`; the two agree on pools and blocks in use.

use pytrace_format::record::{Moment, Pymalloc, SizeClass};

use super::peak::{AtPeak, PeakNumber};
use crate::python::arenas::{self, CLASSES, POOL_HEADER_BYTES, class_bytes};

/// A pool: its live blocks and their class.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct Pool {
    live: u16,
    class: u16,
}

impl Pool {
    /// What blocks of the pool are served; `None` when it has no live block.
    pub(crate) fn served_bytes(self) -> Option<u64> {
        (self.live > 0).then(|| class_bytes(usize::from(self.class)))
    }
}

#[derive(Clone, Copy, Default)]
struct Class {
    pools: AtPeak,
    full: AtPeak,
    blocks: AtPeak,
}

/// Pools, classes and arenas.
pub(crate) struct Pools {
    pub(crate) pool_shift: u32,
    arena_bytes: u64,
    /// Blocks that a pool of each class holds.
    capacities: [u16; CLASSES],
    classes: [Class; CLASSES],
    arenas_most: u64,
    arenas_mapped: AtPeak,
    arenas_unmapped: AtPeak,
    pools_total: AtPeak,
}

impl Pools {
    pub(crate) fn new() -> Self {
        Pools {
            pool_shift: 14,
            arena_bytes: 0,
            capacities: [0; CLASSES],
            classes: [Class::default(); CLASSES],
            arenas_most: 0,
            arenas_mapped: AtPeak::default(),
            arenas_unmapped: AtPeak::default(),
            pools_total: AtPeak::default(),
        }
    }

    /// Arenas mapped now.
    pub(crate) fn arenas(&self) -> u64 {
        self.arenas_mapped.now() - self.arenas_unmapped.now()
    }

    /// All arenas of an interpreter have one size.
    pub(crate) fn arena_mapped(&mut self, start: u64, bytes: u64, peak: PeakNumber) {
        let pool_bytes = arenas::pool_bytes(bytes);
        self.arena_bytes = bytes;
        self.pool_shift = pool_bytes.trailing_zeros();
        self.capacities = core::array::from_fn(|class| {
            ((pool_bytes - POOL_HEADER_BYTES) / class_bytes(class)) as u16
        });
        self.arenas_mapped.add(1, peak);
        self.pools_total.add(arenas::pools_in(start, bytes), peak);
        self.arenas_most = self.arenas_most.max(self.arenas());
    }

    pub(crate) fn arena_unmapped(&mut self, start: u64, bytes: u64, peak: PeakNumber) {
        self.arenas_unmapped.add(1, peak);
        let pools = arenas::pools_in(start, bytes);
        self.pools_total.subtract(pools, peak);
    }

    /// A block that was served this much was born in a pool.
    #[inline(always)]
    pub(crate) fn birth(&mut self, pool: &mut Pool, served: u64, peak: PeakNumber) {
        let class = (served / 16).wrapping_sub(1) as usize;
        let (Some(row), Some(&capacity)) =
            (self.classes.get_mut(class), self.capacities.get(class))
        else {
            return;
        };
        row.blocks.add(1, peak);
        if pool.live == 0 {
            row.pools.add(1, peak);
            pool.class = class as u16;
        }
        pool.live += 1;
        if pool.live == capacity {
            row.full.add(1, peak);
        }
    }

    /// A block of a pool died. A pool without live blocks is none: the address is of another kind of memory now.
    #[inline(always)]
    pub(crate) fn death(&mut self, pool: &mut Pool, peak: PeakNumber) {
        let class = usize::from(pool.class);
        let (true, Some(row), Some(&capacity)) = (
            pool.live > 0,
            self.classes.get_mut(class),
            self.capacities.get(class),
        ) else {
            return;
        };
        row.blocks.subtract(1, peak);
        if pool.live == capacity {
            row.full.subtract(1, peak);
        }
        pool.live -= 1;
        if pool.live == 0 {
            row.pools.subtract(1, peak);
        }
    }

    /// The state now, or at the peak; `None` when no arena was ever mapped.
    pub(crate) fn state(&self, moment: Moment, peak: PeakNumber) -> Option<Pymalloc> {
        if self.arenas_mapped.now() == 0 {
            return None;
        }
        let value = |counter: &AtPeak| match moment {
            Moment::Peak => counter.at(peak),
            _ => counter.now(),
        };
        let pool_bytes = 1u64 << self.pool_shift;
        let (mapped, unmapped) = (value(&self.arenas_mapped), value(&self.arenas_unmapped));
        let arenas = mapped - unmapped;
        let mut classes = Vec::new();
        let (mut used, mut full) = (0, 0);
        for (class, (row, &capacity)) in self.classes.iter().zip(&self.capacities).enumerate() {
            let pools = value(&row.pools);
            if pools == 0 {
                continue;
            }
            let blocks = value(&row.blocks);
            used += pools;
            full += value(&row.full);
            classes.push(SizeClass {
                size: class_bytes(class) as u32,
                pools,
                blocks_in_use: blocks,
                blocks_free: (pools * u64::from(capacity)).saturating_sub(blocks),
            });
        }
        let pools_total = value(&self.pools_total);
        Some(Pymalloc {
            moment,
            arena_bytes: self.arena_bytes,
            pool_bytes,
            arenas,
            arenas_peak: self.arenas_most,
            arenas_allocated_total: mapped,
            arenas_freed_total: unmapped,
            pools_total,
            pools_free: pools_total.saturating_sub(used),
            pools_partial: used - full,
            pools_full: full,
            classes,
            arena_bytes_in_use: Vec::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pools_fill_empty_and_are_remembered_at_the_peak() {
        let mut pools = Pools::new();
        assert!(pools.state(Moment::ExitByEvents, 0).is_none());
        // Four kilobytes behind the beginning of a pool: the last pool has no place.
        let start = (1 << 20) + (1 << 12);
        pools.arena_mapped(start, 1 << 20, 0);
        let capacity = ((1 << 14) - 48) / 512;
        let mut pool = Pool::default();
        for block in 0..capacity {
            assert_eq!(u64::from(pool.live), block);
            pools.birth(&mut pool, 512, 0);
        }
        let full = pools.state(Moment::ExitByEvents, 0).expect("an arena");
        assert_eq!(
            (
                full.pools_full,
                full.pools_partial,
                full.classes[0].blocks_in_use
            ),
            (1, 0, capacity)
        );
        for _ in 0..capacity + 1 {
            pools.death(&mut pool, 1);
        }
        pools.arena_unmapped(start, 1 << 20, 1);
        let empty = pools.state(Moment::ExitByEvents, 1).expect("an arena once");
        assert_eq!(
            (
                empty.arenas,
                empty.arenas_peak,
                empty.classes.len(),
                empty.pools_total
            ),
            (0, 1, 0, 0)
        );
        let peak = pools.state(Moment::Peak, 1).expect("an arena once");
        assert_eq!(
            (
                peak.arenas,
                peak.pools_full,
                peak.classes[0].blocks_in_use,
                peak.pools_free
            ),
            (1, 1, capacity, 62)
        );
    }
}
