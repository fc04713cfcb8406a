//! How far long work is, on one line of a terminal that goes away when the work is done.
//!
//! Invariant: where standard error is no terminal, or the work is short, nothing is written.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use pytrace_model::text::size;

/// Work that is shorter is not talked about.
const PATIENCE: Duration = Duration::from_millis(500);

/// Time between two states of the line.
const PERIOD: Duration = Duration::from_millis(100);

/// The line.
#[derive(Debug)]
pub(crate) struct ProgressLine {
    is_shown: bool,
    /// When it may be written next; `None`: never.
    due: Option<Instant>,
}

impl ProgressLine {
    /// A line on standard error, if that is a terminal.
    pub(crate) fn of_stderr() -> ProgressLine {
        ProgressLine {
            is_shown: false,
            due: io::stderr()
                .is_terminal()
                .then(|| Instant::now() + PATIENCE),
        }
    }

    /// Says how far the work is, if it is time to.
    pub(crate) fn show(&mut self, how_far: impl FnOnce() -> String) {
        let now = Instant::now();
        if self.due.is_none_or(|due| now < due) {
            return;
        }
        self.due = Some(now + PERIOD);
        self.is_shown = true;
        write_to_terminal(&format!("\r\x1b[Kpytrace: {}", how_far()));
    }

    /// Takes the line away.
    pub(crate) fn clear(&mut self) {
        if core::mem::take(&mut self.is_shown) {
            write_to_terminal("\r\x1b[K");
        }
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        self.clear();
    }
}

/// How much of a file was read. A pipe does not tell its length.
pub(crate) fn reading(read_bytes: u64, all_bytes: u64) -> String {
    match read_bytes <= all_bytes {
        true => format!("reading, {} of {}", size(read_bytes), size(all_bytes)),
        false => format!("reading, {}", size(read_bytes)),
    }
}

/// What is written, and how much it is so far.
#[derive(Debug)]
pub(crate) struct Watched<'progress, W> {
    out: W,
    written_bytes: u64,
    progress: &'progress mut ProgressLine,
}

impl<'progress, W: Write> Watched<'progress, W> {
    /// Writes to `out`.
    pub(crate) fn new(out: W, progress: &'progress mut ProgressLine) -> Watched<'progress, W> {
        Watched {
            out,
            written_bytes: 0,
            progress,
        }
    }
}

impl<W: Write> Write for Watched<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.written_bytes += written as u64;
        let so_far = self.written_bytes;
        self.progress
            .show(|| format!("writing the report, {} so far", size(so_far)));
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A terminal that went away misses nothing.
fn write_to_terminal(text: &str) {
    let mut terminal = io::stderr().lock();
    let _ = terminal.write_all(text.as_bytes());
    let _ = terminal.flush();
}
