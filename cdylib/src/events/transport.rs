//! The channel of whole buffers, and the pool of empty ones.
//!
//! Invariant: nobody ever waits in the channel: `try_send` and `try_recv` only. (A waiting receiver would make a sender
//! take a lock and use std's thread-locals on the program's thread.)

use core::sync::atomic::{AtomicUsize, Ordering};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::buffer::Buffer;

/// Full buffers that may wait for the aggregator: 64 MiB.
pub(crate) const CAPACITY: usize = 1024;
/// From this many on, producers help to aggregate when they can.
pub(crate) const CROWDED: usize = 64;
/// Empty buffers that are kept for reuse.
const SPARE: usize = 128;

/// Both channels.
pub(crate) struct Transport {
    full_sender: Sender<Buffer>,
    full_receiver: Receiver<Buffer>,
    spare_sender: Sender<Buffer>,
    spare_receiver: Receiver<Buffer>,
    /// Buffers in `full` that nobody has taken.
    waiting: AtomicUsize,
}

impl Transport {
    pub(crate) fn new() -> Self {
        let (full_sender, full_receiver) = bounded(CAPACITY);
        let (spare_sender, spare_receiver) = bounded(SPARE);
        Transport {
            full_sender,
            full_receiver,
            spare_sender,
            spare_receiver,
            waiting: AtomicUsize::new(0),
        }
    }

    /// Sends a full buffer; false when the channel is full.
    pub(crate) fn send(&self, buffer: Buffer) -> bool {
        let sent = self.full_sender.try_send(buffer).is_ok();
        if sent {
            self.waiting.fetch_add(1, Ordering::Relaxed);
        }
        sent
    }

    /// Takes the next full buffer.
    pub(crate) fn receive(&self) -> Option<Buffer> {
        let buffer = self.full_receiver.try_recv().ok()?;
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        Some(buffer)
    }

    /// Full buffers that wait, about.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// An empty buffer: a used one, or a new one.
    pub(crate) fn empty_buffer(&self) -> Option<Buffer> {
        self.spare_receiver.try_recv().ok().or_else(Buffer::map)
    }

    /// Takes a buffer back that has been read.
    pub(crate) fn recycle(&self, buffer: Buffer) {
        if self.spare_sender.try_send(buffer).is_err() {
            buffer.unmap();
        }
    }
}
