//! What the next step is compared with, on both sides alike.

use crate::fast_map::FastMap;

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
    sites: FastMap<u32, SiteState>,
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
