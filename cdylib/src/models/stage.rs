//! What a model is played on: how far its interleavings are tried, threads that record, and a reader.

use loom::cell::UnsafeCell;
use loom::thread;
use pytrace_format::record::{Domain, Mode};

use crate::aggregate::books::Books;
use crate::aggregate::merge::Merge;
use crate::events::buffer::Buffer;
use crate::events::event::{Control, Event, Kind};
use crate::events::slot::Slot;
use crate::events::transport::Transport;
use crate::stack::intern::bare_site;
use crate::watch;

/// Tries a model's interleavings: those with so many preemptions at most, and in the soak one more.
pub(super) fn check(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    let is_full = std::env::var("PYTRACE_SOAK").is_ok_and(|value| value == "full");
    builder.preemption_bound = Some(preemptions + usize::from(is_full));
    builder.check(move || {
        model();
        watch::unmap_all();
    });
}

/// A slot, as a thread takes it.
pub(super) fn slot(name: u16) -> &'static Slot {
    Slot::map(name, Mode::Sites).expect("memory")
}

/// An event about the block that the models are about.
pub(super) fn event(kind: Kind) -> Event {
    event_of(Domain::Malloc, kind)
}

/// An event about the block of a domain.
pub(super) fn event_of(domain: Domain, kind: Kind) -> Event {
    let address = 16 + 4096 * (domain as usize + 1);
    Event::block(kind, domain, address, 10, 16, false, bare_site(domain))
}

/// An event about another block.
pub(super) fn other_event(kind: Kind) -> Event {
    Event::block(
        kind,
        Domain::Malloc,
        1024,
        10,
        16,
        false,
        bare_site(Domain::Malloc),
    )
}

/// An event about no block.
pub(super) fn control(control: Control) -> Event {
    Event::control(control, 0, 0)
}

/// A number that one thread at a time may touch: loom reports two accesses, one of them a write, that nothing puts in an order.
pub(super) struct Watched(UnsafeCell<u32>);

// SAFETY: that there are no two accesses at a time is what the models show, and loom reports.
unsafe impl Send for Watched {}
// SAFETY: as above.
unsafe impl Sync for Watched {}

impl Watched {
    pub(super) fn new() -> Watched {
        Watched(UnsafeCell::new(0))
    }

    pub(super) fn add_one(&self) -> u32 {
        // SAFETY: `Watched`.
        self.0.with_mut(|number| unsafe {
            *number += 1;
            *number
        })
    }

    pub(super) fn look(&self) -> u32 {
        // SAFETY: `Watched`.
        self.0.with(|number| unsafe { *number })
    }
}

/// Appends an event as a hook does. False: there was no room, and the event is lost.
pub(super) fn append(slot: &Slot, transport: &Transport, event: Event) -> bool {
    let cursor = slot.published();
    let is_full = Buffer::of_cursor(cursor).is_none_or(|buffer| cursor > buffer.limit());
    if is_full {
        let exchange = |full, name, index| transport.exchange(full, name, index, || false);
        if slot.hand_over(exchange).is_none() {
            return false;
        }
    }
    slot.append(event);
    true
}

/// The reading end, and the slots it reads.
pub(super) struct Reading {
    merge: Merge,
    // In a box: loom's threads have small stacks.
    pub(super) books: Box<Books>,
    slots: Vec<&'static Slot>,
}

impl Reading {
    pub(super) fn of(slots: &[&'static Slot]) -> Reading {
        Reading {
            merge: Merge::default(),
            books: Box::new(Books::new([true; 5], false)),
            slots: slots.to_vec(),
        }
    }

    /// Applies what was published, and looks whether the books are those of a moment that can have been: no death without its
    /// birth, no birth where a block still lives. Returns how many events were ever applied.
    pub(super) fn pass(&mut self, transport: &Transport) -> u64 {
        let slots = self.slots.clone();
        self.merge
            .pass(|| slots, transport, &mut self.books, &mut ());
        let quality = &self.books.quality;
        assert_eq!(
            (quality.unmatched_frees, quality.missed_frees),
            (0, 0),
            "deaths without a birth, births where a block lives"
        );
        quality.events
    }

    /// Whether everything that was published has been applied.
    pub(super) fn is_drained(&self) -> bool {
        self.slots.iter().all(|slot| self.merge.is_drained(slot))
    }
}

/// Joins a thread of the model.
pub(super) fn joined<T>(thread: thread::JoinHandle<T>) -> T {
    thread.join().expect("no panic")
}
