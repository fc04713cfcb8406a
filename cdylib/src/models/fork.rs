//! A fork sends the background thread away, whoever else forks or starts one meanwhile: `Presence`.
//!
//! Not modelled: the clock (a pause is over at once, patience is endless or none), system threads, and the child, which begins
//! anew.

use core::sync::atomic::{AtomicUsize, Ordering};

use loom::sync::Arc;
use loom::thread::{self, JoinHandle};

use super::stage::{Watched, check, joined};
use crate::session::presence::Presence;

struct Stage {
    presence: Presence<JoinHandle<()>>,
    /// Background threads that are there: a note of the model's, not a word of the protocol.
    ours: AtomicUsize,
    /// What the background thread keeps, under no lock.
    kept: Watched,
}

fn stage() -> Arc<Stage> {
    let presence = Presence::new();
    presence.attendance.renew();
    presence.attendance.wake(); // its words are made by the first use
    presence.send_away(0, |_| ());
    presence.fork_is_over(0);
    Arc::new(Stage {
        presence,
        ours: AtomicUsize::new(0),
        kept: Watched::new(),
    })
}

/// The background thread: works, and sleeps until it is to end.
fn run(stage: &Stage) {
    stage.kept.add_one();
    let attendance = &stage.presence.attendance;
    while !attendance.must_end() {
        attendance.sleep(|| false, || Some(u64::MAX));
    }
    stage.kept.add_one();
    attendance.leave();
}

fn start(stage: &Arc<Stage>) {
    let background = || {
        stage.ours.fetch_add(1, Ordering::Relaxed);
        let stage = Arc::clone(stage);
        Some(thread::spawn(move || run(&stage)))
    };
    stage
        .presence
        .start(|| u64::MAX, background, |thread| join(stage, thread));
}

fn join(stage: &Stage, thread: JoinHandle<()>) {
    joined(thread);
    stage.ours.fetch_sub(1, Ordering::Relaxed);
}

fn fork(stage: &Stage) {
    let has_left = stage
        .presence
        .send_away(u64::MAX, |thread| join(stage, thread));
    assert!(has_left, "it was waited for");
    // The moment of the fork.
    assert_eq!(stage.ours.load(Ordering::Relaxed), 0, "a thread of ours");
    stage.kept.look();
    stage.presence.fork_is_over(0);
}

/// One thread forks while another starts the background thread, which may run already: none is there in the moment of the fork,
/// and what it wrote before is seen.
#[test]
fn none_is_there_when_the_program_forks() {
    for runs_before in [false, true] {
        check(2, move || {
            let stage = stage();
            if runs_before {
                start(&stage);
            }
            let forking = thread::spawn({
                let stage = Arc::clone(&stage);
                move || fork(&stage)
            });
            start(&stage);
            joined(forking);
            fork(&stage);
            start(&stage);
            let presence = &stage.presence;
            assert!(presence.is_running() && !presence.attendance.must_end());
            fork(&stage);
        });
    }
}

/// Two threads fork at once, and one starts the background thread when its own fork is over: the other's may not be.
#[test]
fn none_is_started_while_another_thread_forks() {
    check(2, || {
        let stage = stage();
        start(&stage);
        let forking = thread::spawn({
            let stage = Arc::clone(&stage);
            move || fork(&stage)
        });
        fork(&stage);
        start(&stage);
        joined(forking);
        fork(&stage);
    });
}

/// It does not end in time for a fork, and ends later: the next one is started when it has, and never touches what it has.
#[test]
fn one_that_did_not_end_in_time_is_waited_for_before_the_next() {
    check(2, || {
        let stage = stage();
        start(&stage);
        let has_left = stage.presence.send_away(0, |thread| join(&stage, thread));
        assert!(
            has_left || !stage.presence.is_running(),
            "one that leaves does no work"
        );
        stage.presence.fork_is_over(0);
        start(&stage);
        assert!(stage.ours.load(Ordering::Relaxed) <= 1, "two at a time");
        if !stage.presence.is_running() {
            assert!(stage.presence.attendance.wait_for_leaving(u64::MAX));
            start(&stage);
        }
        fork(&stage);
    });
}
