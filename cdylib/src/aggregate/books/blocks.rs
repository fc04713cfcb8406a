//! Blocks in the books: births, deaths, resizes.

use pytrace_format::record::Domain;

use super::{Block, Books, Pending, Request, ThreadState};
use crate::aggregate::live::{Occupant, TWO_SLOTS};
use crate::events::event::Event;

/// The smallest block that malloc serves, bytes.
const MALLOC_SMALLEST: u64 = 24;

impl Books {
    #[inline(always)]
    pub(super) fn birth(&mut self, thread: &mut ThreadState, event: Event, request: Request) {
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
    pub(super) fn enter_new(&mut self, domain: Domain, block: Block, served: u64) {
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
    pub(super) fn death(&mut self, thread: &mut ThreadState, event: Event) {
        let address = event.address();
        if self.frozen {
            self.shutdown.frees += 1;
            return;
        }
        let Some(block) = self.take(address) else {
            if !event.is_inner() {
                self.unmatched();
            }
            return;
        };
        let temporary = thread.last_birth == address;
        if temporary {
            thread.last_birth = 0;
        }
        thread.exposure.note_out(block.size);
        self.retire(block, temporary);
    }

    /// Takes the block at an address out of the table, and out of its pool.
    #[inline(always)]
    fn take(&mut self, address: u64) -> Option<Block> {
        // After lost events a slot can hold a size where a site was looked for: no block that was ever put in.
        let block = self
            .live
            .remove(address)
            .filter(|block| self.is_site(block.site))?;
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
        let domain = usize::from(site.domain) % shown.len();
        if !shown[domain] {
            return;
        }
        site.tally.death(block.size, peak);
        site.tally.temporary += u64::from(temporary);
        self.sizes[domain].freed(block.size);
        self.leave(domain, block.size);
    }

    /// Live bytes come to a domain.
    #[inline(always)]
    pub(super) fn enter(&mut self, domain: Domain, size: u64) {
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
    pub(super) fn leave(&mut self, domain: usize, size: u64) {
        self.domains[domain].leave(size);
        if domain != Domain::Mmap as usize {
            self.total.leave(size);
        }
    }

    pub(super) fn resize_out(&mut self, thread: &mut ThreadState, address: u64) {
        if self.frozen {
            return;
        }
        let shift = self.pools.pool_shift;
        let pool_served = self
            .live
            .pool(address, shift)
            .and_then(|pool| pool.served_bytes());
        let block = self.take(address);
        thread
            .exposure
            .note_out(block.map_or(0, |block| block.size));
        thread.pending = Some(Pending {
            address,
            block,
            pool_served,
        });
    }

    pub(super) fn resize_failed(&mut self, thread: &mut ThreadState) {
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

    pub(super) fn resize_in(&mut self, thread: &mut ThreadState, event: Event, request: Request) {
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
            Ok(Some(old)) if self.is_site(old.site) => self.miss_free(address, old),
            Ok(Some(_)) => self.quality.missed_frees += 1,
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
}
