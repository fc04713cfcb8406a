//! Keeping the books and the capture up to date: applying what the threads published, and writing what changed.
//!
//! Invariant: entered with the aggregator's lock, or taking it.

use core::sync::atomic::Ordering;

use pytrace_format::record::Ended;

use super::slots::Slots;
use super::{Aggregator, Session};
use crate::sys::{clock, heap, syscall};

/// How often the live table's memory is looked at, nanoseconds.
const TABLE_LOOK_NS: u64 = 1_000_000_000;

impl Session {
    /// Applies everything that was published before the call; not what comes meanwhile, which could be without end.
    pub(crate) fn pump(&self, aggregator: &mut Aggregator) {
        let cpu_before = clock::thread_cpu_ns();
        aggregator.books.now_ns = self.end_ns();
        if self.is_counting() {
            self.add_up(aggregator);
        }
        let Aggregator {
            merge,
            books,
            output,
            ..
        } = aggregator;
        let slots = || self.slots.lock().all.clone();
        match output.journal() {
            Some(journal) => merge.pass(slots, &self.transport, books, journal),
            None => merge.pass(slots, &self.transport, books, &mut ()),
        };
        aggregator.own_cpu_ns += clock::thread_cpu_ns().saturating_sub(cpu_before);
    }

    /// Writes to the capture if an interval has passed since it was last written, or many events are there to be written.
    pub(super) fn flush_if_due(&self, aggregator: &mut Aggregator) {
        let now_ns = self.end_ns();
        if now_ns >= aggregator.output.next_flush_ns() && self.may_write(aggregator) {
            self.complete_quality(aggregator);
            let Aggregator { books, output, .. } = aggregator;
            output.flush(self, books, now_ns, Ended::Running);
            self.reclaim_slots(aggregator);
        } else if aggregator.output.has_many_events() && self.may_write(aggregator) {
            aggregator.output.write_events(self);
        }
    }

    /// Whether somebody waits for the calling thread to be done with the capture: the end of the program, or a fork for the
    /// background thread.
    pub(crate) fn is_writer_waited_for(&self) -> bool {
        let is_background =
            || syscall::thread_id() == self.background_thread_id.load(Ordering::Relaxed);
        self.closing.frozen_at_ns().is_some()
            || self.closing.has_ended()
            || (self.presence.attendance.must_end() && is_background())
    }

    /// Gives the slots of threads that have ended to new ones.
    pub(super) fn reclaim_slots(&self, aggregator: &mut Aggregator) {
        let mut slots = self.slots.lock();
        let Slots { all, free, .. } = &mut *slots;
        for slot in all.iter() {
            let thread_id = slot.thread_id();
            if thread_id != 0
                && (self.is_counting() || aggregator.merge.is_drained(slot))
                && !syscall::thread_exists(self.pid, thread_id)
            {
                aggregator.merge.forget_thread(slot);
                slot.own(0);
                // SAFETY: its thread has ended, and nobody else has the slot.
                unsafe { slot.stacks() }.forget_owner();
                free.push(slot);
            }
        }
    }

    /// Puts in what the books cannot know.
    pub(super) fn complete_quality(&self, aggregator: &mut Aggregator) {
        aggregator.merge.end_segments(&mut aggregator.books);
        let lost_in_slots: u64 = self.slots.lock().all.iter().map(|slot| slot.lost()).sum();
        let quality = &mut aggregator.books.quality;
        quality.lost_events = lost_in_slots + self.unslotted_losses.load(Ordering::Relaxed);
        quality.truncated_stacks = crate::stack::intern::truncated_stacks();
        quality.own_cpu_ns = aggregator.own_cpu_ns;
        // The table's leaves are mostly address space; looking at them takes a system call each, so not at every flush.
        let now_ns = self.now_ns();
        if self.closing.has_ended() || now_ns > aggregator.table_looked_at_ns + TABLE_LOOK_NS {
            aggregator.table_looked_at_ns = now_ns;
            let (mapped, resident) = aggregator.books.table_memory();
            aggregator.table_untouched_bytes = mapped.saturating_sub(resident);
        }
        aggregator.books.quality.own_memory_bytes =
            heap::mapped_bytes().saturating_sub(aggregator.table_untouched_bytes);
    }

    /// Applies and writes everything, now; what ended threads had is free for new ones.
    pub(crate) fn flush(&self) {
        if !self.is_this_process() {
            return;
        }
        let mut aggregator = self.aggregator.lock();
        self.pump(&mut aggregator);
        if !self.may_write(&aggregator) {
            return;
        }
        self.complete_quality(&mut aggregator);
        let now_ns = self.end_ns();
        let Aggregator { books, output, .. } = &mut *aggregator;
        output.flush(self, books, now_ns, Ended::Running);
        self.reclaim_slots(&mut aggregator);
    }
}
