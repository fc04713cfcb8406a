//! Mappings in the books: ranges of addresses that are mapped, unmapped and moved, whole or in part.

use pytrace_format::record::Domain;

use super::mappings::{Piece, Removed};
use super::{Block, Books, Request, ThreadState};
use crate::events::event::{Event, Kind};

impl Books {
    /// An event of the mmap domain. After the freeze mappings are not counted: they are the interpreter's and libc's.
    pub(super) fn mapping(&mut self, thread: &mut ThreadState, event: Event, request: Request) {
        if self.frozen {
            return;
        }
        let (address, size) = (event.address(), request.size);
        match event.kind() {
            Kind::Birth => self.map(thread, event, size),
            // What a `ResizeOut` took out is gone.
            Kind::Death => {
                let pieces = core::mem::take(&mut thread.pending_pieces);
                self.unmap(thread, pieces);
            }
            Kind::ResizeOut => thread.pending_pieces = self.mappings.take(address, size),
            Kind::ResizeFailed => self
                .mappings
                .put_back(core::mem::take(&mut thread.pending_pieces)),
            _ => {
                let pieces = core::mem::take(&mut thread.pending_pieces);
                self.remap(thread, pieces, event, size);
            }
        }
    }

    fn map(&mut self, thread: &mut ThreadState, event: Event, size: u64) {
        let overlaid = self.mappings.take(event.address(), size);
        self.unmap(thread, overlaid);
        self.mappings.insert(event.address(), size, event.site());
        let block = Block {
            site: event.site(),
            size,
        };
        thread.last_birth = event.address();
        self.enter_new(Domain::Mmap, block, size);
    }

    /// Takes pieces of mappings off the books: a block that loses its last byte is freed.
    fn unmap(&mut self, thread: &mut ThreadState, pieces: Vec<Piece>) {
        let peak = self.peak;
        for removed in self.mappings.settle(&pieces) {
            if !self.is_shown(Domain::Mmap) {
                continue;
            }
            if removed.ended {
                let temporary = thread.last_birth == removed.start;
                if temporary {
                    thread.last_birth = 0;
                }
                let tally = &mut self.site(removed.site).tally;
                tally.death(removed.bytes, peak);
                tally.temporary += u64::from(temporary);
                self.sizes[Domain::Mmap as usize].freed(removed.born_bytes);
            } else {
                self.site(removed.site).tally.shrink(removed.bytes, peak);
            }
            self.leave(Domain::Mmap as usize, removed.bytes);
        }
    }

    /// A mapping was resized or moved. One that is moved whole keeps its identity, as a reallocated block does; part of
    /// one becomes a block of its own; one that was never counted stays uncounted.
    fn remap(&mut self, thread: &mut ThreadState, pieces: Vec<Piece>, event: Event, size: u64) {
        if pieces.is_empty() {
            return;
        }
        if !self.mappings.is_whole_block(&pieces) {
            self.unmap(thread, pieces);
            return self.map(thread, event, size);
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
        self.unmap(thread, overlaid);
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
}
