//! Who has which slot: a thread takes one with its first event and keeps it; those of threads that have ended go to new ones.
//!
//! Invariant: a slot is never unmapped, and has one owner at a time: the thread whose word leads to it. Entered by threads in hooks.

use core::sync::atomic::Ordering;

use super::Session;
use crate::events::slot::Slot;
use crate::sys::syscall;
use crate::thread::{self, OwnWork};

/// Threads that may be traced at once: a slot's name has 16 bits, and 0 is nobody's.
const MOST_SLOTS: usize = 65_535;

/// Slots that are made before any is looked for.
const SLOTS_BEFORE_RECLAIMING: usize = 64;

/// The slots, by name − 1, and those without an owner.
pub(super) struct Slots {
    pub(super) all: Vec<&'static Slot>,
    pub(super) free: Vec<&'static Slot>,
    /// How many there are before threads that ended are looked for, instead of making one more.
    reclaim_at: usize,
}

impl Slots {
    pub(super) fn new() -> Self {
        Slots {
            all: Vec::new(),
            free: Vec::new(),
            reclaim_at: SLOTS_BEFORE_RECLAIMING,
        }
    }
}

impl Session {
    /// The calling thread's slot, given to it on its first event.
    #[inline(always)]
    pub(crate) fn slot(&self, word: &thread::Word) -> Option<&'static Slot> {
        // SAFETY: null or a slot, which is never unmapped.
        match unsafe { word.slot().as_ref() } {
            Some(slot) => Some(slot),
            None => self.take_slot(word),
        }
    }

    #[cold]
    #[inline(never)]
    fn take_slot(&self, word: &thread::Word) -> Option<&'static Slot> {
        self.reclaim_if_many();
        let mut slots = self.slots.lock();
        let slot = match slots.free.pop() {
            Some(slot) => slot,
            None => {
                let name = u16::try_from(slots.all.len() + 1)
                    .ok()
                    .filter(|_| slots.all.len() < MOST_SLOTS);
                let Some(slot) = name.and_then(|name| Slot::map(name, self.settings.mode)) else {
                    self.unslotted_losses.fetch_add(1, Ordering::Relaxed);
                    return None;
                };
                slots.all.push(slot);
                slot
            }
        };
        slot.own(syscall::thread_id());
        word.set_slot(core::ptr::from_ref(slot).cast_mut());
        drop(slots);
        self.python.warm_up();
        Some(slot)
    }

    /// Gives the slots of ended threads back when that many were made that it pays: as many again as threads live.
    fn reclaim_if_many(&self) {
        let is_time = |slots: &Slots| slots.free.is_empty() && slots.all.len() >= slots.reclaim_at;
        if is_time(&self.slots.lock())
            && let Some(mut aggregator) = self.aggregator.try_lock()
        {
            let own = OwnWork::begin();
            self.pump(&mut aggregator);
            self.reclaim_slots(&mut aggregator);
            let mut slots = self.slots.lock();
            let in_use = slots.all.len() - slots.free.len();
            slots.reclaim_at = (2 * in_use).max(SLOTS_BEFORE_RECLAIMING);
            drop(slots);
            drop(own);
        }
    }
}
