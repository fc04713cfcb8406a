//! A thread's slot: its buffer and its caches. Slots outlive their threads and are used again.
//!
//! Invariant: `cursor` is written by the owner thread alone, with Release after the events before it are complete; it names
//! the live buffer too (buffers are aligned to their size), so one load tells a reader what is published.

use core::cell::{Cell, UnsafeCell};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, AtomicU64};

use pytrace_format::record::Mode;

use super::buffer::Buffer;
use super::event::{Control, Event};
use super::segment::Segments;
use crate::counts;
use crate::stack::cache::StackCache;
use crate::sync::{AtomicPtr, Ordering};
use crate::sys::{clock, heap};
use crate::watch;

/// The order of events between threads.
#[cfg(not(feature = "loom"))]
pub(crate) static SEGMENTS: Segments = Segments::new();
#[cfg(feature = "loom")]
loom::lazy_static! {
    pub(crate) static ref SEGMENTS: Segments = Segments::new();
}

/// One thread's slot.
#[repr(C, align(128))]
pub(crate) struct Slot {
    cursor: AtomicPtr<Event>,
    /// The last place from which what one call writes fits; null where each event asks for the time, so that each goes through
    /// [`Slot::prepare`].
    limit: Cell<*mut Event>,
    name: Cell<u16>,
    /// Position that the next buffer will have in this slot's sequence.
    next_index: Cell<u64>,
    /// Events for which there was no room.
    lost: AtomicU64,
    /// Kernel id of the owner.
    thread_id: AtomicU32,
    stacks: UnsafeCell<StackCache>,
    /// What the owner counts, in `counts` mode.
    counts: Option<NonNull<counts::Page>>,
    /// Whether events are preceded by the time, and the processor's time stamp of the last one.
    is_timed: bool,
    stamped_at: Cell<u64>,
}

/// How old the last time in a stream may be, in cycles of the time stamp counter: one to two microseconds.
const CLOCK_CYCLES: u64 = 1 << 12;

// SAFETY: `Cell`s and the stack cache are the owner thread's alone (see `stacks`); the rest is atomic, or leads to atomics.
unsafe impl Sync for Slot {}

impl Slot {
    /// Maps a new slot with a first buffer.
    pub(crate) fn map(name: u16, mode: Mode) -> Option<&'static Slot> {
        let buffer = Buffer::map()?;
        let counts = if mode == Mode::Counts {
            Some(counts::Page::map()?)
        } else {
            None
        };
        buffer.assign(name, 0);
        let size = size_of::<Slot>().next_multiple_of(4096);
        let pages: *mut Slot = heap::map(size)?.cast();
        watch::mapped(pages, size);
        // SAFETY: fresh pages, large enough and page-aligned; never unmapped.
        unsafe {
            pages.write(Slot {
                cursor: AtomicPtr::new(buffer.first()),
                limit: Cell::new(limit_in(buffer, mode == Mode::Events)),
                name: Cell::new(name),
                next_index: Cell::new(1),
                lost: AtomicU64::new(0),
                thread_id: AtomicU32::new(0),
                stacks: UnsafeCell::new(StackCache::new()),
                counts,
                is_timed: mode == Mode::Events,
                stamped_at: Cell::new(0),
            });
            Some(&*pages)
        }
    }

    /// Gives the slot to the calling thread.
    pub(crate) fn own(&self, thread_id: u32) {
        self.thread_id.store(thread_id, Ordering::Release);
    }

    /// Kernel id of the owner.
    pub(crate) fn thread_id(&self) -> u32 {
        self.thread_id.load(Ordering::Acquire)
    }

    /// The slot's name in the segment word: its row in the registry.
    pub(crate) fn name(&self) -> u16 {
        self.name.get()
    }

    /// What is published: the place after the last complete event.
    pub(crate) fn published(&self) -> *mut Event {
        // Acquire pairs with the Release of `append`: the events before the cursor are seen.
        self.cursor.load(Ordering::Acquire)
    }

    /// Events lost so far.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Counts events that could not be recorded.
    pub(crate) fn lose(&self, events: u64) {
        self.lost.fetch_add(events, Ordering::Relaxed);
    }

    /// What the owners counted, in `counts` mode.
    #[inline(always)]
    pub(crate) fn counts(&self) -> Option<&counts::Page> {
        // SAFETY: mapped with the slot, zeroed, never unmapped; its numbers are atomics.
        self.counts.map(|page| unsafe { page.as_ref() })
    }

    /// The thread's stack caches.
    ///
    /// # Safety
    /// The caller is the owner thread, in a hook, and holds no other reference from this call.
    #[inline(always)]
    #[allow(clippy::mut_from_ref)] // the witness that there is one user is the hook, which is not part of the slot
    pub(crate) unsafe fn stacks(&self) -> &mut StackCache {
        // SAFETY: the caller's promise.
        unsafe { &mut *self.stacks.get() }
    }

    /// Appends an event. The owner thread only.
    #[inline(always)]
    pub(crate) fn append(&self, event: Event) {
        let mut cursor = self.cursor.load(Ordering::Relaxed);
        if cursor > self.limit.get() || !SEGMENTS.is_current(self.name.get()) {
            match self.prepare() {
                Some(ready) => cursor = ready,
                None => return self.lose(1),
            }
        }
        watch::event_written(cursor);
        // SAFETY: at most `limit`, from where all that one call writes fits; the buffer is this thread's.
        let next = unsafe {
            event.write_to(cursor);
            cursor.add(1)
        };
        // Release pairs with `published`.
        self.cursor.store(next, Ordering::Release);
    }

    /// Appends an event with a prefix in front of it. The owner thread only.
    #[cold]
    #[inline(never)]
    pub(crate) fn append_wide(&self, prefix: Event, event: Event) {
        let Some(cursor) = self.prepare() else {
            return self.lose(1);
        };
        watch::event_written(cursor);
        watch::event_written(cursor.wrapping_add(1));
        // SAFETY: as in `append`: `prepare` left room for all that one call writes.
        let next = unsafe {
            cursor.write(prefix);
            cursor.add(1).write(event);
            cursor.add(2)
        };
        self.cursor.store(next, Ordering::Release);
    }

    /// Makes room and starts a segment if another thread recorded since. `None`: no room was to be had.
    #[cold]
    #[inline(never)]
    fn prepare(&self) -> Option<*mut Event> {
        let cursor = self.cursor.load(Ordering::Relaxed);
        if cursor > self.limit.get()
            && (!self.is_timed
                || Buffer::of_cursor(cursor).is_none_or(|in_use| cursor > in_use.limit()))
        {
            self.renew_buffer()?;
        }
        let name = self.name.get();
        if !SEGMENTS.is_current(name) {
            self.append_mark(Event::segment(SEGMENTS.start(name)));
        }
        if self.is_timed {
            self.append_time();
        }
        Some(self.cursor.load(Ordering::Relaxed))
    }

    /// Appends the time, if the last one is old.
    fn append_time(&self) {
        // SAFETY: every x86-64 has the instruction; where a process may not use it, the vDSO's clocks fail as well.
        let now = unsafe { core::arch::x86_64::_rdtsc() };
        if now.wrapping_sub(self.stamped_at.get()) >= CLOCK_CYCLES {
            self.stamped_at.set(now);
            self.append_mark(Event::control(Control::Clock, 0, clock::monotonic_ns()));
        }
    }

    /// Appends an event for which `prepare` has seen to room.
    fn append_mark(&self, event: Event) {
        let cursor = self.cursor.load(Ordering::Relaxed);
        watch::event_written(cursor);
        // SAFETY: as in `append`.
        let next = unsafe {
            cursor.write(event);
            cursor.add(1)
        };
        self.cursor.store(next, Ordering::Release);
    }

    /// Hands the full buffer over and takes an empty one.
    fn renew_buffer(&self) -> Option<()> {
        let session = crate::session::current()?;
        self.hand_over(|full, name, index| session.exchange(full, name, index))
    }

    /// Hands the full buffer over and takes an empty one, by way of `exchange`: full buffer, slot, the empty one's index.
    pub(crate) fn hand_over(
        &self,
        exchange: impl FnOnce(Buffer, u16, u64) -> Option<Buffer>,
    ) -> Option<()> {
        let cursor = self.cursor.load(Ordering::Relaxed);
        let full = Buffer::of_cursor(cursor)?;
        full.close(cursor);
        let empty = exchange(full, self.name.get(), self.next_index.get())?;
        self.next_index.set(self.next_index.get() + 1);
        self.limit.set(limit_in(empty, self.is_timed));
        // Release: the buffer's header is seen with the cursor.
        self.cursor.store(empty.first(), Ordering::Release);
        Some(())
    }
}

/// Up to where a slot appends in a buffer without asking.
fn limit_in(buffer: Buffer, is_timed: bool) -> *mut Event {
    if is_timed {
        core::ptr::null_mut()
    } else {
        buffer.limit()
    }
}
