//! The books: what each event changes. Blocks are in [`blocks`], mappings in [`ranges`].
//!
//! Invariants: see `counters`; a block is in exactly one place: the live table, a thread's pending resize, or nowhere.
//! After the freeze only `shutdown` moves. Pure: no I/O, no clock, no threads.

mod blocks;
mod brief;
mod exposure;
mod mappings;
mod ranges;
#[cfg(test)]
mod tests;

use pytrace_format::record::{Counters, Domain, Quality, Shutdown};

use super::counters::Tally;
use super::live::{Block, LiveTable};
use super::peak::PeakNumber;
use super::pools::Pools;
use super::sizes::Sizes;
use crate::counts::Sum;
use crate::events::event::{Control, Event, Kind};
use crate::stack::intern;
use exposure::Exposure;
use mappings::{Mappings, Piece};

/// What is kept per thread between its events.
#[derive(Default)]
pub(crate) struct ThreadState {
    /// Upper half of the next event's size and its served bytes.
    wide: Option<(u64, u64)>,
    /// The block that a resize took out.
    pending: Option<Pending>,
    /// The pieces of mappings that a `mremap` took out.
    pending_pieces: Vec<Piece>,
    /// Address of the last birth, of a block or a mapping; 0 when it was freed.
    last_birth: u64,
    exposure: Exposure,
}

impl ThreadState {
    /// The state of the slot's next owner.
    pub(crate) fn of_next_owner(&self) -> Self {
        ThreadState {
            exposure: self.exposure.of_next_owner(),
            ..ThreadState::default()
        }
    }
}

/// A block between the two halves of a resize.
#[derive(Clone, Copy)]
struct Pending {
    address: u64,
    /// `None`: not a block that we know.
    block: Option<Block>,
    /// The class of the pool it came from, if it came from one: what it was served.
    pool_served: Option<u64>,
}

/// Rows of sites that are made at a time.
const SITES_AT_A_TIME: usize = 256;

/// A site's row.
#[derive(Clone, Copy, Default)]
pub(crate) struct SiteTally {
    pub(crate) tally: Tally,
    pub(crate) domain: u8,
    /// Changed since the capture was last written.
    changed: bool,
    /// In the list of those that the next peak changes.
    below_peak: bool,
    /// The live table's number for blocks of this site of a small size, and that size + 1 (0: none was asked for).
    pair: u32,
    pair_size: u8,
}

/// What a domain, or the total, has beside the sums over its sites.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Extremes {
    live_bytes: u64,
    pub(crate) max_live_bytes: u64,
    pub(crate) max_live_at_ns: u64,
    pub(crate) max_size_bytes: u64,
}

impl Extremes {
    /// Bytes live now.
    pub(crate) fn live_bytes(&self) -> u64 {
        self.live_bytes
    }

    #[inline(always)]
    fn enter(&mut self, size: u64) {
        self.live_bytes = self.live_bytes.wrapping_add(size);
    }

    #[inline(always)]
    fn leave(&mut self, size: u64) {
        self.live_bytes = self.live_bytes.wrapping_sub(size);
    }

    /// Whether so much more would be no new maximum.
    #[inline(always)]
    fn has_room_for(&self, size: u64) -> bool {
        self.live_bytes.wrapping_add(size) <= self.max_live_bytes
    }

    /// Whether the live bytes are higher than ever.
    #[inline(always)]
    fn note_maximum(&mut self, now_ns: u64) -> bool {
        if self.live_bytes <= self.max_live_bytes {
            return false;
        }
        self.max_live_bytes = self.live_bytes;
        self.max_live_at_ns = now_ns;
        true
    }
}

/// Everything that is counted. Counters are kept per site; a domain's are the sums over its sites, made when they are
/// asked for.
pub(crate) struct Books {
    live: LiveTable,
    mappings: Mappings,
    pub(crate) pools: Pools,
    sites: Vec<SiteTally>,
    changed_sites: Vec<u32>,
    /// Sites that were told with another value at the peak than now: the next peak changes it without an event.
    below_peak: Vec<u32>,
    /// The peak as of which sites were told.
    peak_told: PeakNumber,
    pub(crate) domains: [Extremes; 5],
    total: Extremes,
    pub(crate) sizes: [Sizes; 5],
    pub(crate) peak: PeakNumber,
    pub(crate) quality: Quality,
    pub(crate) shutdown: Shutdown,
    pub(crate) frozen: bool,
    shown: [bool; 5],
    paused: bool,
    was_paused: bool,
    is_forked_child: bool,
    /// Time that events applied now are stamped with, nanoseconds since the start.
    pub(crate) now_ns: u64,
}

/// A request's numbers, as an event and its prefix give them.
#[derive(Clone, Copy)]
struct Request {
    size: u64,
    served: u64,
}

impl Books {
    pub(crate) fn new(shown: [bool; 5], is_forked_child: bool) -> Self {
        Books {
            live: LiveTable::new(),
            mappings: Mappings::default(),
            pools: Pools::new(),
            sites: vec![SiteTally::default(); SITES_AT_A_TIME],
            changed_sites: Vec::new(),
            below_peak: Vec::new(),
            peak_told: 0,
            domains: [Extremes::default(); 5],
            total: Extremes::default(),
            sizes: core::array::from_fn(|_| Sizes::new()),
            peak: 0,
            quality: Quality::default(),
            shutdown: Shutdown::default(),
            frozen: false,
            shown,
            paused: false,
            was_paused: false,
            is_forked_child,
            now_ns: 0,
        }
    }

    /// Applies one event of a thread. The usual ones, births and deaths of blocks whose event says all, become part of the
    /// caller's loop.
    #[inline(always)]
    pub(crate) fn apply(&mut self, thread: &mut ThreadState, event: Event) {
        let is_plain = thread.wide.is_none() && !event.is_mapping();
        match event.kind() {
            Kind::Birth if is_plain => {
                let low = event.size_low();
                let request = Request {
                    size: low,
                    served: low + event.slack(),
                };
                self.note_event(thread, low);
                self.birth(thread, event, request);
            }
            Kind::Death if is_plain => {
                self.note_event(thread, 0);
                self.death(thread, event);
            }
            _ => self.apply_otherwise(thread, event),
        }
    }

    #[inline(always)]
    fn note_event(&mut self, thread: &mut ThreadState, size: u64) {
        self.quality.events += 1;
        let rise = thread.exposure.note_event(size);
        if rise != 0 && !self.frozen {
            self.quality.peak_error_bytes += rise;
        }
    }

    #[inline(never)]
    fn apply_otherwise(&mut self, thread: &mut ThreadState, event: Event) {
        match event.kind() {
            Kind::Wide => {
                thread.wide = Some((event.size_high(), event.body()));
                return;
            }
            Kind::Segment => return self.start_segment(thread, event.body()),
            Kind::Control => return self.control(event),
            _ => {}
        }
        let low = event.size_low();
        let request = match thread.wide.take() {
            None => Request {
                size: low,
                served: low + event.slack(),
            },
            Some((high, served)) => Request {
                size: high | low,
                served,
            },
        };
        if event.is_mapping() {
            self.note_event(thread, 0); // the total leaves mappings out
            return self.mapping(thread, event, request);
        }
        self.note_event(thread, request.size);
        match event.kind() {
            Kind::Birth => self.birth(thread, event, request),
            Kind::Death => self.death(thread, event),
            Kind::ResizeOut => self.resize_out(thread, event.address()),
            Kind::ResizeIn => self.resize_in(thread, event, request),
            _ => self.resize_failed(thread),
        }
    }

    /// Takes over what was counted in a domain since the start (`counts` mode).
    pub(crate) fn take_counted(&mut self, domain: Domain, sum: &Sum) {
        if self.is_shown(domain) && !self.frozen {
            let row = self.site(intern::bare_site(domain));
            row.domain = domain as u8;
            row.tally = Tally::counted(sum);
            self.domains[domain as usize].max_size_bytes = sum.max_size_bytes;
            self.sizes[domain as usize].replace(&sum.sizes);
        }
    }

    /// Takes over the arenas that a forked child has from its parent.
    pub(crate) fn inherit_arenas(&mut self, places: impl Iterator<Item = (u64, u64)>) {
        for (start, bytes) in places {
            self.pools.arena_mapped(start, bytes, self.peak);
        }
    }

    fn control(&mut self, event: Event) {
        match event.control_kind() {
            // After the freeze arenas are the tear-down's.
            Control::ArenaMapped | Control::ArenaUnmapped if self.frozen => {}
            Control::ArenaMapped => {
                let start = event.address();
                self.pools.arena_mapped(start, event.body(), self.peak);
            }
            Control::ArenaUnmapped => {
                let start = event.address();
                self.pools.arena_unmapped(start, event.body(), self.peak);
            }
            Control::Freeze => self.frozen = true,
            Control::Paused => {
                self.paused = true;
                self.was_paused = true;
            }
            Control::Resumed => self.paused = false,
            Control::Clock => {}
        }
    }

    #[inline(always)]
    fn is_shown(&self, domain: Domain) -> bool {
        self.shown[domain as usize]
    }

    /// A site's row, made if it is not there yet, and noted as changed.
    #[inline(always)]
    fn site(&mut self, site: u32) -> &mut SiteTally {
        let mut site = site;
        if site as usize >= self.sites.len() && !self.grow_sites(site) {
            site = 0;
        }
        let row = &mut self.sites[site as usize];
        if !row.changed {
            row.changed = true;
            self.changed_sites.push(site);
        }
        row
    }

    /// Whether a block of this site was ever born.
    #[inline(always)]
    fn is_site(&self, site: u32) -> bool {
        (site as usize) < self.sites.len()
    }

    #[cold]
    #[inline(never)]
    fn grow_sites(&mut self, site: u32) -> bool {
        // A little more than is needed: rows that are not used yet should take no memory.
        let rows = site as usize + SITES_AT_A_TIME;
        let has_room = self.sites.try_reserve(rows - self.sites.len()).is_ok();
        if has_room {
            self.sites.resize(rows, SiteTally::default());
        }
        has_room
    }

    /// The counters of a domain (`None`: of the total), as sums over the sites.
    pub(crate) fn counters(&self, domain: Option<Domain>) -> Counters {
        let mut sum = Counters::default();
        for row in &self.sites {
            let counted = match domain {
                Some(domain) => row.domain == domain as u8,
                None => row.domain != Domain::Mmap as u8,
            };
            if counted {
                row.tally.add_to(&mut sum, self.peak);
            }
        }
        sum
    }

    /// What the total has beside the sums.
    pub(crate) fn total_extremes(&self) -> Extremes {
        let counted = self.domains.iter().take(Domain::Mmap as usize);
        Extremes {
            max_size_bytes: counted
                .map(|domain| domain.max_size_bytes)
                .max()
                .unwrap_or(0),
            ..self.total
        }
    }

    /// Address space that the live table takes, and how much of it is in memory, bytes.
    pub(crate) fn table_memory(&self) -> (u64, u64) {
        self.live.memory()
    }

    /// All rows that were ever used, by site.
    pub(crate) fn sites(&self) -> &[SiteTally] {
        &self.sites
    }

    /// Takes the numbers of the sites whose counters read otherwise than when this was last asked: those that an event
    /// touched, and those that a new peak found at rest (what they were at the old peak was told; now they are at theirs).
    pub(crate) fn take_changed_sites(&mut self) -> Vec<u32> {
        let peak = self.peak;
        if self.peak_told != peak {
            self.peak_told = peak;
            for site in core::mem::take(&mut self.below_peak) {
                self.site(site).below_peak = false;
            }
        }
        let changed = core::mem::take(&mut self.changed_sites);
        for &site in &changed {
            if let Some(row) = self.sites.get_mut(site as usize) {
                row.changed = false;
                if !row.below_peak && row.tally.differs_from_peak(peak) {
                    row.below_peak = true;
                    self.below_peak.push(site);
                }
            }
        }
        changed
    }
}
