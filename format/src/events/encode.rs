//! Events to frames.

use lz4_flex::block::CompressTable;

use super::state::State;
use super::{Arena, Block, Change, Event, Freed, control, freed, given, step};
use crate::frame::Content;
use crate::pack::push_frame;
use crate::record::Domain;
use crate::run::zigzag;
use crate::varint;

/// A frame is closed when its payload reaches this size.
const FRAME_TARGET_BYTES: usize = 256 << 10;

/// Writes events into whole frames.
#[derive(Default)]
pub struct EventEncoder {
    frames: Vec<u8>,
    payload: Vec<u8>,
    state: State,
    table: CompressTable,
}

impl core::fmt::Debug for EventEncoder {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("EventEncoder")
            .field("pending_bytes", &self.pending_bytes())
            .finish_non_exhaustive()
    }
}

impl EventEncoder {
    /// An encoder before the first event.
    pub fn new() -> EventEncoder {
        EventEncoder::default()
    }

    /// Adds an event. False: there is no memory for it; nothing was added, and nothing more may be.
    #[must_use]
    pub fn push(&mut self, event: &Event) -> bool {
        let Event {
            at_ns,
            thread,
            change,
        } = event;
        // A frame holds more than its target only by one event.
        if self.payload.try_reserve(64).is_err() {
            return false;
        }
        if *thread != self.state.thread {
            let last = core::mem::replace(&mut self.state.thread, *thread);
            let difference = i64::from(*thread).wrapping_sub(i64::from(last)) as u64;
            self.payload.push(step::THREAD);
            self.put_signed(difference);
        }
        if *at_ns != self.state.at_ns {
            let last = core::mem::replace(&mut self.state.at_ns, *at_ns);
            self.payload.push(step::CLOCK);
            self.put_signed(at_ns.wrapping_sub(last));
        }
        match change {
            Change::Allocated(block) if !self.put_block(step::ALLOCATED, block) => return false,
            Change::Resized(block) if !self.put_block(step::RESIZED, block) => return false,
            Change::Allocated(_) | Change::Resized(_) => {}
            Change::Freed(freed) => self.put_freed(step::FREED, freed),
            Change::ResizeBegun(freed) => self.put_freed(step::RESIZE_BEGUN, freed),
            Change::ResizeFailed => self.payload.push(step::RESIZE_FAILED),
            Change::ArenaMapped(arena) => self.put_arena(control::ARENA_MAPPED, arena),
            Change::ArenaUnmapped(arena) => self.put_arena(control::ARENA_UNMAPPED, arena),
            Change::Ended => self.put_control(control::ENDED),
            Change::Paused => self.put_control(control::PAUSED),
            Change::Resumed => self.put_control(control::RESUMED),
        }
        if self.payload.len() >= FRAME_TARGET_BYTES {
            self.close_frame();
        }
        true
    }

    /// Bytes gathered since the last [`clear`](EventEncoder::clear); those of the open frame are not packed yet.
    pub fn pending_bytes(&self) -> usize {
        self.frames.len() + self.payload.len()
    }

    /// Closes the open frame and returns all frames since the last [`clear`](EventEncoder::clear), ready to be appended to the file.
    pub fn finish(&mut self) -> &[u8] {
        self.close_frame();
        &self.frames
    }

    /// Forgets all frames; their memory is kept for the next ones.
    pub fn clear(&mut self) {
        self.frames.clear();
    }

    fn close_frame(&mut self) {
        if !self.payload.is_empty() {
            push_frame(
                Content::Events,
                &self.payload,
                &mut self.table,
                &mut self.frames,
            );
            self.payload.clear();
        }
    }

    fn put_signed(&mut self, difference: u64) {
        varint::put(zigzag(difference), &mut self.payload);
    }

    fn put_block(&mut self, kind: u8, block: &Block) -> bool {
        let slack_bytes = block.served_bytes.wrapping_sub(block.size_bytes);
        let last_site = core::mem::replace(&mut self.state.site, block.site.0);
        self.state.given = block.address;
        let last_freed = self.state.freed;
        let Some(last) = self.state.site(block.site.0) else {
            return false;
        };
        let before = core::mem::replace(
            last,
            super::state::SiteState {
                address: block.address,
                size_bytes: block.size_bytes,
                slack_bytes,
            },
        );
        let mut flags = kind;
        let mut numbers = [0; 4];
        let mut put = |flag: u8, at: usize, difference: u64| {
            if difference != 0 {
                flags |= flag;
                numbers[at] = zigzag(difference);
            }
        };
        let site_difference = i64::from(block.site.0).wrapping_sub(i64::from(last_site));
        put(given::SITE, 0, site_difference as u64);
        put(
            given::SIZE,
            1,
            block.size_bytes.wrapping_sub(before.size_bytes),
        );
        put(
            given::SLACK,
            2,
            slack_bytes.wrapping_sub(before.slack_bytes),
        );
        if block.address == last_freed && block.address != before.address {
            flags |= given::WHERE_LAST_FREED;
        } else {
            put(
                given::ADDRESS,
                3,
                eighth(block.address.wrapping_sub(before.address)),
            );
        }
        self.payload.push(flags);
        for number in numbers.into_iter().filter(|number| *number != 0) {
            varint::put(number, &mut self.payload);
        }
        true
    }

    fn put_freed(&mut self, kind: u8, freed: &Freed) {
        let last = core::mem::replace(&mut self.state.freed, freed.address);
        let is_last_given = freed.address == self.state.given;
        let mut flags = kind | (freed.domain as u8) << freed::DOMAIN_SHIFT;
        flags |= if freed.is_inner { freed::INNER } else { 0 };
        flags |= if is_last_given {
            freed::WHERE_LAST_GIVEN
        } else {
            0
        };
        self.payload.push(flags);
        if !is_last_given {
            self.put_signed(eighth(freed.address.wrapping_sub(last)));
        }
        if freed.domain == Domain::Mmap {
            varint::put(freed.unmapped_bytes, &mut self.payload);
        }
    }

    fn put_control(&mut self, what: u8) {
        self.payload.push(step::CONTROL | what << control::SHIFT);
    }

    fn put_arena(&mut self, what: u8, arena: &Arena) {
        let last = core::mem::replace(&mut self.state.arena, arena.address);
        self.put_control(what);
        self.put_signed(eighth(arena.address.wrapping_sub(last)));
        varint::put(arena.bytes, &mut self.payload);
    }
}

/// The difference of two multiples of 8, by 8.
fn eighth(difference: u64) -> u64 {
    ((difference as i64) >> 3) as u64
}
