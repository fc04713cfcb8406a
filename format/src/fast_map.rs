//! Maps whose keys are numbers of a capture: a multiplication spreads them well enough, and takes a tenth of the time of SipHash.
//!
//! Invariant: where a key lands depends on the process. Whoever makes a capture chooses its numbers, but cannot choose them so that
//! they all land in one place, which would make a map a list. So the order of a map's entries must not be seen.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};

/// A map from numbers.
pub type FastMap<K, V> = HashMap<K, V, Seeded>;

/// Where a map's hashes begin.
#[derive(Clone, Copy, Debug)]
pub struct Seeded(u64);

impl Default for Seeded {
    /// From addresses, which the system chooses anew for each process: asking it for a number, as the standard library's maps do,
    /// is not for the preload library, which encodes captures with these too.
    fn default() -> Self {
        let on_the_stack = 0u8;
        let in_the_program: fn() -> Self = Self::default;
        let mut hasher = Spread(in_the_program as usize as u64);
        hasher.write_u64(&raw const on_the_stack as u64);
        Seeded(hasher.finish())
    }
}

impl BuildHasher for Seeded {
    type Hasher = Spread;

    fn build_hasher(&self) -> Spread {
        Spread(self.0)
    }
}

/// Multiplies by 2⁶⁴ / φ (Knuth, The Art of Computer Programming, 6.4) and folds the halves.
#[derive(Clone, Copy, Debug)]
pub struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        let product = u128::from(self.0.rotate_left(23) ^ number) * 0x9e37_79b9_7f4a_7c15;
        self.0 = product as u64 ^ (product >> 64) as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers whose hashes end alike under one seed, as somebody would search them out.
    #[test]
    fn numbers_that_collide_under_one_seed_do_not_under_another() {
        let end = |seed: u64, number: u64| Seeded(seed).hash_one(number) & 0xfff;
        let chosen: Vec<u64> = (0..)
            .filter(|&number| end(7, number) == 0)
            .take(256)
            .collect();
        for seed in [8, 7 << 40, u64::MAX / 3] {
            let alike = chosen
                .iter()
                .filter(|&&number| end(seed, number) == end(seed, chosen[0]));
            assert!(alike.count() < 16, "seed {seed}");
        }
    }
}
