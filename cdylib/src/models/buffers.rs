//! Whole buffers go to the reader and come back: `Slot`, `Transport` and `Merge`.

use loom::sync::Arc;
use loom::thread;

use super::stage::{Reading, append, check, event, joined, slot};
use crate::events::event::Kind;
use crate::events::transport::{CAPACITY, Transport};

/// What one thread records is read whole and in its order, while it goes on and its buffers are used again.
#[test]
fn a_stream_is_read_whole_and_in_its_order() {
    check(2, || {
        let transport = Arc::new(Transport::new());
        let slot = slot(1);
        let mut reading = Reading::of(&[slot]);
        let writer = thread::spawn({
            let transport = Arc::clone(&transport);
            move || {
                // One block, born and freed in turns: any other order would be seen.
                let kinds = [Kind::Birth, Kind::Death].into_iter().cycle().take(6);
                kinds
                    .take_while(|kind| append(slot, &transport, event(*kind)))
                    .count() as u64
            }
        });
        reading.pass(&transport);
        let appended = joined(writer);
        // The segment's mark is no event.
        assert_eq!(reading.pass(&transport), appended);
        assert!(reading.is_drained());
    });
}

/// Two threads send at a time: nothing is lost or comes twice, each one's buffers keep their order, no more wait than may.
#[test]
fn buffers_of_two_senders_all_come_once() {
    check(2, || {
        let transport = Arc::new(Transport::new());
        let senders = [1, 2].map(|name| {
            let transport = Arc::clone(&transport);
            thread::spawn(move || {
                let mut sent = 0;
                for index in 0..2 {
                    let buffer = transport.empty_buffer().expect("memory");
                    buffer.assign(name, index);
                    if transport.send(buffer) {
                        sent += 1;
                    } else {
                        transport.recycle(buffer);
                    }
                }
                sent
            })
        });
        let mut received = Vec::new();
        let mut receive = || {
            let mut queue = transport.receive();
            let before = received.len();
            while let Some(buffer) = queue.pop() {
                received.push((buffer.slot(), buffer.index()));
                transport.recycle(buffer);
            }
            received.len() - before
        };
        assert!(receive() <= CAPACITY);
        let sent: usize = senders.into_iter().map(joined).sum();
        receive();
        assert_eq!((received.len(), transport.waiting()), (sent, 0));
        for name in [1, 2] {
            let of_one = received.iter().filter(|(slot, _)| *slot == name);
            assert!(of_one.is_sorted_by(|a, b| a.1 < b.1), "{received:?}");
        }
    });
}
