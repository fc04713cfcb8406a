//! A direct-mapped table of what was looked up lately, which grows when it turns out too small.
//!
//! Invariant: an entry is only ever found by its whole key; what collides is looked up again. One thread's own.

/// Entries at first, and at most.
const FEWEST: usize = 1 << 9;
const MOST: usize = 1 << 15;
/// How much larger a table gets at a time.
const GROWTH: u32 = 2;

/// The table. Its length is a power of two.
pub(super) struct Recent<T> {
    entries: Vec<T>,
    /// 64 less the bits of a place.
    shift: u32,
    empty: T,
    /// Look-ups that failed since the table has this size.
    misses: usize,
}

impl<T: Copy> Recent<T> {
    /// A table of `empty` entries, which no key is found in.
    pub(super) fn new(empty: T) -> Recent<T> {
        Recent {
            entries: vec![empty; FEWEST],
            shift: u64::BITS - FEWEST.ilog2(),
            empty,
            misses: 0,
        }
    }

    /// Forgets everything, and what size was needed.
    pub(super) fn clear(&mut self) {
        self.entries.truncate(FEWEST);
        self.shift = u64::BITS - FEWEST.ilog2();
        self.entries.fill(self.empty);
        self.entries.shrink_to_fit();
        self.misses = 0;
    }

    #[inline(always)]
    fn place(&self, key: u64) -> usize {
        let mixed = key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        // The uppermost bits are mixed best.
        (mixed >> self.shift) as usize
    }

    /// What lies where a key would.
    #[inline(always)]
    pub(super) fn at(&self, key: u64) -> &T {
        // SAFETY: a place has as many bits as the length, a power of two, so it is below it.
        unsafe { self.entries.get_unchecked(self.place(key)) }
    }

    /// Puts what was looked up elsewhere, as it was not here, where its key belongs.
    #[cold]
    #[inline(never)]
    pub(super) fn put(&mut self, key: u64, entry: T) {
        self.misses += 1;
        let larger = self.entries.len() << GROWTH;
        if self.misses > 2 * self.entries.len()
            && self.entries.len() < MOST
            && self
                .entries
                .try_reserve(larger - self.entries.len())
                .is_ok()
        {
            self.entries.fill(self.empty);
            self.entries.resize(larger, self.empty);
            self.shift -= GROWTH;
            self.misses = 0;
        }
        let place = self.place(key);
        if let Some(old) = self.entries.get_mut(place) {
            *old = entry;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_grows_until_all_keys_fit_and_no_further() {
        let mut recent = Recent::new(u64::MAX);
        for round in 0..40 {
            let mut found = 0;
            for key in 0..20_000u64 {
                if *recent.at(key) == key {
                    found += 1;
                } else {
                    recent.put(key, key);
                }
            }
            if round == 39 {
                assert!(found > 10_000, "{found}");
            }
        }
        assert_eq!(recent.entries.len(), MOST);
        recent.clear();
        assert_eq!(recent.entries.len(), FEWEST);
        assert!((0..20_000).all(|key| *recent.at(key) == u64::MAX));
    }
}
