//! The shim's lock, over a word of loom's (see `sync`).

use loom::sync::Arc;
use loom::thread;

use super::stage::{Watched, check, joined};
use crate::sync::Lock;

fn lock() -> Arc<Lock<Watched>> {
    let lock = Lock::new(Watched::new());
    drop(lock.try_lock()); // its word is made by the first use
    Arc::new(lock)
}

/// Two threads wait for a third and for each other: one at a time has the lock, each sees what the one before it wrote, and nobody
/// is left asleep.
#[test]
fn holders_take_turns_and_sleepers_are_woken() {
    check(2, || {
        let lock = lock();
        let others = [(); 2].map(|()| {
            let lock = Arc::clone(&lock);
            thread::spawn(move || lock.lock().add_one())
        });
        lock.lock().add_one();
        others.into_iter().for_each(|other| {
            joined(other);
        });
        assert_eq!(lock.lock().add_one(), 4);
    });
}

/// Who only tries to take it has it to himself too, and leaves nobody asleep.
#[test]
fn a_lock_that_was_tried_for_is_held_alone() {
    check(2, || {
        let lock = lock();
        let other = thread::spawn({
            let lock = Arc::clone(&lock);
            move || lock.lock().add_one()
        });
        let tried = lock.try_lock().map(|held| held.add_one());
        joined(other);
        assert_eq!(lock.lock().add_one(), 2 + u32::from(tried.is_some()));
    });
}

/// Who takes it within a time, and was woken for it, leaves nobody asleep either.
#[test]
fn a_lock_that_was_taken_within_a_time_wakes_the_next() {
    check(3, || {
        let lock = lock();
        let others = [false, true].map(|is_patient| {
            let lock = Arc::clone(&lock);
            thread::spawn(move || {
                let held = if is_patient {
                    lock.lock_within(u64::MAX).expect("there is time")
                } else {
                    lock.lock()
                };
                held.add_one()
            })
        });
        lock.lock().add_one();
        others.into_iter().for_each(|other| {
            joined(other);
        });
        assert_eq!(lock.lock().add_one(), 4);
    });
}
