//! The books: what each event changes.
//!
//! Invariants: see `counters`; a block is in exactly one place: the live table, a thread's pending resize, or nowhere.
//! After the freeze only `shutdown` moves. Pure: no I/O, no clock, no threads.

use pytrace_format::record::{Counters, Domain, Quality, Shutdown};

use super::counters::Tally;
use super::live::{Block, LiveTable, Occupant, TWO_SLOTS};
use super::mappings::{Mappings, Piece, Removed};
use super::peak::PeakNumber;
use super::pools::Pools;
use super::sizes::Sizes;
use crate::events::event::{Control, Event, Kind};
use crate::python::arenas;

/// The smallest block that malloc serves, bytes.
const MALLOC_SMALLEST: u64 = 24;

/// What is kept per thread between its events.
#[derive(Default)]
pub(crate) struct ThreadState {
    /// Upper half of the next event's size and its served bytes.
    wide: Option<(u64, u64)>,
    /// The block that a resize took out.
    pending: Option<Pending>,
    /// The pieces of mappings that a `mremap` took out.
    pending_pieces: Vec<Piece>,
    /// Address of the last birth; 0 when it was freed.
    last_birth: u64,
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
            sites: Vec::new(),
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

    /// Applies one event of a thread.
    #[inline]
    pub(crate) fn apply(&mut self, thread: &mut ThreadState, event: Event) {
        match event.kind() {
            Kind::Wide => {
                thread.wide = Some((event.size_high(), event.body()));
                return;
            }
            Kind::Segment => return,
            Kind::Control => return self.control(event),
            _ => {}
        }
        self.quality.events += 1;
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
        if event.domain() == Domain::Mmap {
            return self.mapping(thread, event, request);
        }
        match event.kind() {
            Kind::Birth => self.birth(thread, event, request),
            Kind::Death => self.death(thread, event.address()),
            Kind::ResizeOut => self.resize_out(thread, event.address()),
            Kind::ResizeIn => self.resize_in(thread, event, request),
            _ => self.resize_failed(thread),
        }
    }

    fn control(&mut self, event: Event) {
        match event.control_kind() {
            Control::ArenaMapped => {
                let bytes = event.body();
                self.pools
                    .arena_mapped(bytes, arenas::pool_bytes(bytes), self.peak);
            }
            Control::ArenaUnmapped => {
                if !self.frozen {
                    self.pools.arena_unmapped(self.peak);
                }
            }
            Control::Freeze => self.frozen = true,
            Control::Paused => {
                self.paused = true;
                self.was_paused = true;
            }
            Control::Resumed => self.paused = false,
        }
    }

    #[inline(always)]
    fn birth(&mut self, thread: &mut ThreadState, event: Event, request: Request) {
        if self.frozen {
            self.shutdown.allocations += 1;
            self.shutdown.requested_bytes += request.size;
            return;
        }
        let address = event.address();
        thread.last_birth = address;
        let block = Block {
            site: event.site(),
            size: request.size,
        };
        self.put(address, block, request.served, event.is_pymalloc());
        self.enter_new(event.domain(), block, request.served);
    }

    /// A new block of a domain enters the books.
    #[inline(always)]
    fn enter_new(&mut self, domain: Domain, block: Block, served: u64) {
        let peak = self.peak;
        let shown = self.is_shown(domain);
        let site = self.site(block.site);
        site.domain = domain as u8;
        if shown {
            site.tally.birth(block.size, served, peak);
            self.sizes[domain as usize].allocated(block.size);
            self.enter(domain, block.size);
        }
    }

    #[inline(always)]
    fn death(&mut self, thread: &mut ThreadState, address: u64) {
        if self.frozen {
            self.shutdown.frees += 1;
            return;
        }
        let Some(block) = self.take(address) else {
            return self.unmatched();
        };
        let temporary = thread.last_birth == address;
        if temporary {
            thread.last_birth = 0;
        }
        self.retire(block, temporary);
    }

    /// Takes the block at an address out of the table, and out of its pool.
    #[inline(always)]
    fn take(&mut self, address: u64) -> Option<Block> {
        let block = self.live.remove(address)?;
        if let Some(pool) = self.live.pool(address, self.pools.pool_shift) {
            self.pools.death(pool, self.peak);
        }
        Some(block)
    }

    /// A block is live no more.
    #[inline(always)]
    fn retire(&mut self, block: Block, temporary: bool) {
        let (peak, shown) = (self.peak, self.shown);
        let site = self.site(block.site);
        let domain = usize::from(site.domain);
        if shown.get(domain) != Some(&true) {
            return;
        }
        site.tally.death(block.size, peak);
        site.tally.temporary += u64::from(temporary);
        self.sizes[domain].freed(block.size);
        self.leave(domain, block.size);
    }

    /// Live bytes come to a domain.
    #[inline(always)]
    fn enter(&mut self, domain: Domain, size: u64) {
        let extremes = &mut self.domains[domain as usize];
        extremes.enter(size);
        extremes.max_size_bytes = extremes.max_size_bytes.max(size);
        extremes.note_maximum(self.now_ns);
        if domain != Domain::Mmap {
            self.total.enter(size);
            if self.total.note_maximum(self.now_ns) {
                self.peak += 1;
            }
        }
    }

    /// Live bytes leave a domain.
    #[inline(always)]
    fn leave(&mut self, domain: usize, size: u64) {
        self.domains[domain].leave(size);
        if domain != Domain::Mmap as usize {
            self.total.leave(size);
        }
    }

    fn resize_out(&mut self, thread: &mut ThreadState, address: u64) {
        if self.frozen {
            return;
        }
        let shift = self.pools.pool_shift;
        let pool_served = self
            .live
            .pool(address, shift)
            .and_then(|pool| pool.served_bytes());
        thread.pending = Some(Pending {
            address,
            block: self.take(address),
            pool_served,
        });
    }

    fn resize_failed(&mut self, thread: &mut ThreadState) {
        if let Some(Pending {
            address,
            block: Some(block),
            pool_served,
        }) = thread.pending.take()
        {
            // Outside the pools, what it was served decides nothing but its number of slots.
            let served = pool_served.unwrap_or_else(|| block.size.max(MALLOC_SMALLEST));
            self.put(address, block, served, pool_served.is_some());
        }
    }

    fn resize_in(&mut self, thread: &mut ThreadState, event: Event, request: Request) {
        if self.frozen {
            return;
        }
        let (address, domain, peak) = (event.address(), event.domain(), self.peak);
        let Request { size, served } = request;
        let block = Block {
            site: event.site(),
            size,
        };
        let pending = thread.pending.take();
        let old = pending.and_then(|pending| pending.block);
        if pending.is_some_and(|pending| pending.address == thread.last_birth) {
            thread.last_birth = address;
        }
        if let Some(old) = old {
            self.put(address, block, served, event.is_pymalloc());
            let old_domain = usize::from(self.site(old.site).domain);
            if old_domain != domain as usize {
                // Born through one API, resized through another: it changes books as a death and a birth.
                self.retire(old, false);
                return self.enter_new(domain, block, served);
            }
        }
        self.site(block.site).domain = domain as u8;
        if !self.is_shown(domain) {
            return;
        }
        if old.is_none() && self.paused {
            // Born unseen, resized while nothing is to be recorded.
            return;
        }
        // A block from before the tracing stays outside the books: it enters neither side.
        match old {
            Some(old) => {
                self.site(old.site).tally.leave(old.size, peak);
                self.site(block.site).tally.enter(size, peak);
                self.sizes[domain as usize].freed(old.size);
                self.leave(domain as usize, old.size);
            }
            None => self.sizes[domain as usize].freed(size),
        }
        let site = self.site(block.site);
        site.tally.reallocations += 1;
        site.tally.asked(size, served);
        self.sizes[domain as usize].allocated(size);
        if old.is_some() {
            self.enter(domain, size);
        }
    }

    /// Puts a block into the table; one that was thought to be there is retired.
    #[inline(always)]
    fn put(&mut self, address: u64, block: Block, served: u64, pymalloc: bool) {
        let occupant = if served.max(block.size) < TWO_SLOTS {
            Occupant::Pair(self.pair(block))
        } else {
            Occupant::Block(block)
        };
        match self.live.insert(address, occupant) {
            Ok(None) => {}
            Ok(Some(old)) => self.miss_free(address, old),
            Err(()) => self.quality.lost_events += 1,
        }
        if pymalloc && let Some(pool) = self.live.pool(address, self.pools.pool_shift) {
            self.pools.birth(pool, served, self.peak);
        }
    }

    /// The live table's number for a small block: mostly that of the site's last one.
    #[inline(always)]
    fn pair(&mut self, block: Block) -> u32 {
        let size_mark = block.size as u8 + 1;
        let row = self.site(block.site);
        if row.pair_size == size_mark {
            return row.pair;
        }
        let number = self.live.pair(block);
        let row = self.site(block.site);
        row.pair = number;
        row.pair_size = size_mark;
        number
    }

    /// An address was given out again although the block there was not seen to be freed.
    #[cold]
    #[inline(never)]
    fn miss_free(&mut self, address: u64, old: Block) {
        self.quality.missed_frees += 1;
        if let Some(pool) = self.live.pool(address, self.pools.pool_shift) {
            self.pools.death(pool, self.peak);
        }
        self.retire(old, false);
    }

    fn unmatched(&mut self) {
        let quality = &mut self.quality;
        if self.is_forked_child {
            quality.inherited_frees += 1;
        } else if self.was_paused {
            quality.unmatched_while_paused += 1;
        } else {
            quality.unmatched_frees += 1;
        }
    }

    /// An event of the mmap domain. After the freeze mappings are not counted: they are the interpreter's and libc's.
    fn mapping(&mut self, thread: &mut ThreadState, event: Event, request: Request) {
        if self.frozen {
            return;
        }
        let (address, size) = (event.address(), request.size);
        match event.kind() {
            Kind::Birth => self.map(event, size),
            Kind::Death => {
                let pieces = self.mappings.take(address, size);
                self.unmap(pieces);
            }
            Kind::ResizeOut => thread.pending_pieces = self.mappings.take(address, size),
            Kind::ResizeFailed => self
                .mappings
                .put_back(core::mem::take(&mut thread.pending_pieces)),
            _ => {
                let pieces = core::mem::take(&mut thread.pending_pieces);
                self.remap(pieces, event, size);
            }
        }
    }

    fn map(&mut self, event: Event, size: u64) {
        let overlaid = self.mappings.take(event.address(), size);
        self.unmap(overlaid);
        self.mappings.insert(event.address(), size, event.site());
        let block = Block {
            site: event.site(),
            size,
        };
        self.enter_new(Domain::Mmap, block, size);
    }

    /// Takes pieces of mappings off the books: a block that loses its last byte is freed.
    fn unmap(&mut self, pieces: Vec<Piece>) {
        let peak = self.peak;
        for removed in self.mappings.settle(&pieces) {
            if !self.is_shown(Domain::Mmap) {
                continue;
            }
            if removed.ended {
                self.site(removed.site).tally.death(removed.bytes, peak);
                self.sizes[Domain::Mmap as usize].freed(removed.born_bytes);
            } else {
                self.site(removed.site).tally.shrink(removed.bytes, peak);
            }
            self.leave(Domain::Mmap as usize, removed.bytes);
        }
    }

    /// A mapping was resized or moved. One that is moved whole keeps its identity, as a reallocated block does; part of
    /// one becomes a block of its own; one that was never counted stays uncounted.
    fn remap(&mut self, pieces: Vec<Piece>, event: Event, size: u64) {
        if pieces.is_empty() {
            return;
        }
        if !self.mappings.is_whole_block(&pieces) {
            self.unmap(pieces);
            return self.map(event, size);
        }
        let settled = self.mappings.settle(&pieces);
        let (Some(last), bytes) = (
            settled.last(),
            settled.iter().map(|removed| removed.bytes).sum(),
        ) else {
            return;
        };
        let whole = Removed { bytes, ..*last };
        let overlaid = self.mappings.take(event.address(), size);
        self.unmap(overlaid);
        self.mappings.insert(event.address(), size, event.site());
        self.site(event.site()).domain = Domain::Mmap as u8;
        if !self.is_shown(Domain::Mmap) {
            return;
        }
        let peak = self.peak;
        self.site(whole.site).tally.leave(whole.bytes, peak);
        self.leave(Domain::Mmap as usize, whole.bytes);
        let site = self.site(event.site());
        site.tally.enter(size, peak);
        site.tally.reallocations += 1;
        site.tally.asked(size, size);
        let sizes = &mut self.sizes[Domain::Mmap as usize];
        sizes.freed(whole.born_bytes);
        sizes.allocated(size);
        self.enter(Domain::Mmap, size);
    }

    #[inline(always)]
    fn is_shown(&self, domain: Domain) -> bool {
        self.shown[domain as usize]
    }

    /// A site's row, made if it is not there yet, and noted as changed.
    #[inline(always)]
    fn site(&mut self, site: u32) -> &mut SiteTally {
        if site as usize >= self.sites.len() {
            self.grow_sites(site);
        }
        let row = &mut self.sites[site as usize];
        if !row.changed {
            row.changed = true;
            self.changed_sites.push(site);
        }
        row
    }

    #[cold]
    #[inline(never)]
    fn grow_sites(&mut self, site: u32) {
        let rows = (site as usize + 1).next_power_of_two();
        self.sites.resize(rows, SiteTally::default());
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
