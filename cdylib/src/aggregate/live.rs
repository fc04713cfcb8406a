//! The live table: which block is at an address.
//!
//! `address / 16` indexes leaves of 1 MiB of address space, made on demand: no hashing, no tombstones. A block is at least
//! 16 bytes from the next one, so it has one 4-byte slot or more: a block that was served 24 bytes or more uses two (site,
//! size), a smaller one holds the number of an interned (site, size) pair. Allocators that align small blocks to 8 bytes
//! only (mimalloc) make a leaf switch to `address / 8`. Sizes that do not fit 32 bits lie in a side map. Behind its slots
//! a leaf has a count per pool of pymalloc's.
//!
//! Invariant: a slot that is not 0 is the head of a live block or the size that follows one. Used by the aggregator alone.

use core::ptr::NonNull;

use super::pools::Pool;
use crate::stack::names::FastMap;
use crate::sys::{heap, syscall};

/// Bytes of address space per leaf.
const LEAF_SHIFT: u32 = 20;
const LEAF_BYTES: u64 = 1 << LEAF_SHIFT;
/// Leaves per middle table, and middle tables: together 47 bits of address.
const MIDDLE_BITS: u32 = 13;
const TOP_BITS: u32 = 47 - LEAF_SHIFT - MIDDLE_BITS;
/// Pools in a leaf, if they are of the smallest size (4 KiB).
const POOLS: usize = (LEAF_BYTES >> 12) as usize;

/// From this served size on a block has two slots of its own (malloc's smallest block: 24 usable of 32).
pub(crate) const TWO_SLOTS: u64 = 24;
/// Marks a slot that holds the number of a pair.
const PAIR: u32 = 1 << 31;
/// The size that says: look in the side map.
const HUGE: u32 = u32::MAX;

/// A live block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// Its site, a row of the site table.
    pub(crate) site: u32,
    /// Its requested size, bytes.
    pub(crate) size: u64,
}

/// What goes into the table for a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Occupant {
    /// Served [`TWO_SLOTS`] bytes or more: site and size have a slot each.
    Block(Block),
    /// Served less: one slot, with the number of an interned (site, size) pair.
    Pair(u32),
}

/// One MiB of address space.
struct Leaf {
    slots: NonNull<u32>,
    /// Bytes per slot, as a shift: 4, or 3 in a leaf with blocks aligned to 8 only.
    shift: u32,
}

type Middle = [Option<Leaf>];

/// The table.
pub(crate) struct LiveTable {
    top: Vec<Option<Box<Middle>>>,
    /// The leaf that was used last, by its number. Leaves never move: a middle table is boxed and stays.
    last: (u64, Option<NonNull<Leaf>>),
    pairs: Vec<Block>,
    pair_numbers: FastMap<(u32, u64), u32>,
    huge: FastMap<u64, u64>,
}

// SAFETY: the leaves' memory is the table's own, and so is what `last` points to.
unsafe impl Send for LiveTable {}

impl Drop for Leaf {
    fn drop(&mut self) {
        // SAFETY: the mapping is this leaf's own, and it ends with it.
        unsafe { heap::unmap(self.slots.as_ptr().cast(), Leaf::bytes(self.shift)) };
    }
}

impl Leaf {
    fn map(shift: u32) -> Option<Leaf> {
        let slots = NonNull::new(heap::map(Leaf::bytes(shift))?.cast())?;
        Some(Leaf { slots, shift })
    }

    const fn slot_count(shift: u32) -> usize {
        (LEAF_BYTES >> shift) as usize
    }

    const fn bytes(shift: u32) -> usize {
        Leaf::slot_count(shift) * size_of::<u32>() + POOLS * size_of::<Pool>()
    }

    #[inline(always)]
    fn slots(&mut self) -> &mut [u32] {
        // SAFETY: the mapping begins with this many zero-initialised slots, and belongs to this leaf alone.
        unsafe {
            core::slice::from_raw_parts_mut(self.slots.as_ptr(), Leaf::slot_count(self.shift))
        }
    }

    #[inline(always)]
    fn pools(&mut self) -> &mut [Pool] {
        // SAFETY: the mapping ends with this many pools, for which all zeroes is a value; they are aligned to 4 like the
        // slots before them.
        unsafe {
            let pools = self.slots.as_ptr().add(Leaf::slot_count(self.shift));
            core::slice::from_raw_parts_mut(pools.cast(), POOLS)
        }
    }

    #[inline(always)]
    fn index(&self, address: u64) -> usize {
        ((address & (LEAF_BYTES - 1)) >> self.shift) as usize
    }

    /// Changes from 16 to 8 bytes a slot; false when there is no memory for it.
    #[cold]
    fn refine(&mut self) -> bool {
        let Some(mut fine) = Leaf::map(3) else {
            return false;
        };
        fine.pools().copy_from_slice(self.pools());
        let (old, new) = (self.slots(), fine.slots());
        let mut at = 0;
        while let Some(&head) = old.get(at) {
            if head != 0 {
                new[at * 2] = head;
                if head & PAIR == 0 {
                    at += 1;
                    new[at * 2 - 1] = old.get(at).copied().unwrap_or(HUGE);
                }
            }
            at += 1;
        }
        *self = fine;
        true
    }
}

impl LiveTable {
    pub(crate) fn new() -> Self {
        LiveTable {
            top: Vec::new(),
            last: (u64::MAX, None),
            pairs: Vec::new(),
            pair_numbers: FastMap::default(),
            huge: FastMap::default(),
        }
    }

    /// The leaf of an address, if blocks were ever there.
    #[inline(always)]
    fn leaf(&mut self, address: u64) -> Option<&mut Leaf> {
        let number = address >> LEAF_SHIFT;
        if self.last.0 != number {
            let leaf = self
                .top
                .get_mut((number >> MIDDLE_BITS) as usize)?
                .as_mut()?
                .get_mut((number & ((1 << MIDDLE_BITS) - 1)) as usize)?
                .as_mut()?;
            self.last = (number, Some(NonNull::from(leaf)));
        }
        // SAFETY: a leaf of this table, which never moves; `self` is borrowed mutably, so nobody else refers to it.
        self.last.1.map(|mut leaf| unsafe { leaf.as_mut() })
    }

    #[cold]
    #[inline(never)]
    fn make_leaf(&mut self, address: u64) -> Option<()> {
        if self.top.is_empty() {
            self.top.resize_with(1 << TOP_BITS, || None);
        }
        let number = address >> LEAF_SHIFT;
        let middle = self
            .top
            .get_mut((number >> MIDDLE_BITS) as usize)?
            .get_or_insert_with(|| {
                // By way of a vector: the table is larger than some threads' stacks.
                let mut leaves = Vec::new();
                leaves.resize_with(1 << MIDDLE_BITS, || None);
                leaves.into_boxed_slice()
            });
        let entry = middle.get_mut((number & ((1 << MIDDLE_BITS) - 1)) as usize)?;
        if entry.is_none() {
            *entry = Some(Leaf::map(4)?);
        }
        Some(())
    }

    /// Puts a block in. Returns the block that was thought to be there, if any: its free was never seen.
    /// `Err` when there is no memory for the table.
    #[inline(always)]
    pub(crate) fn insert(&mut self, address: u64, occupant: Occupant) -> Result<Option<Block>, ()> {
        // The usual case: a leaf that exists, an address aligned to 16, nothing there, a size of 32 bits.
        if let Some(leaf) = self.leaf(address)
            && (address & 8 == 0 || leaf.shift == 3)
        {
            let at = leaf.index(address);
            let slots = leaf.slots();
            match occupant {
                Occupant::Pair(number) => {
                    if let Some(head) = slots.get_mut(at)
                        && *head == 0
                    {
                        *head = PAIR | number;
                        return Ok(None);
                    }
                }
                Occupant::Block(Block { site, size }) => {
                    if let Some([head, second]) = slots.get_mut(at..at + 2)
                        && *head == 0
                        && size < u64::from(HUGE)
                    {
                        *head = site + 1;
                        *second = size as u32;
                        return Ok(None);
                    }
                }
            }
        }
        self.insert_slowly(address, occupant)
    }

    #[inline(never)]
    fn insert_slowly(&mut self, address: u64, occupant: Occupant) -> Result<Option<Block>, ()> {
        let old = self.remove(address);
        if self.leaf(address).is_none() {
            self.make_leaf(address).ok_or(())?;
        }
        let leaf = self.leaf(address).ok_or(())?;
        if address & 8 != 0 && leaf.shift == 4 && !leaf.refine() {
            return Err(());
        }
        let at = leaf.index(address);
        let slots = leaf.slots();
        match occupant {
            Occupant::Pair(number) => slots[at] = PAIR | number,
            Occupant::Block(Block { site, size }) => {
                slots[at] = site + 1;
                let small = u32::try_from(size).ok().filter(|&size| size != HUGE);
                // A size of more than 32 bits, and one whose slot would lie in the next leaf, go to the side map.
                let fits = match slots.get_mut(at + 1) {
                    Some(second) => {
                        *second = small.unwrap_or(HUGE);
                        small.is_some()
                    }
                    None => false,
                };
                if !fits {
                    self.huge.insert(address, size);
                }
            }
        }
        Ok(old)
    }

    /// Whether blocks were at an address, and none is there now.
    #[inline(always)]
    pub(crate) fn is_free(&mut self, address: u64) -> bool {
        self.leaf(address).is_some_and(|leaf| {
            let at = leaf.index(address);
            (address & 8 == 0 || leaf.shift == 3) && leaf.slots().get(at) == Some(&0)
        })
    }

    /// Takes the block at an address out.
    #[inline(always)]
    pub(crate) fn remove(&mut self, address: u64) -> Option<Block> {
        let leaf = self.leaf(address)?;
        if address & 8 != 0 && leaf.shift == 4 {
            return None;
        }
        let at = leaf.index(address);
        let slots = leaf.slots();
        let head = core::mem::take(slots.get_mut(at)?);
        if head == 0 {
            return None;
        }
        if head & PAIR != 0 {
            return self.pairs.get((head & !PAIR) as usize).copied();
        }
        let size = slots.get_mut(at + 1).map_or(HUGE, core::mem::take);
        let size = match size {
            HUGE => self.huge.remove(&address).unwrap_or(u64::from(HUGE)),
            size => u64::from(size),
        };
        Some(Block {
            site: head - 1,
            size,
        })
    }

    /// The pool that an address lies in, if a block was ever there.
    #[inline(always)]
    pub(crate) fn pool(&mut self, address: u64, pool_shift: u32) -> Option<&mut Pool> {
        let at = ((address & (LEAF_BYTES - 1)) >> pool_shift) as usize;
        self.leaf(address)?.pools().get_mut(at)
    }

    /// Address space that the leaves take, and how much of it is in memory, bytes.
    pub(crate) fn memory(&self) -> (u64, u64) {
        let leaves = self
            .top
            .iter()
            .flatten()
            .flat_map(|middle| middle.iter())
            .flatten();
        leaves.fold((0, 0), |(mapped, resident), leaf| {
            let bytes = Leaf::bytes(leaf.shift);
            let pages = syscall::resident_pages(leaf.slots.as_ptr().cast(), bytes);
            (mapped + bytes as u64, resident + pages as u64 * 4096)
        })
    }

    /// The number that stands for a site and a size, for [`Occupant::Pair`].
    pub(crate) fn pair(&mut self, block: Block) -> u32 {
        let next = self.pairs.len() as u32;
        let number = *self
            .pair_numbers
            .entry((block.site, block.size))
            .or_insert(next);
        if number == next {
            self.pairs.push(block);
        }
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn block(site: u32, size: u64) -> Block {
        Block { site, size }
    }

    fn insert(
        table: &mut LiveTable,
        address: u64,
        block: Block,
        served: u64,
    ) -> Result<Option<Block>, ()> {
        let occupant = if served < TWO_SLOTS {
            Occupant::Pair(table.pair(block))
        } else {
            Occupant::Block(block)
        };
        table.insert(address, occupant)
    }

    #[test]
    fn what_goes_in_comes_out_once() {
        let mut table = LiveTable::new();
        for (address, size, served) in [
            (0x1000, 1, 16),
            (0x1010, 16, 16),
            (0x1020, 0, 24),
            (0x7fff_ffff_fff0, 9, 16),
            (0x7fff_ffef_fff0, 40, 40),
            (0x2000, 5 << 32, 5 << 32),
            (0x3000, u64::from(u32::MAX), u64::from(u32::MAX)),
        ] {
            assert_eq!(
                insert(&mut table, address, block(7, size), served),
                Ok(None),
                "{address:x}"
            );
            assert_eq!(table.remove(address), Some(block(7, size)), "{address:x}");
            assert_eq!(table.remove(address), None, "{address:x}");
        }
    }

    #[test]
    fn an_address_given_out_twice_returns_the_old_block() {
        let mut table = LiveTable::new();
        assert_eq!(insert(&mut table, 0x1000, block(1, 64), 64), Ok(None));
        assert_eq!(
            insert(&mut table, 0x1000, block(2, 8), 16),
            Ok(Some(block(1, 64)))
        );
        assert_eq!(table.remove(0x1000), Some(block(2, 8)));
    }

    #[test]
    fn blocks_aligned_to_eight_refine_their_leaf() {
        let mut table = LiveTable::new();
        assert_eq!(insert(&mut table, 0x10_0000, block(1, 100), 112), Ok(None));
        assert_eq!(insert(&mut table, 0x10_0070, block(2, 3), 8), Ok(None));
        assert_eq!(insert(&mut table, 0x10_0078, block(3, 8), 8), Ok(None));
        assert_eq!(insert(&mut table, 0x10_0080, block(4, 24), 24), Ok(None));
        assert_eq!(insert(&mut table, 0x10_0098, block(5, 24), 24), Ok(None));
        let out: Vec<_> = [0x00u64, 0x70, 0x78, 0x80, 0x98]
            .map(|low| table.remove(0x10_0000 + low))
            .into();
        let expected = [
            block(1, 100),
            block(2, 3),
            block(3, 8),
            block(4, 24),
            block(5, 24),
        ]
        .map(Some);
        assert_eq!(out, expected);
    }

    #[test]
    fn agrees_with_a_map_over_a_long_random_history() {
        let mut table = LiveTable::new();
        let mut model = BTreeMap::new();
        let mut seed = 1u64;
        for _ in 0..200_000 {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let place = (seed >> 33) % 5000;
            let small = place.is_multiple_of(2);
            let address = 0x5555_0000_0000 + place * 64;
            let value = block(
                (seed >> 20) as u32 & 0xffff,
                if small { seed % 17 } else { 24 + seed % 9000 },
            );
            if seed >> 63 == 0 {
                let served = if small { 16 } else { value.size + 8 };
                assert_eq!(
                    insert(&mut table, address, value, served),
                    Ok(model.insert(address, value))
                );
            } else {
                assert_eq!(table.remove(address), model.remove(&address));
            }
        }
    }
}
