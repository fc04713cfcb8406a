//! Flushes and the end: what was recorded before is in them, and nothing is written behind the final record: `Closing`, with the
//! lock, `Merge`, and all below.

use loom::sync::Arc;
use loom::thread;
use pytrace_format::record::Domain;

use super::stage::{Reading, append, check, control, event_of, joined, slot};
use crate::events::event::{Control, Kind};
use crate::events::slot::Slot;
use crate::events::transport::Transport;
use crate::session::closing::Closing;
use crate::sync::Lock;

/// What is written to the capture: how many events the books had seen.
#[derive(Debug, PartialEq)]
enum Written {
    Flush(u64),
    Final(u64),
}

/// What the lock of the aggregator guards.
struct Aggregator {
    reading: Reading,
    written: Vec<Written>,
}

struct Stage {
    transport: Transport,
    closing: Closing,
    aggregator: Lock<Aggregator>,
    slots: [&'static Slot; 2],
}

fn stage() -> Arc<Stage> {
    let slots = [slot(1), slot(2)];
    let aggregator = Lock::new(Aggregator {
        reading: Reading::of(&slots),
        written: Vec::new(),
    });
    drop(aggregator.try_lock()); // its word is made by the first use
    Arc::new(Stage {
        transport: Transport::new(),
        closing: Closing::new(),
        aggregator,
        slots,
    })
}

impl Aggregator {
    /// How many final records there are, none of which may be followed by anything.
    fn finals(&self) -> usize {
        let is_final = |written: &&Written| matches!(written, Written::Final(_));
        assert!(
            self.written
                .iter()
                .next_back()
                .is_some_and(|last| is_final(&last))
        );
        self.written.iter().filter(is_final).count()
    }
}

impl Stage {
    fn append(&self, slot: usize, domain: Domain, kind: Kind) {
        append(self.slots[slot], &self.transport, event_of(domain, kind));
    }

    /// As the background thread does: reads, and writes unless the process ends.
    fn look(&self) {
        if let Some(mut aggregator) = self.aggregator.try_lock() {
            self.flush_locked(&mut aggregator);
        }
    }

    fn flush_locked(&self, aggregator: &mut Aggregator) {
        let events = aggregator.reading.pass(&self.transport);
        if !self.closing.has_ended() {
            aggregator.written.push(Written::Flush(events));
        }
    }

    /// As whoever ends the process does. `slot` is the calling thread's.
    fn finish(&self, slot: usize) {
        if !self.closing.end() {
            return;
        }
        if self.closing.freeze(1) {
            append(self.slots[slot], &self.transport, control(Control::Freeze));
        }
        let mut aggregator = self.aggregator.lock();
        let events = aggregator.reading.pass(&self.transport);
        aggregator.written.push(Written::Final(events));
    }

    fn allocations(&self, domain: Domain) -> u64 {
        let aggregator = self.aggregator.lock();
        aggregator.reading.books.counters(Some(domain)).allocations
    }
}

/// Two threads record and flush, and the background thread looks in between: each finds in the books what it recorded, also when
/// another has read it for it.
#[test]
fn a_flush_has_what_its_thread_recorded() {
    check(2, || {
        let stage = stage();
        let record_and_flush = |stage: &Stage, slot, domain| {
            stage.append(slot, domain, Kind::Birth);
            stage.flush_locked(&mut stage.aggregator.lock());
            assert_eq!(stage.allocations(domain), 1, "{domain:?}");
        };
        let other = thread::spawn({
            let stage = Arc::clone(&stage);
            move || record_and_flush(&stage, 1, Domain::Raw)
        });
        let background = thread::spawn({
            let stage = Arc::clone(&stage);
            move || stage.look()
        });
        record_and_flush(&stage, 0, Domain::Malloc);
        joined(other);
        joined(background);
        let written = &stage.aggregator.lock().written;
        assert!(
            written.is_sorted_by_key(|written| match written {
                Written::Flush(events) | Written::Final(events) => *events,
            }),
            "a later flush says less: {written:?}"
        );
    });
}

/// The process ends while the background thread looks: the final record is the last, and has what was recorded before; what comes
/// after the freeze is the tear-down's, and counted as such.
#[test]
fn nothing_is_written_behind_the_final_record() {
    check(2, || {
        let stage = stage();
        let background = thread::spawn({
            let stage = Arc::clone(&stage);
            move || {
                stage.look();
                stage.look();
            }
        });
        stage.append(0, Domain::Malloc, Kind::Birth);
        stage.finish(0);
        stage.append(0, Domain::Malloc, Kind::Death);
        joined(background);
        let mut aggregator = stage.aggregator.lock();
        assert_eq!(aggregator.finals(), 1, "{:?}", aggregator.written);
        aggregator.reading.pass(&stage.transport);
        let books = &aggregator.reading.books;
        let counted = books.counters(None);
        assert_eq!(
            (counted.allocations, counted.frees, books.shutdown.frees),
            (1, 0, 1)
        );
    });
}

/// Two threads end the process at once: one of them writes the end, and every event is the program's or the tear-down's.
#[test]
fn one_of_two_writes_the_end() {
    check(2, || {
        let stage = stage();
        let record_and_end = |stage: &Stage, slot, domain| {
            stage.append(slot, domain, Kind::Birth);
            stage.finish(slot);
        };
        let other = thread::spawn({
            let stage = Arc::clone(&stage);
            move || record_and_end(&stage, 1, Domain::Raw)
        });
        record_and_end(&stage, 0, Domain::Malloc);
        joined(other);
        let mut aggregator = stage.aggregator.lock();
        assert_eq!(aggregator.finals(), 1, "{:?}", aggregator.written);
        aggregator.reading.pass(&stage.transport);
        let books = &aggregator.reading.books;
        let (before, after) = (books.counters(None).allocations, books.shutdown.allocations);
        assert_eq!(before + after, 2);
        assert!(books.frozen && before >= 1, "whoever froze had recorded");
    });
}
