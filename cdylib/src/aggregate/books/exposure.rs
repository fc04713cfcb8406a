//! How far the peak in the books can be below the true one, `peak_error_bytes`.
//!
//! A birth is recorded after the block was given and a death before it is taken back. So whatever the books hold at a
//! point of their order was live at that moment, and what they miss are blocks *in flight*: given and not yet recorded,
//! recorded as freed and not yet taken back, or between the halves of a resize. A thread has at most one.
//!
//! The order of the books is the order in which events read the segment word, as its numbers only rise; so a segment is a
//! stretch of time in which no other thread's event lies. Take the moment of the true peak and the blocks in flight then.
//! Those that matter are at the edge of a segment: births first in one, deaths last in one. Of the others there is at
//! most one, as the moment lies inside a segment of its thread, and segments do not overlap; nothing is recorded
//! between its real birth and its record (or its record and its real death), so just after the record (just before it) the
//! books hold it with all that they held at the moment. Hence
//!
//! true peak − Σ over threads of the largest block at an edge ≤ peak in the books ≤ true peak,
//!
//! and with one thread there is no edge: the first segment of all has nobody before it.

use super::{Books, ThreadState};

/// What is kept of a thread for this.
#[derive(Clone, Copy, Default)]
pub(super) struct Exposure {
    /// Its largest block that was in flight at the edge of a segment, bytes.
    largest_bytes: u64,
    /// The block that its latest event took out, bytes; 0: another kind of event.
    latest_out_bytes: u64,
    /// Whether its next event is the first of a segment that follows another thread's.
    at_edge: bool,
}

impl Exposure {
    /// What outlives the thread, for the next owner of its slot.
    pub(super) fn of_next_owner(&self) -> Self {
        Exposure {
            largest_bytes: self.largest_bytes,
            ..Exposure::default()
        }
    }

    /// Whether the next event is the first of a segment that follows another thread's.
    #[inline(always)]
    pub(super) fn is_at_edge(&self) -> bool {
        self.at_edge
    }

    /// An event that is no mark: `in_bytes` come with it, or 0.
    #[inline(always)]
    pub(super) fn note_event(&mut self, in_bytes: u64) -> u64 {
        self.latest_out_bytes = 0;
        if !self.at_edge {
            return 0;
        }
        self.at_edge = false;
        self.expose(in_bytes)
    }

    /// That event took a block out.
    #[inline(always)]
    pub(super) fn note_out(&mut self, bytes: u64) {
        self.latest_out_bytes = bytes;
    }

    /// Returns how much the sum of all threads rises.
    fn expose(&mut self, bytes: u64) -> u64 {
        let rise = bytes.saturating_sub(self.largest_bytes);
        self.largest_bytes += rise;
        rise
    }
}

impl Books {
    /// A thread starts a segment.
    #[cold]
    pub(super) fn start_segment(&mut self, thread: &mut ThreadState, number: u64) {
        thread.exposure.at_edge = number > 1;
        self.end_segment(thread);
    }

    /// The latest event of a thread is the last of its segment: another thread recorded since.
    pub(crate) fn end_segment(&mut self, thread: &mut ThreadState) {
        let out_bytes = core::mem::take(&mut thread.exposure.latest_out_bytes);
        if !self.frozen {
            self.quality.peak_error_bytes += thread.exposure.expose(out_bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::event::{Event, Kind};
    use pytrace_format::record::Domain;

    const BASE: usize = 0x7000_0000_0000;

    fn event(kind: Kind, address: usize, size: u64) -> Event {
        let domain = Domain::Malloc;
        Event::block(kind, domain, address, size, (size + 15) & !15, false, 1)
    }

    fn peak_error_bytes(threads: &[(usize, Event)]) -> u64 {
        let mut books = Books::new([true; 5], false);
        let mut states = [ThreadState::default(), ThreadState::default()];
        for &(thread, event) in threads {
            books.apply(&mut states[thread], event);
        }
        books.quality.peak_error_bytes
    }

    #[test]
    fn one_thread_has_no_error() {
        let history = [
            (0, Event::segment(1)),
            (0, event(Kind::Birth, BASE, 100)),
            (0, event(Kind::ResizeOut, BASE, 0)),
            (0, event(Kind::ResizeIn, BASE, 200)),
            (0, event(Kind::Death, BASE, 0)),
        ];
        assert_eq!(peak_error_bytes(&history), 0);
    }

    #[test]
    fn each_threads_largest_block_at_an_edge_counts_once() {
        let history = [
            (0, Event::segment(1)),
            (0, event(Kind::Birth, BASE, 100)), // nobody was before it
            (0, event(Kind::Birth, BASE + 1024, 70)),
            (0, event(Kind::Death, BASE, 0)), // within the segment
            (0, event(Kind::Death, BASE + 1024, 0)), // last
            (1, Event::segment(2)),
            (1, event(Kind::Birth, BASE, 30)),         // first
            (1, event(Kind::Birth, BASE + 1024, 500)), // within
            (0, Event::segment(3)),
            (0, event(Kind::Birth, BASE + 4096, 60)), // first, smaller than the 70
            (1, Event::segment(4)),
            (1, event(Kind::ResizeOut, BASE, 0)),
            (0, Event::segment(5)),
            (0, event(Kind::Death, BASE + 4096, 0)),
            (1, Event::segment(6)),
            (1, event(Kind::ResizeIn, BASE, 40)), // both halves are at edges
        ];
        assert_eq!(peak_error_bytes(&history), 70 + 40);
    }
}
