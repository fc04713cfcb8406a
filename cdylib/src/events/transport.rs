//! The way of whole buffers to the aggregator, and the store of empty ones.
//!
//! Invariant: nobody waits here, and nothing is allocated. Full buffers hang on a list, linked through their headers, the one sent last
//! first; all are taken off at once, so a thread that puts one on cannot take a word that it saw before for the same list
//! when it is another. Empty buffers lie in places, each of which is filled and emptied by one exchange.

use core::ptr::null_mut;

use super::buffer::{Buffer, Header};
use super::queue::Queue;
use crate::sync::{AtomicPtr, AtomicUsize, Ordering};

/// Full buffers that may wait for the aggregator: 64 MiB. A model has few.
pub(crate) const CAPACITY: usize = if cfg!(feature = "loom") { 2 } else { 1024 };
/// From this many on, producers help to aggregate when they can.
pub(crate) const CROWDED: usize = 64;
/// Empty buffers that are kept for reuse.
const SPARE: usize = if cfg!(feature = "loom") { 1 } else { 128 };

/// Both ways.
pub(crate) struct Transport {
    /// The full buffer that was sent last.
    latest: AtomicPtr<Header>,
    /// Full buffers on the list, and those about to be.
    waiting: AtomicUsize,
    spare: [AtomicPtr<Header>; SPARE],
}

impl Transport {
    pub(crate) fn new() -> Self {
        Transport {
            latest: AtomicPtr::new(null_mut()),
            waiting: AtomicUsize::new(0),
            spare: core::array::from_fn(|_| AtomicPtr::new(null_mut())),
        }
    }

    /// Sends a full buffer, which the caller owns; false when too many wait: then the caller keeps it.
    pub(crate) fn send(&self, buffer: Buffer) -> bool {
        // Counted before it is there: never do more than `CAPACITY` wait.
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= CAPACITY {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return false;
        }
        let mut latest = self.latest.load(Ordering::Relaxed);
        loop {
            buffer.set_next(Buffer::from_header(latest));
            // Release pairs with `receive`: whoever takes the list sees the events and the header. What earlier senders
            // released is seen with it, as between their exchanges and the taking there are only such exchanges.
            match self.latest.compare_exchange_weak(
                latest,
                buffer.header(),
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(now) => latest = now,
            }
        }
    }

    /// Sends a full buffer, which the caller owns, and gives an empty one, the `index`-th of a slot. While too many wait,
    /// `make_room` is asked; when it says no, the caller keeps its buffer.
    pub(crate) fn exchange(
        &self,
        full: Buffer,
        slot: u16,
        index: u64,
        mut make_room: impl FnMut() -> bool,
    ) -> Option<Buffer> {
        let empty = self.empty_buffer()?;
        empty.assign(slot, index);
        while !self.send(full) {
            if !make_room() {
                self.recycle(empty);
                return None;
            }
        }
        Some(empty)
    }

    /// Takes all full buffers, in the order in which they were sent.
    pub(crate) fn receive(&self) -> Queue {
        let mut next = Buffer::from_header(self.latest.swap(null_mut(), Ordering::Acquire));
        let mut received = Queue::default();
        let mut count = 0;
        while let Some(buffer) = next {
            next = buffer.next();
            received.push_front(buffer);
            count += 1;
        }
        self.waiting.fetch_sub(count, Ordering::Relaxed);
        received
    }

    /// Whether a full buffer can be received. One that is counted as waiting may be about to be sent only.
    pub(crate) fn has_full(&self) -> bool {
        !self.latest.load(Ordering::Relaxed).is_null()
    }

    /// Full buffers that wait, about.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// An empty buffer: a used one, or a new one.
    pub(crate) fn empty_buffer(&self) -> Option<Buffer> {
        self.spare
            .iter()
            .filter(|place| !place.load(Ordering::Relaxed).is_null())
            // Acquire pairs with `recycle`: whoever read the buffer is done with it.
            .find_map(|place| Buffer::from_header(place.swap(null_mut(), Ordering::Acquire)))
            .or_else(Buffer::map)
    }

    /// Takes a buffer back that has been read.
    pub(crate) fn recycle(&self, buffer: Buffer) {
        let is_kept = self
            .spare
            .iter()
            .filter(|place| place.load(Ordering::Relaxed).is_null())
            .any(|place| {
                let exchanged = place.compare_exchange(
                    null_mut(),
                    buffer.header(),
                    Ordering::Release,
                    Ordering::Relaxed,
                );
                exchanged.is_ok()
            });
        if !is_kept {
            buffer.unmap();
        }
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    #[test]
    fn buffers_come_in_the_order_in_which_they_were_sent_and_no_more_than_may_wait() {
        let transport = Transport::new();
        let buffers: Vec<Buffer> = (0..=CAPACITY as u64)
            .map(|index| {
                let buffer = transport.empty_buffer().expect("memory");
                buffer.assign(1, index);
                buffer
            })
            .collect();
        let sent = buffers
            .iter()
            .position(|buffer| !transport.send(*buffer))
            .expect("one too many");
        assert_eq!(
            (sent, transport.waiting()),
            (CAPACITY, CAPACITY),
            "sent, waiting"
        );
        let mut received = transport.receive();
        for buffer in &buffers[..CAPACITY] {
            assert_eq!(received.pop(), Some(*buffer));
        }
        assert_eq!((received.pop(), transport.waiting()), (None, 0));
        assert_eq!(transport.receive().pop(), None);
        buffers.into_iter().for_each(Buffer::unmap);
    }

    #[test]
    fn used_buffers_are_used_again_and_no_more_than_may_be_are_kept() {
        let transport = Transport::new();
        let buffers: Vec<Buffer> = (0..SPARE + 3).filter_map(|_| Buffer::map()).collect();
        buffers.iter().for_each(|buffer| transport.recycle(*buffer));
        let places = transport
            .spare
            .iter()
            .map(|place| place.load(Ordering::Relaxed));
        let kept: Vec<Buffer> = places.filter_map(Buffer::from_header).collect();
        assert_eq!(kept, buffers[..SPARE]);
        let again: Vec<Buffer> = kept
            .iter()
            .filter_map(|_| transport.empty_buffer())
            .collect();
        assert_eq!(again, kept);
        again.into_iter().for_each(Buffer::unmap);
    }
}
