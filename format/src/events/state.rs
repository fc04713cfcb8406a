//! What the next step is compared with, on both sides alike.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// The last of everything.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) at_ns: u64,
    pub(super) thread: u32,
    pub(super) site: u32,
    /// Address of the last block given out, and of the last one given back.
    pub(super) given: u64,
    pub(super) freed: u64,
    pub(super) arena: u64,
    sites: HashMap<u32, SiteState, BuildHasherDefault<SiteHasher>>,
}

/// The last of a site.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SiteState {
    pub(super) address: u64,
    pub(super) size_bytes: u64,
    pub(super) slack_bytes: u64,
}

impl State {
    /// The last of that site; `None`: there is no memory for another one.
    pub(super) fn site(&mut self, site: u32) -> Option<&mut SiteState> {
        // Room for one more costs nothing where there is some. The table grows with the steps, not with the numbers they hold.
        self.sites.try_reserve(1).ok()?;
        Some(self.sites.entry(site).or_default())
    }
}

/// Spreads the numbers of sites, which are counted from 1, over all bits (the finalizer of MurmurHash3, by Austin Appleby).
#[derive(Clone, Copy, Debug, Default)]
struct SiteHasher(u64);

impl Hasher for SiteHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        let mut mixed = self.0 ^ u64::from(number);
        mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        self.0 = mixed ^ (mixed >> 33);
    }
}
