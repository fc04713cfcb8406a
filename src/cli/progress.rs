//! How far long work is, on one line of a terminal that goes away when the work is done.
//!
//! Invariant: where standard error is no terminal, or the work is short, nothing is written.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use pytrace_model::text::count;

/// Work that is shorter is not talked about.
const PATIENCE: Duration = Duration::from_millis(500);

/// Time between two states of the line.
const PERIOD: Duration = Duration::from_millis(100);

/// The line.
#[derive(Debug)]
pub(crate) struct Progress {
    is_shown: bool,
    /// When it may be written next; `None`: never.
    due: Option<Instant>,
}

impl Progress {
    /// A line on standard error, if that is a terminal.
    pub(crate) fn of_stderr() -> Progress {
        Progress {
            is_shown: false,
            due: io::stderr()
                .is_terminal()
                .then(|| Instant::now() + PATIENCE),
        }
    }

    /// Says how far the work is, if it is time to.
    pub(crate) fn show(&mut self, what: &str, done: usize, all: usize) {
        let now = Instant::now();
        if self.due.is_none_or(|due| now < due) {
            return;
        }
        self.due = Some(now + PERIOD);
        self.is_shown = true;
        let (done, all) = (count(done as u64), count(all as u64));
        write_to_terminal(&format!("\r\x1b[Kpytrace: {what}, {done} of {all}"));
    }

    /// Takes the line away.
    pub(crate) fn clear(&mut self) {
        if core::mem::take(&mut self.is_shown) {
            write_to_terminal("\r\x1b[K");
        }
    }
}

/// A terminal that went away misses nothing.
fn write_to_terminal(text: &str) {
    let mut terminal = io::stderr().lock();
    let _ = terminal.write_all(text.as_bytes());
    let _ = terminal.flush();
}
