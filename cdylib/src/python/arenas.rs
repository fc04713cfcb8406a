//! pymalloc's arenas: which there are, and the walk through their pools.
//!
//! Source: `Objects/obmalloc.c`, `Include/internal/pycore_obmalloc.h`: the pool header is the same 48 bytes in 3.8–3.15.
//! Entered by the arena hooks (any thread in an allocator call) and by the thread that walks (which holds the GIL).

use pytrace_format::record::{Moment, Pymalloc, SizeClass};

/// Size classes of pymalloc: 16, 32, … 512 bytes.
pub(crate) const CLASSES: usize = 32;
/// `sizeof(struct pool_header)`, rounded up to the block alignment.
pub(crate) const POOL_HEADER_BYTES: u64 = 48;
/// `pool_header.ref.count`: blocks in use.
const POOL_COUNT: usize = 0;
/// `pool_header.szidx`.
const POOL_CLASS: usize = 36;
/// Arenas of 3.8 and 3.9, whose pools are 4 KiB. Later ones are 1 MiB (or a huge page) with 16 KiB pools.
const SMALL_ARENA_BYTES: u64 = 256 << 10;

/// Block size of a class, bytes.
pub(crate) fn class_bytes(class: usize) -> u64 {
    16 * (class as u64 + 1)
}

/// Size of the pools in an arena.
pub(crate) fn pool_bytes(arena_bytes: u64) -> u64 {
    if arena_bytes <= SMALL_ARENA_BYTES {
        4 << 10
    } else {
        16 << 10
    }
}

/// Pools that an arena holds: pools are aligned to their size, and the arena need not be.
pub(crate) fn pools_in(start: u64, arena_bytes: u64) -> u64 {
    let pool_bytes = pool_bytes(arena_bytes);
    let before_first = start.wrapping_neg() % pool_bytes;
    arena_bytes.saturating_sub(before_first) / pool_bytes
}

/// The size that pymalloc set aside for a block of one of its pools, if the pool's header agrees with the request.
///
/// # Safety
/// `address` is a live block that pymalloc served from a pool.
#[inline(always)]
pub(crate) unsafe fn served_bytes(address: usize, pool_bytes: usize) -> u64 {
    let pool = address & !(pool_bytes - 1);
    // SAFETY: pools are aligned to their size and begin with their header, which pymalloc has just used.
    let class = unsafe { ((pool + POOL_CLASS) as *const u32).read() };
    16 * (u64::from(class) + 1)
}

/// The arenas that are mapped, by their address and size.
#[derive(Default)]
pub(crate) struct Arenas {
    mapped: Vec<(usize, usize)>,
    peak: u64,
    allocated_total: u64,
    freed_total: u64,
}

impl Arenas {
    pub(crate) fn add(&mut self, address: usize, size: usize) {
        self.mapped.push((address, size));
        self.allocated_total += 1;
        self.peak = self.peak.max(self.mapped.len() as u64);
    }

    /// Forgets an arena; false when the address is none.
    pub(crate) fn remove(&mut self, address: usize) -> bool {
        let Some(at) = self.mapped.iter().position(|&(start, _)| start == address) else {
            return false;
        };
        self.mapped.swap_remove(at);
        self.freed_total += 1;
        true
    }

    /// Size of the arena that an address lies in.
    pub(crate) fn size_of_arena_at(&self, address: usize) -> Option<u64> {
        self.mapped
            .iter()
            .find(|&&(start, size)| address.wrapping_sub(start) < size)
            .map(|&(_, size)| size as u64)
    }

    /// The arenas that are mapped, by their address and size.
    pub(crate) fn places(&self) -> impl Iterator<Item = (u64, u64)> {
        let mapped = self.mapped.iter();
        mapped.map(|&(start, size)| (start as u64, size as u64))
    }

    /// What a forked child has of its parent's arenas: the same ones, counted from here on.
    pub(crate) fn inherited(&self) -> Arenas {
        let count = self.mapped.len() as u64;
        Arenas {
            mapped: self.mapped.clone(),
            peak: count,
            allocated_total: count,
            freed_total: 0,
        }
    }

    /// Walks all pools. One cache line per pool is read.
    ///
    /// # Safety
    /// No arena is unmapped meanwhile (the hook that unmaps waits for the lock around `self`), and no other thread
    /// changes the pools (the caller holds the GIL), or slightly stale counts are acceptable.
    pub(crate) unsafe fn walk(&self) -> Option<Pymalloc> {
        let arena_bytes = self.mapped.first()?.1 as u64;
        let pool_bytes = pool_bytes(arena_bytes);
        let mut classes = [(0u64, 0u64); CLASSES];
        let mut state = Pymalloc {
            moment: Moment::Exit,
            arena_bytes,
            pool_bytes,
            arenas: self.mapped.len() as u64,
            arenas_peak: self.peak,
            arenas_allocated_total: self.allocated_total,
            arenas_freed_total: self.freed_total,
            pools_total: 0,
            pools_free: 0,
            pools_partial: 0,
            pools_full: 0,
            classes: Vec::new(),
            arena_bytes_in_use: Vec::new(),
        };
        let mut arenas = self.mapped.clone();
        arenas.sort_unstable();
        for (start, size) in arenas {
            let mut bytes_in_use = 0;
            let first = start.next_multiple_of(pool_bytes as usize);
            let mut pool = first;
            while pool + pool_bytes as usize <= start + size {
                state.pools_total += 1;
                // SAFETY: the pool lies in a mapped arena; its header is plain data (zero when never carved).
                let (count, class) = unsafe {
                    (
                        ((pool + POOL_COUNT) as *const u32).read_volatile(),
                        ((pool + POOL_CLASS) as *const u32).read_volatile(),
                    )
                };
                let (count, class) = (u64::from(count), class as usize);
                match classes.get_mut(class).filter(|_| count > 0) {
                    None => state.pools_free += 1,
                    Some((pools, blocks)) => {
                        *pools += 1;
                        *blocks += count;
                        bytes_in_use += count * class_bytes(class);
                        if count == capacity(class, pool_bytes) {
                            state.pools_full += 1;
                        } else {
                            state.pools_partial += 1;
                        }
                    }
                }
                pool += pool_bytes as usize;
            }
            state.arena_bytes_in_use.push(bytes_in_use);
        }
        state.classes = classes
            .iter()
            .enumerate()
            .filter(|(_, (pools, _))| *pools > 0)
            .map(|(class, &(pools, blocks))| SizeClass {
                size: class_bytes(class) as u32,
                pools,
                blocks_in_use: blocks,
                blocks_free: (pools * capacity(class, pool_bytes)).saturating_sub(blocks),
            })
            .collect();
        Some(state)
    }
}

/// Blocks of a class that fit a pool.
fn capacity(class: usize, pool_bytes: u64) -> u64 {
    (pool_bytes - POOL_HEADER_BYTES) / class_bytes(class)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pools_are_counted_by_their_headers() {
        let mut memory = vec![0u8; (1 << 20) + (16 << 10)];
        let start = (memory.as_ptr() as usize).next_multiple_of(16 << 10);
        let skipped = start - memory.as_ptr() as usize;
        let memory = &mut memory[skipped..];
        let mut put = |pool: usize, count: u32, class: u32| {
            memory[pool << 14..][..4].copy_from_slice(&count.to_le_bytes());
            memory[(pool << 14) + 36..][..4].copy_from_slice(&class.to_le_bytes());
        };
        put(0, 3, 0);
        put(1, ((16384 - 48) / 512) as u32, 31);
        put(2, 0, 7);
        put(3, 1, 99);
        let mut arenas = Arenas::default();
        // SAFETY: no arena yet.
        assert!(unsafe { arenas.walk() }.is_none());
        arenas.add(start, 1 << 20);
        // SAFETY: the memory is ours and lives.
        let state = unsafe { arenas.walk() }.expect("an arena");
        assert_eq!(
            (
                state.pools_total,
                state.pools_free,
                state.pools_partial,
                state.pools_full
            ),
            (64, 62, 1, 1)
        );
        assert_eq!(
            state
                .classes
                .iter()
                .map(|class| class.size)
                .collect::<Vec<_>>(),
            [16, 512]
        );
        assert_eq!(state.arena_bytes_in_use, [3 * 16 + 31 * 512]);
        // SAFETY: the block lies in the second pool.
        let served = unsafe { served_bytes(start + 16384 + 48 + 512, 16384) };
        assert_eq!(served, 512);
        assert_eq!(arenas.size_of_arena_at(start + 5), Some(1 << 20));
        assert_eq!(arenas.size_of_arena_at(start + (1 << 20)), None);
        assert!(arenas.remove(start) && !arenas.remove(start));
    }
}
