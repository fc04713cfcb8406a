//! What leaves the process: the capture, written as it grows, and the summary at the end.
//!
//! Invariant: entered with the aggregator's lock held, by the background thread or by the thread that ends the process.
//! Any trouble with the file ends the capture with one line on stderr; the program goes on.

mod capture;
mod elf;
mod modules;
mod naming;
mod path;
mod process;
mod records;
mod summary;
mod symbols;

use pytrace_format::record::{End, Ended, Record};
use pytrace_model::Model;

use crate::aggregate::books::Books;
use crate::session::Session;
use crate::settings::Summary;

/// The output's state.
pub(crate) struct Output {
    capture: capture::Capture,
    records: records::Records,
    next_flush_ns: u64,
}

impl Output {
    pub(crate) fn new() -> Self {
        Output {
            capture: capture::Capture::new(),
            records: records::Records::new(),
            next_flush_ns: 0,
        }
    }

    /// Whether a capture has been begun.
    pub(crate) fn has_begun(&self) -> bool {
        self.capture.path().is_some()
    }

    /// When the next flush is due, nanoseconds since the start.
    pub(crate) fn next_flush_ns(&self) -> u64 {
        self.next_flush_ns
    }

    /// Appends what changed to the capture.
    pub(crate) fn flush(
        &mut self,
        session: &Session,
        books: &mut Books,
        now_ns: u64,
        ended: Ended,
    ) {
        self.next_flush_ns = now_ns + u64::from(session.settings.interval_ms) * 1_000_000;
        let Some(pattern) = &session.settings.output else {
            return;
        };
        let Output {
            capture, records, ..
        } = self;
        if capture.open(pattern) {
            let mut push = |record: Record| capture.push(&record);
            records.changed(session, books, now_ns, &mut push);
            if ended != Ended::Running {
                records.last(session, books, &[], &mut push);
            }
            push(Record::End(End {
                ended,
                at_ns: now_ns,
            }));
            capture.write();
        }
    }

    /// Writes everything for the last time, and the summary where it belongs.
    pub(crate) fn finish(&mut self, session: &Session, books: &mut Books, ended: Ended) {
        let end_ns = session.end_ns();
        let prints = session.settings.summary != Summary::None && process::is_root(session);
        if !prints && session.settings.output.is_none() {
            return;
        }
        let end = Record::End(End {
            ended,
            at_ns: end_ns,
        });
        let Output {
            capture, records, ..
        } = self;
        let names = records.name_natives(session, books);
        if let Some(pattern) = &session.settings.output
            && capture.open(pattern)
        {
            let mut push = |record: Record| capture.push(&record);
            records.changed(session, books, end_ns, &mut push);
            records.last(session, books, &names, &mut push);
            push(end.clone());
            capture.write();
        }
        if prints {
            let mut model = Model::default();
            // Rows come before what refers to them, so none is refused; one that were would only be missing.
            let mut apply = |record: Record| {
                let _ = model.apply(record);
            };
            records.everything(session, books, &names, &mut apply);
            apply(end);
            summary::print(&session.settings, &model, capture.path());
        }
    }
}
