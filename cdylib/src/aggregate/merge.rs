//! Putting the threads' streams in order.
//!
//! A pass first notes how far each thread has published (its cursor), the thread of the latest segment first, then takes
//! the full buffers that wait, and then applies what lies before those notes, in the order of the segments
//! and up to that latest one. Why this is a consistent cut: see `events::segment`.
//!
//! Invariant: a buffer of a slot is read only after all earlier ones of that slot, and given back when read to its end.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::books::{Books, ThreadState};
use super::journal::{Track, Witness};
use crate::events::buffer::Buffer;
use crate::events::event::{Event, Kind};
use crate::events::queue::Queue;
use crate::events::slot::{SEGMENTS, Slot};
use crate::events::transport::Transport;
use crate::sys::heap;

/// The reading end of one slot.
#[derive(Default)]
struct Reader {
    /// Full buffers that were received, oldest first.
    full: Queue,
    /// Events of the oldest unread buffer that were applied.
    position: usize,
    /// The segment that the next event belongs to, unless it is a mark.
    segment: u64,
    /// Up to where this pass may read: a buffer and a number of its events.
    note: Option<(Buffer, usize)>,
    thread: ThreadState,
    track: Track,
}

/// All readers, by the slots' names.
#[derive(Default)]
pub(crate) struct Merge {
    readers: Vec<Reader>,
}

impl Reader {
    /// The buffer to read next, and how many of its events may be read in this pass.
    fn front(&self) -> Option<(Buffer, usize)> {
        let (noted, count) = self.note?;
        match self.full.first() {
            Some(buffer) if buffer.index() < noted.index() => Some((buffer, buffer.events())),
            _ => Some((noted, count)),
        }
    }

    /// The events that can be read without leaving a buffer, in this pass.
    fn readable(&self) -> &[Event] {
        let Some((buffer, count)) = self.front() else {
            return &[];
        };
        // SAFETY: `count` events are published: it is the length of a closed buffer, or what the owner's cursor showed
        // (Acquire in `Slot::published`); the buffer is recycled only by `advance`, which needs `&mut self`.
        let events = unsafe { buffer.published(count) };
        events.get(self.position..).unwrap_or(&[])
    }

    /// Leaves buffers that are read to their end.
    fn advance(&mut self, transport: &Transport) {
        while let (Some(buffer), Some((noted, _))) = (self.full.first(), self.note) {
            let finished = buffer.index() < noted.index() && self.position >= buffer.events();
            if !finished {
                return;
            }
            self.full.pop();
            self.position = 0;
            transport.recycle(buffer);
        }
    }

    /// The segment of the next event.
    fn next_segment(&self) -> Option<u64> {
        let event = self.readable().first()?;
        Some(match event.kind() {
            Kind::Segment => event.body(),
            _ => self.segment,
        })
    }
}

impl Merge {
    /// One pass over everything published. `slots` gives the slots there are: it is asked after the segment word was read,
    /// so that no thread of a segment inside the cut is left out. Returns the number of events applied.
    pub(crate) fn pass(
        &mut self,
        slots: impl FnOnce() -> Vec<&'static Slot>,
        transport: &Transport,
        books: &mut Books,
        witness: &mut impl Witness,
    ) -> u64 {
        let before = books.quality.events;
        let latest = self.note_published(slots);
        let mut received = transport.receive();
        while let Some(buffer) = received.pop() {
            self.reader(buffer.slot()).full.push(buffer);
        }
        let mut ready = BinaryHeap::new();
        for (at, reader) in self.readers.iter_mut().enumerate() {
            reader.advance(transport);
            if let Some(segment) = reader.next_segment().filter(|segment| *segment <= latest) {
                ready.push(Reverse((segment, at)));
            }
        }
        while let Some(Reverse((_, at))) = ready.pop() {
            let limit = ready
                .peek()
                .map_or(latest, |Reverse((segment, _))| *segment);
            let Some(reader) = self.readers.get_mut(at) else {
                continue;
            };
            if let Some(segment) =
                run(reader, limit, transport, books, witness).filter(|segment| *segment <= latest)
            {
                ready.push(Reverse((segment, at)));
            }
        }
        books.quality.events - before
    }

    /// The reading end of a slot, by its name.
    fn reader(&mut self, name: u16) -> &mut Reader {
        let at = usize::from(name);
        if at >= self.readers.len() {
            self.readers.resize_with(at + 1, Reader::default);
        }
        &mut self.readers[at]
    }

    /// Applies one event of a slot's thread directly: in `counts` mode there are no buffers.
    pub(crate) fn apply_at_once(&mut self, slot: &Slot, event: Event, books: &mut Books) {
        books.apply(&mut self.reader(slot.name()).thread, event);
    }

    /// Notes what each slot has published, and returns the latest segment that may be applied.
    fn note_published(&mut self, slots: impl FnOnce() -> Vec<&'static Slot>) -> u64 {
        let (latest, recording) = SEGMENTS.latest();
        let (first, others): (Vec<&Slot>, Vec<&Slot>) = slots()
            .into_iter()
            .partition(|slot| slot.name() == recording);
        for slot in first.into_iter().chain(others) {
            let cursor = slot.published();
            let note = Buffer::of_cursor(cursor).map(|buffer| {
                let count = (cursor.addr() - buffer.first().addr()) / size_of::<Event>();
                (buffer, count)
            });
            let reader = self.reader(slot.name());
            reader.note = note;
            // 0: its last owner has ended, and all that it published is known.
            if slot.thread_id() != 0 {
                reader.track.thread = slot.thread_id();
            }
        }
        latest
    }

    /// Whether everything that a slot published has been applied, as of the last pass.
    pub(crate) fn is_drained(&self, slot: &Slot) -> bool {
        let cursor = slot.published();
        self.readers
            .get(usize::from(slot.name()))
            .is_some_and(|reader| {
                reader.full.first().is_none()
                    && reader.note.is_some_and(|(buffer, count)| {
                        Buffer::of_cursor(cursor) == Some(buffer)
                            && reader.position == count
                            && cursor == buffer.first().wrapping_add(count)
                    })
            })
    }

    /// Ends the segments of all threads but the one that recorded last, for the books' `peak_error_bytes`.
    pub(crate) fn end_segments(&mut self, books: &mut Books) {
        let latest = self.readers.iter().map(|reader| reader.segment).max();
        for reader in &mut self.readers {
            if Some(reader.segment) < latest {
                books.end_segment(&mut reader.thread);
            }
        }
    }

    /// Forgets what was kept of a thread that ended, before its slot gets a new owner.
    pub(crate) fn forget_thread(&mut self, slot: &Slot) {
        if let Some(reader) = self.readers.get_mut(usize::from(slot.name())) {
            reader.thread = reader.thread.of_next_owner();
        }
    }
}

/// Applies a reader's events while their segment is at most `limit`. Returns the segment it stopped before.
fn run<W: Witness>(
    reader: &mut Reader,
    limit: u64,
    transport: &Transport,
    books: &mut Books,
    witness: &mut W,
) -> Option<u64> {
    loop {
        let (buffer, count) = reader.front()?;
        if heap::is_short() {
            return None;
        }
        // SAFETY: as in `readable`; the slice ends with this iteration, before `advance` may recycle the buffer.
        let events = unsafe { buffer.published(count) };
        let mut position = reader.position;
        let mut stop = None;
        while let Some(&event) = events.get(position) {
            if event.kind() == Kind::Segment {
                let segment = event.body();
                if segment > limit {
                    stop = Some(segment);
                    break;
                }
                reader.segment = segment;
            }
            if W::LISTENS {
                witness.note(&mut reader.track, event);
            } else if let Some(&next) = events.get(position + 1)
                && books.apply_brief(&mut reader.thread, event, next)
            {
                position += 2;
                continue;
            }
            books.apply(&mut reader.thread, event);
            position += 1;
        }
        reader.position = position;
        if stop.is_some() {
            return stop;
        }
        let was = reader.full.first();
        reader.advance(transport);
        if reader.full.first() == was {
            // Nothing was left behind, so this was the noted end.
            return None;
        }
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use std::thread;

    use pytrace_format::record::{Domain, Mode};

    use super::*;
    use crate::stack::intern::bare_site;

    /// Events of a thread: some buffers full.
    const EVENTS: usize = if cfg!(miri) { 1_000 } else { 100_000 };

    fn record(slot: &Slot, transport: &Transport, domain: Domain, address: usize) {
        let kinds = [Kind::Birth, Kind::Death].into_iter().cycle();
        for kind in kinds.take(EVENTS) {
            let cursor = slot.published();
            if Buffer::of_cursor(cursor).is_none_or(|buffer| cursor > buffer.limit()) {
                let exchange = |full, name, index| transport.exchange(full, name, index, || true);
                slot.hand_over(exchange).expect("there is room");
            }
            slot.append(Event::block(
                kind,
                domain,
                address,
                10,
                16,
                false,
                bare_site(domain),
            ));
        }
    }

    #[test]
    fn streams_of_two_threads_are_read_whole_while_they_grow() {
        let transport = Transport::new();
        let slots = [1, 2].map(|name| Slot::map(name, Mode::Sites).expect("memory"));
        let mut merge = Merge::default();
        let mut books = Box::new(Books::new([true; 5], false));
        thread::scope(|scope| {
            let threads = [
                (slots[0], Domain::Raw, 0x10_000),
                (slots[1], Domain::Malloc, 0x20_000),
            ]
            .map(|(slot, domain, address)| {
                let transport = &transport;
                scope.spawn(move || record(slot, transport, domain, address))
            });
            while threads.iter().any(|thread| !thread.is_finished()) {
                merge.pass(|| slots.to_vec(), &transport, &mut books, &mut ());
                thread::yield_now();
            }
        });
        merge.pass(|| slots.to_vec(), &transport, &mut books, &mut ());
        assert!(slots.iter().all(|slot| merge.is_drained(slot)));
        let quality = &books.quality;
        assert_eq!(
            (
                quality.events,
                quality.unmatched_frees,
                quality.missed_frees
            ),
            (2 * EVENTS as u64, 0, 0)
        );
        for domain in [Domain::Raw, Domain::Malloc] {
            let counters = books.counters(Some(domain));
            let half = EVENTS as u64 / 2;
            assert_eq!((counters.allocations, counters.frees), (half, half));
        }
    }
}
