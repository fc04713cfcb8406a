//! A reader takes cuts of streams that go on growing: `Segments`, `Slot` and `Merge`.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

use super::stage::{Reading, append, check, event, joined, other_event, slot};
use crate::events::event::Kind;
use crate::events::transport::Transport;

/// A block is born in one thread while another records already, which then frees it and gets its address again: no cut has the
/// death without the birth, or the second birth without the death.
#[test]
fn a_cut_has_what_came_before() {
    check(1, || {
        let transport = Arc::new(Transport::new());
        let (first, second) = (slot(1), slot(2));
        let mut reading = Reading::of(&[first, second]);
        let is_handed_on = Arc::new(AtomicBool::new(false));
        let giver = thread::spawn({
            let (transport, is_handed_on) = (Arc::clone(&transport), Arc::clone(&is_handed_on));
            move || {
                append(first, &transport, event(Kind::Birth));
                is_handed_on.store(true, Ordering::Release);
            }
        });
        let taker = thread::spawn({
            let transport = Arc::clone(&transport);
            move || {
                append(second, &transport, other_event(Kind::Birth));
                if !is_handed_on.load(Ordering::Acquire) {
                    return 2;
                }
                append(second, &transport, event(Kind::Death));
                3
            }
        });
        thread::yield_now(); // else loom tries no pass between the others' steps
        reading.pass(&transport);
        joined(giver);
        let events = joined(taker);
        assert_eq!(reading.pass(&transport), events);
    });
}

/// The same when a third thread recorded last: what lies in segments before the last one is consistent too.
#[test]
fn a_cut_has_what_came_before_in_earlier_segments() {
    check(1, || {
        let transport = Arc::new(Transport::new());
        let slots = [slot(1), slot(2), slot(3)];
        let [first, second, third] = slots;
        let mut reading = Reading::of(&slots);
        let handed_on = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
        let [from_first, from_second] = handed_on;
        let giver = thread::spawn({
            let (transport, from_first) = (Arc::clone(&transport), Arc::clone(&from_first));
            move || {
                append(first, &transport, event(Kind::Birth));
                from_first.store(true, Ordering::Release);
            }
        });
        let taker = thread::spawn({
            let (transport, from_second) = (Arc::clone(&transport), Arc::clone(&from_second));
            move || {
                if from_first.load(Ordering::Acquire) {
                    append(second, &transport, event(Kind::Death));
                    from_second.store(true, Ordering::Relaxed);
                }
            }
        });
        let bystander = thread::spawn({
            let transport = Arc::clone(&transport);
            move || {
                // Relaxed: it knows of the death, and is not told what came before.
                if from_second.load(Ordering::Relaxed) {
                    append(third, &transport, other_event(Kind::Birth));
                }
            }
        });
        thread::yield_now();
        reading.pass(&transport);
        [giver, taker, bystander].into_iter().for_each(joined);
        reading.pass(&transport);
        assert!(reading.is_drained());
    });
}

/// Recording is switched off while a hook runs, and what was published is read for the last time: the hook goes on as it likes,
/// the reader sees whole events or none.
#[test]
fn the_last_cut_after_the_stop_has_whole_events() {
    check(1, || {
        let transport = Arc::new(Transport::new());
        let slot = slot(1);
        let mut reading = Reading::of(&[slot]);
        let is_on = Arc::new(AtomicBool::new(true));
        let hook = thread::spawn({
            let (transport, is_on) = (Arc::clone(&transport), Arc::clone(&is_on));
            move || {
                for kind in [Kind::Birth, Kind::Death, Kind::Birth] {
                    // Relaxed, as hooks ask for the state.
                    if is_on.load(Ordering::Relaxed) {
                        append(slot, &transport, event(kind));
                    }
                }
            }
        });
        is_on.store(false, Ordering::Release);
        let events = reading.pass(&transport);
        joined(hook);
        assert!(reading.pass(&transport) >= events);
    });
}
