//! The background thread is woken for work, and sent away for a fork: `Attendance`.
//!
//! Not modelled: the clock, which would wake it in the end (here nothing would, so that a wake-up lost is a deadlock), starting and
//! joining of system threads, and the child of the fork, which begins anew.

use loom::sync::Arc;
use loom::thread;

use super::stage::{Watched, check, joined};
use crate::events::transport::Transport;
use crate::session::attendance::Attendance;

struct Stage {
    transport: Transport,
    attendance: Attendance,
    /// What it keeps, under no lock.
    kept: Watched,
}

fn stage() -> Arc<Stage> {
    let stage = Stage {
        transport: Transport::new(),
        attendance: Attendance::new(),
        kept: Watched::new(),
    };
    stage.attendance.renew();
    stage.attendance.wake(); // its words are made by the first use
    Arc::new(stage)
}

/// The background thread's loop, until it is to end.
fn run(stage: &Stage) {
    loop {
        let mut received = stage.transport.receive();
        while let Some(buffer) = received.pop() {
            stage.kept.add_one();
            stage.transport.recycle(buffer);
        }
        if stage.attendance.must_end() {
            break;
        }
        stage
            .attendance
            .sleep(|| stage.transport.has_full(), || Some(u64::MAX));
    }
    stage.attendance.leave();
}

fn send(stage: &Stage) {
    let buffer = stage.transport.empty_buffer().expect("memory");
    buffer.assign(1, 0);
    assert!(stage.transport.send(buffer), "there is room for one");
    stage.attendance.wake();
}

/// A fork comes while another thread sends: the background thread ends, wherever it is, and what it wrote before is seen by whoever
/// forks.
#[test]
fn it_ends_when_a_fork_asks_and_leaves_what_it_wrote() {
    check(2, || {
        let stage = stage();
        let background = thread::spawn({
            let stage = Arc::clone(&stage);
            move || run(&stage)
        });
        send(&stage);
        stage.attendance.ask_to_end();
        assert!(stage.attendance.wait_for_leaving(u64::MAX));
        // The fork: nobody else touches what the background thread had.
        let kept = stage.kept.look();
        assert_eq!(kept as usize + stage.transport.waiting(), 1);
        joined(background);
    });
}

/// What was sent is taken, also when it comes in the moment in which the background thread falls asleep.
#[test]
fn it_wakes_up_for_what_is_sent() {
    check(2, || {
        let stage = stage();
        let background = thread::spawn({
            let stage = Arc::clone(&stage);
            move || {
                let mut received = stage.transport.receive();
                while received.first().is_none() {
                    stage
                        .attendance
                        .sleep(|| stage.transport.has_full(), || Some(u64::MAX));
                    received = stage.transport.receive();
                }
            }
        });
        send(&stage);
        joined(background);
    });
}
