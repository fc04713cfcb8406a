//! The shim's lock: the source of `sys::lock` a second time, over a word of loom's. (The first is the lock of the heap, which
//! serves loom itself.)

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

use super::stage::{check, joined};
use crate::sys::{clock, syscall};
use crate::watch as futex;
use modelled::Lock;

#[allow(
    clippy::duplicate_mod,
    reason = "the same source over another word is what is meant"
)]
#[path = "../sys/lock.rs"]
mod modelled;

/// What a lock guards, as loom sees it.
struct Guarded(UnsafeCell<u32>);

// SAFETY: loom reports two accesses at a time; that there are none is what the model shows.
unsafe impl Send for Guarded {}

impl Guarded {
    fn add_one(&mut self) -> u32 {
        // SAFETY: as above.
        self.0.with_mut(|number| unsafe {
            *number += 1;
            *number
        })
    }
}

fn lock() -> Arc<Lock<Guarded>> {
    let lock = Lock::new(Guarded(UnsafeCell::new(0)));
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
        let tried = lock.try_lock().map(|mut held| held.add_one());
        joined(other);
        assert_eq!(lock.lock().add_one(), 2 + u32::from(tried.is_some()));
    });
}
