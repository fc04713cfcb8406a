//! A buffer of events: 64 KiB, aligned to its size, so that a cursor into it names it.
//!
//! Invariant: the owner thread alone writes, up to its cursor; a buffer has one owner until it is handed over whole.

use core::ptr::NonNull;

use super::event::{Event, MOST_PER_CALL};
use crate::sys::heap;
use crate::watch::{self, Watch};

/// Size and alignment of a buffer, bytes.
pub(crate) const SIZE: usize = if cfg!(any(feature = "loom", miri)) {
    4 << 10
} else {
    64 << 10
};

/// What stands in front of the events.
#[repr(C, align(64))]
pub(super) struct Header {
    watch: Watch,
    /// The one behind it, while it waits in a row of buffers.
    next: Option<Buffer>,
    /// The slot whose thread fills it.
    slot: u16,
    /// Position in that slot's sequence of buffers.
    index: u64,
    /// Events in it, once it is full.
    events: usize,
}

const FIRST_EVENT: usize = size_of::<Header>();

/// A buffer, by its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Buffer(NonNull<Header>);

// SAFETY: a buffer is plain memory; who may touch which part is the module's invariant.
unsafe impl Send for Buffer {}

impl Buffer {
    /// Maps a new buffer.
    pub(crate) fn map() -> Option<Buffer> {
        // Twice the size holds an aligned one; what lies around it is given back.
        let raw = heap::map(2 * SIZE)?;
        let before = raw.addr().next_multiple_of(SIZE) - raw.addr();
        let base = raw.wrapping_add(before);
        // SAFETY: the parts outside `[base, base + SIZE)` of a mapping that nobody else knows.
        unsafe {
            if before > 0 {
                heap::unmap(raw, before);
            }
            if before < SIZE {
                heap::unmap(base.wrapping_add(SIZE), SIZE - before);
            }
        }
        watch::mapped(base, SIZE);
        let buffer = NonNull::new(base.cast()).map(Buffer)?;
        // SAFETY: fresh pages, which nobody else knows.
        unsafe { (&raw mut (*buffer.header()).watch).write(Watch::new()) };
        Some(buffer)
    }

    /// The watch over the buffer, for the models.
    #[inline(always)]
    pub(crate) fn watch(self) -> Watch {
        // SAFETY: written when the buffer was mapped, and only read since.
        unsafe { (*self.0.as_ptr()).watch }
    }

    /// The buffer with this header; `None` for null.
    pub(super) fn from_header(header: *mut Header) -> Option<Buffer> {
        NonNull::new(header).map(Buffer)
    }

    pub(super) fn header(self) -> *mut Header {
        self.0.as_ptr()
    }

    /// Puts another one behind it in a row. The caller owns it.
    pub(super) fn set_next(self, next: Option<Buffer>) {
        self.watch().header_written();
        // SAFETY: the caller owns the buffer.
        unsafe { (*self.0.as_ptr()).next = next };
    }

    /// The one behind it in a row. The caller owns it.
    pub(super) fn next(self) -> Option<Buffer> {
        self.watch().header_read();
        // SAFETY: the caller owns the buffer; a null pointer, as fresh pages have, is `None`.
        unsafe { (*self.0.as_ptr()).next }
    }

    /// The buffer that a cursor points into.
    pub(crate) fn of_cursor(cursor: *mut Event) -> Option<Buffer> {
        NonNull::new(cursor.map_addr(|address| address & !(SIZE - 1)).cast()).map(Buffer)
    }

    /// Makes the buffer the `index`-th of a slot. The caller owns it.
    pub(crate) fn assign(self, slot: u16, index: u64) {
        let watch = self.watch();
        watch.header_written();
        // SAFETY: the caller owns the buffer, so nobody else reads its header.
        unsafe {
            self.0.write(Header {
                watch,
                next: None,
                slot,
                index,
                events: 0,
            });
        }
    }

    /// The slot whose thread fills or filled it.
    pub(crate) fn slot(self) -> u16 {
        self.watch().header_read();
        // SAFETY: written by `assign` before the buffer was published, and stable since.
        unsafe { (*self.0.as_ptr()).slot }
    }

    /// Position in the slot's sequence of buffers.
    pub(crate) fn index(self) -> u64 {
        self.watch().header_read();
        // SAFETY: as for `slot`.
        unsafe { (*self.0.as_ptr()).index }
    }

    /// Where the first event goes.
    pub(crate) fn first(self) -> *mut Event {
        self.place(FIRST_EVENT)
    }

    /// The last place from which everything that one call writes still fits.
    pub(crate) fn limit(self) -> *mut Event {
        if cfg!(feature = "loom") {
            return self.first().wrapping_add(1); // a model cannot fill a real one
        }
        self.place(SIZE - (MOST_PER_CALL + 1) * size_of::<Event>())
    }

    /// So many bytes behind the beginning.
    fn place(self, offset_bytes: usize) -> *mut Event {
        self.header().wrapping_byte_add(offset_bytes).cast()
    }

    /// Notes how many events a full buffer holds, before it is handed over.
    pub(crate) fn close(self, cursor: *mut Event) {
        let events = (cursor.addr() - self.first().addr()) / size_of::<Event>();
        self.watch().header_written();
        // SAFETY: the caller owns the buffer.
        unsafe { (*self.0.as_ptr()).events = events };
    }

    /// Events in a buffer that was handed over.
    pub(crate) fn events(self) -> usize {
        self.watch().header_read();
        // SAFETY: written by `close` before the hand-over.
        unsafe { (*self.0.as_ptr()).events }
    }

    /// The events before `end` (a count), which must have been published.
    ///
    /// # Safety
    /// The first `end` events were written and published, and the buffer is not recycled while the slice lives.
    pub(crate) unsafe fn published<'a>(self, end: usize) -> &'a [Event] {
        self.watch().events_read(end);
        // SAFETY: the caller's promise.
        unsafe { core::slice::from_raw_parts(self.first(), end) }
    }
}

impl Buffer {
    /// Gives the buffer's memory back. The caller owns it, and no slice of it lives.
    pub(crate) fn unmap(self) {
        watch::unmapped(self.0.as_ptr().cast());
        // SAFETY: the whole of a mapping that `map` made, owned by the caller.
        unsafe { heap::unmap(self.0.as_ptr().cast(), SIZE) };
    }
}
