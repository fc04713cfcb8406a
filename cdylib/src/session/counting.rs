//! `counts` mode: adding up what the threads counted, and what still goes to the books directly.

use super::handing_over::PATIENCE_NS;
use super::{Aggregator, Session};
use crate::counts;
use crate::events::event::Event;
use crate::events::slot::Slot;
use crate::thread::OwnWork;

impl Session {
    /// Adds up what the threads counted.
    pub(super) fn add_up(&self, aggregator: &mut Aggregator) {
        let slots = self.slots.lock().all.clone();
        let mut calls = 0;
        for domain in counts::COUNTED {
            let pages = slots.iter().filter_map(|slot| slot.counts());
            let sum = counts::Sum::of(domain, pages);
            calls += sum.births + sum.resizes + sum.deaths;
            aggregator.books.take_counted(domain, &sum);
        }
        aggregator.books.quality.events += calls - aggregator.calls_counted;
        aggregator.calls_counted = calls;
        // From here on the numbers stand, also while a thread is still inside its last hook.
        aggregator.books.frozen |= self.closing.frozen_at_ns().is_some();
    }

    /// Applies an event, and the prefix in front of it, now: in `counts` mode, where mappings and arenas are all there is of them.
    #[cold]
    #[inline(never)]
    pub(crate) fn apply_at_once(&self, slot: &Slot, prefix: Option<Event>, event: Event) {
        let Some(mut aggregator) = self.aggregator.lock_within(PATIENCE_NS) else {
            // Whoever holds it writes to a file that does not answer: the program is not to wait for that.
            return slot.lose(1);
        };
        let Aggregator { merge, books, .. } = &mut *aggregator;
        for event in prefix.into_iter().chain([event]) {
            merge.apply_at_once(slot, event, books);
        }
    }

    /// In `counts` mode: takes a sample if one is due and nobody else is at it.
    #[cold]
    #[inline(never)]
    pub(crate) fn sample_if_due(&self) {
        if let Some(mut aggregator) = self.aggregator.try_lock()
            && self.end_ns() >= aggregator.output.next_flush_ns()
        {
            let own = OwnWork::begin();
            self.pump(&mut aggregator);
            self.flush_if_due(&mut aggregator);
            drop(own);
        }
    }
}
