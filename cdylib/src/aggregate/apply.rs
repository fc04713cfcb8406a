//! The books: what each event changes.
//!
//! Invariants: see `counters`; a block is in exactly one place: the live table, a thread's pending resize, or nowhere.
//! After the freeze only `shutdown` moves. Pure: no I/O, no clock, no threads.

use pytrace_format::record::{Domain, Quality, Shutdown};

use super::counters::Tally;
use super::live::{Block, LiveTable};
use super::mappings::{Mappings, Piece, Removed};
use super::peak::PeakNumber;
use super::pools::Pools;
use super::sizes::Sizes;
use crate::events::event::{Control, Event, Kind};
use crate::python::arenas;

/// What is kept per thread between its events.
#[derive(Default)]
pub(crate) struct ThreadState {
    /// Upper half of the next event's size and its served bytes.
    wide: Option<(u64, u64)>,
    /// The block that a resize took out, where it was.
    pending: Option<(u64, Option<Block>)>,
    /// The pieces of mappings that a `mremap` took out.
    pending_pieces: Vec<Piece>,
    /// Address of the last birth; 0 when it was freed.
    last_birth: u64,
}

/// A site's row.
#[derive(Clone, Copy, Default)]
pub(crate) struct SiteTally {
    pub(crate) tally: Tally,
    domain: u8,
    /// Changed since the capture was last written.
    changed: bool,
}

/// A domain's row, or the total's.
pub(crate) struct ScopeTally {
    pub(crate) tally: Tally,
    pub(crate) max_live_bytes: u64,
    pub(crate) max_live_at_ns: u64,
    pub(crate) max_size_bytes: u64,
}

/// Everything that is counted.
pub(crate) struct Books {
    live: LiveTable,
    mappings: Mappings,
    pub(crate) pools: Pools,
    sites: Vec<SiteTally>,
    changed_sites: Vec<u32>,
    pub(crate) domains: [ScopeTally; 5],
    pub(crate) total: ScopeTally,
    pub(crate) sizes: [Sizes; 5],
    pub(crate) peak: PeakNumber,
    pub(crate) quality: Quality,
    pub(crate) shutdown: Shutdown,
    pub(crate) frozen: bool,
    shown: [bool; 5],
    was_paused: bool,
    is_forked_child: bool,
    /// Time that events applied now are stamped with, nanoseconds since the start.
    pub(crate) now_ns: u64,
}

impl ScopeTally {
    fn new() -> Self {
        ScopeTally {
            tally: Tally::default(),
            max_live_bytes: 0,
            max_live_at_ns: 0,
            max_size_bytes: 0,
        }
    }

    /// Whether the live bytes are higher than ever.
    #[inline(always)]
    fn note_maximum(&mut self, now_ns: u64) -> bool {
        let live = self.tally.live_bytes();
        if live <= self.max_live_bytes {
            return false;
        }
        self.max_live_bytes = live;
        self.max_live_at_ns = now_ns;
        true
    }
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
            domains: core::array::from_fn(|_| ScopeTally::new()),
            total: ScopeTally::new(),
            sizes: core::array::from_fn(|_| Sizes::new()),
            peak: 0,
            quality: Quality::default(),
            shutdown: Shutdown::default(),
            frozen: false,
            shown,
            was_paused: false,
            is_forked_child,
            now_ns: 0,
        }
    }

    /// Fetches ahead what an event will touch.
    #[inline(always)]
    pub(crate) fn prefetch(&mut self, event: Event) {
        self.live.prefetch(event.address());
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
            Control::Paused => self.was_paused = true,
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
        let domain = event.domain();
        if !self.is_shown(domain) {
            self.site(block.site).domain = domain as u8;
            return;
        }
        let (now_ns, peak) = (self.now_ns, self.peak);
        self.site(block.site).domain = domain as u8;
        self.site(block.site)
            .tally
            .birth(request.size, request.served, peak);
        self.count(domain, |scope| {
            scope.tally.birth(request.size, request.served, peak);
            scope.max_size_bytes = scope.max_size_bytes.max(request.size);
        });
        self.sizes[domain as usize].allocated(request.size);
        self.note_maximum(domain, now_ns);
    }

    #[inline(always)]
    fn death(&mut self, thread: &mut ThreadState, address: u64) {
        if self.frozen {
            self.shutdown.frees += 1;
            return;
        }
        let Some(block) = self.live.remove(address) else {
            return self.unmatched();
        };
        self.pools.death(address, self.peak);
        let temporary = thread.last_birth == address;
        if temporary {
            thread.last_birth = 0;
        }
        self.retire(block, temporary);
    }

    /// A block is live no more.
    #[inline(always)]
    fn retire(&mut self, block: Block, temporary: bool) {
        let peak = self.peak;
        let site = self.site(block.site);
        let Some(domain) = Domain::from_u8(site.domain) else {
            return;
        };
        if !self.is_shown(domain) {
            return;
        }
        let site = self.site(block.site);
        site.tally.death(block.size, peak);
        site.tally.temporary += u64::from(temporary);
        self.count(domain, |scope| {
            scope.tally.death(block.size, peak);
            scope.tally.temporary += u64::from(temporary);
        });
        self.sizes[domain as usize].freed(block.size);
    }

    fn resize_out(&mut self, thread: &mut ThreadState, address: u64) {
        if self.frozen {
            return;
        }
        let block = self.live.remove(address);
        if block.is_some() {
            self.pools.death(address, self.peak);
        }
        thread.pending = Some((address, block));
    }

    fn resize_failed(&mut self, thread: &mut ThreadState) {
        let Some((address, Some(block))) = thread.pending.take() else {
            return;
        };
        // The block has the size it had; what it was served decides nothing but its number of slots.
        self.put(address, block, block.size, false);
    }

    fn resize_in(&mut self, thread: &mut ThreadState, event: Event, request: Request) {
        if self.frozen {
            return;
        }
        let address = event.address();
        let pending = thread.pending.take();
        let domain = event.domain();
        let (peak, now_ns) = (self.peak, self.now_ns);
        let old = pending.and_then(|(_, block)| block);
        let block = Block {
            site: event.site(),
            size: request.size,
        };
        self.site(block.site).domain = domain as u8;
        if let (Some((was_at, Some(_))), true) = (pending, thread.last_birth != 0)
            && thread.last_birth == was_at
        {
            thread.last_birth = address;
        }
        if let Some(old) = old {
            self.put(address, block, request.served, event.is_pymalloc());
            let old_domain = Domain::from_u8(self.site(old.site).domain).unwrap_or(domain);
            if old_domain != domain {
                // Born through one API, resized through another: it changes books as a death and a birth.
                self.retire(old, false);
                if self.is_shown(domain) {
                    self.site(block.site)
                        .tally
                        .birth(request.size, request.served, peak);
                    self.count(domain, |scope| {
                        scope.tally.birth(request.size, request.served, peak)
                    });
                    self.sizes[domain as usize].allocated(request.size);
                    self.note_maximum(domain, now_ns);
                }
                return;
            }
        }
        if !self.is_shown(domain) {
            return;
        }
        if let Some(old) = old {
            self.site(old.site).tally.leave(old.size, peak);
            self.site(block.site).tally.enter(request.size, peak);
            self.count(domain, |scope| {
                scope.tally.leave(old.size, peak);
                scope.tally.enter(request.size, peak);
            });
            self.sizes[domain as usize].freed(old.size);
        } else {
            // A block from before the tracing stays outside the books: it enters neither side.
            self.sizes[domain as usize].freed(request.size);
        }
        let site = self.site(block.site);
        site.tally.reallocations += 1;
        site.tally.asked(request.size, request.served);
        self.count(domain, |scope| {
            scope.tally.reallocations += 1;
            scope.tally.asked(request.size, request.served);
            scope.max_size_bytes = scope.max_size_bytes.max(request.size);
        });
        self.sizes[domain as usize].allocated(request.size);
        self.note_maximum(domain, now_ns);
    }

    /// Puts a block into the table; one that was thought to be there is retired.
    #[inline(always)]
    fn put(&mut self, address: u64, block: Block, served: u64, pymalloc: bool) {
        match self.live.insert(address, block, served) {
            Ok(None) => {}
            Ok(Some(old)) => {
                self.quality.missed_frees += 1;
                self.pools.death(address, self.peak);
                self.retire(old, false);
            }
            Err(()) => self.quality.lost_events += 1,
        }
        if pymalloc {
            self.pools.birth(address, served, self.peak);
        }
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
        self.site(event.site()).domain = Domain::Mmap as u8;
        if !self.is_shown(Domain::Mmap) {
            return;
        }
        let (peak, now_ns) = (self.peak, self.now_ns);
        self.site(event.site()).tally.birth(size, size, peak);
        self.count(Domain::Mmap, |scope| {
            scope.tally.birth(size, size, peak);
            scope.max_size_bytes = scope.max_size_bytes.max(size);
        });
        self.sizes[Domain::Mmap as usize].allocated(size);
        self.note_maximum(Domain::Mmap, now_ns);
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
                self.count(Domain::Mmap, |scope| scope.tally.death(removed.bytes, peak));
                self.sizes[Domain::Mmap as usize].freed(removed.born_bytes);
            } else {
                self.site(removed.site).tally.shrink(removed.bytes, peak);
                self.count(Domain::Mmap, |scope| {
                    scope.tally.shrink(removed.bytes, peak)
                });
            }
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
        let (peak, now_ns) = (self.peak, self.now_ns);
        self.site(whole.site).tally.leave(whole.bytes, peak);
        let site = self.site(event.site());
        site.tally.enter(size, peak);
        site.tally.reallocations += 1;
        site.tally.asked(size, size);
        self.count(Domain::Mmap, |scope| {
            scope.tally.leave(whole.bytes, peak);
            scope.tally.enter(size, peak);
            scope.tally.reallocations += 1;
            scope.tally.asked(size, size);
            scope.max_size_bytes = scope.max_size_bytes.max(size);
        });
        let sizes = &mut self.sizes[Domain::Mmap as usize];
        sizes.freed(whole.born_bytes);
        sizes.allocated(size);
        self.note_maximum(Domain::Mmap, now_ns);
    }

    #[inline(always)]
    fn is_shown(&self, domain: Domain) -> bool {
        self.shown[domain as usize]
    }

    /// Changes a domain's row, and the total's if the domain is part of it.
    #[inline(always)]
    fn count(&mut self, domain: Domain, change: impl Fn(&mut ScopeTally)) {
        change(&mut self.domains[domain as usize]);
        if domain != Domain::Mmap {
            change(&mut self.total);
        }
    }

    /// Notes new maxima of live bytes after a change in a domain.
    #[inline(always)]
    fn note_maximum(&mut self, domain: Domain, now_ns: u64) {
        self.domains[domain as usize].note_maximum(now_ns);
        if domain != Domain::Mmap && self.total.note_maximum(now_ns) {
            self.peak += 1;
        }
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

    /// All rows that were ever used, by site.
    pub(crate) fn sites(&self) -> &[SiteTally] {
        &self.sites
    }

    /// Takes the numbers of the sites that changed since this was last asked.
    pub(crate) fn take_changed_sites(&mut self) -> Vec<u32> {
        let changed = core::mem::take(&mut self.changed_sites);
        for &site in &changed {
            if let Some(row) = self.sites.get_mut(site as usize) {
                row.changed = false;
            }
        }
        changed
    }
}
