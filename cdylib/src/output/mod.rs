//! What leaves the process: the capture, written as it grows, and the summary at the end.
//!
//! Invariant: entered with the aggregator's lock held, by the background thread or by the thread that ends the process.
//! Any trouble with the file ends the capture with one line on stderr; the program goes on.

mod capture;
mod elf;
mod modules;
mod naming;
mod own_file;
mod path;
mod process;
mod records;
mod replacing;
mod resident;
mod rewriting;
mod summary;
mod symbols;
mod tables;
mod timeline;

use pytrace_format::record::{End, Ended, Record};
use pytrace_model::Model;

use crate::aggregate::books::Books;
use crate::aggregate::journal::Journal;
use crate::session::Session;
use crate::settings::Summary;
use crate::sys::{file, heap};
use naming::Effort;

/// What the names of native code and the summary may take beside copies of the tables, bytes.
const ROOM_BYTES: usize = 16 << 20;

/// The output's state.
pub(crate) struct Output {
    capture: capture::Capture,
    records: records::Records,
    next_flush_ns: u64,
    /// The events since the last flush, in mode `events`.
    journal: Option<Journal>,
    /// The summary's body, once everything was written.
    drawn: Option<String>,
}

impl Output {
    /// Nothing is written before `first_flush_ns`, counted from the start, unless the process ends.
    pub(crate) fn new(first_flush_ns: u64, journal: Option<Journal>) -> Self {
        Output {
            capture: capture::Capture::new(),
            records: records::Records::new(),
            next_flush_ns: first_flush_ns,
            journal,
            drawn: None,
        }
    }

    /// Whether a capture has been begun.
    pub(crate) fn has_begun(&self) -> bool {
        self.capture.path().is_some()
    }

    /// Where events are noted, in mode `events`.
    pub(crate) fn journal(&mut self) -> Option<&mut Journal> {
        self.journal.as_mut()
    }

    /// Whether there are so many events that they should be written at once.
    pub(crate) fn has_many_events(&self) -> bool {
        self.journal.as_ref().is_some_and(Journal::is_worth_writing)
    }

    /// Appends the events since the last flush to the capture, behind what they refer to: who reads it may have nothing more.
    pub(crate) fn write_events(&mut self, session: &Session) {
        let Output {
            capture,
            records,
            journal,
            ..
        } = self;
        let pattern = session.settings.output.as_deref();
        if let (Some(journal), Some(pattern)) = (journal, pattern) {
            journal.take(|bytes| {
                if capture.open(pattern) {
                    records.referred_to(session, &mut |record| capture.push(&record));
                    capture.write();
                    capture.write_frames(bytes);
                }
            });
        }
    }

    /// Objects are about to be unloaded: notes where the frames in them lie.
    pub(crate) fn before_unloading(&mut self, session: &Session) {
        self.records.before_unloading(session);
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
            capture,
            records,
            journal,
            ..
        } = self;
        if capture.open(pattern) {
            let mut push = |record: Record| capture.push(&record);
            if ended != Ended::Running {
                records.ask_who_runs();
            }
            records.changed(session, books, now_ns, &mut push);
            if ended != Ended::Running {
                records.last(session, books, &[], &mut push);
            }
            let end = Record::End(End {
                ended,
                at_ns: now_ns,
            });
            push(end.clone());
            capture.write();
            // Events are said once, each: nothing supersedes them. A program that becomes another has no time for it.
            if ended == Ended::Running && journal.is_none() && capture.is_outgrown() {
                capture.rewrite(&|| session.is_writer_waited_for(), |sink| {
                    records.everything(session, books, sink);
                    sink(end);
                });
            }
        }
        self.write_events(session);
    }

    /// The program has ended and the interpreter begins to tear down: writes everything, and draws the summary, now, while
    /// the interpreter is whole. CPython up to 3.11 has daemon threads run into freed memory when the time between the
    /// tear-down and the end of the process is long; so as little as possible is left for then.
    pub(crate) fn prepare(&mut self, session: &Session, books: &mut Books) {
        self.write_all(session, books, Ended::Exit, Effort::Quick);
    }

    /// The process ends: adds what the tear-down did, and prints the summary where it belongs.
    pub(crate) fn finish(&mut self, session: &Session, books: &mut Books, ended: Ended) {
        if self.drawn.is_none() || ended != Ended::Exit {
            self.write_all(session, books, ended, Effort::Thorough);
        } else if self.capture.path().is_some()
            && let Some(pattern) = &session.settings.output
            && self.capture.open(pattern)
        {
            self.capture.push(&Record::Quality(books.quality));
            self.capture.push(&Record::Shutdown(books.shutdown));
            self.capture.push(&Record::End(End {
                ended,
                at_ns: session.end_ns(),
            }));
            self.capture.write();
        }
        if let Some(drawn) = self.drawn.take()
            && self.prints(session)
        {
            let end = Model {
                settings: process::settings(session),
                shutdown: books.shutdown,
                ..Model::default()
            };
            summary::print(&session.settings, drawn, &end, self.capture.path());
        }
    }

    /// Whether everything was written when the tear-down began.
    pub(crate) fn is_prepared(&self) -> bool {
        self.drawn.is_some()
    }

    fn prints(&self, session: &Session) -> bool {
        session.settings.summary != Summary::None && process::is_root(session)
    }

    /// Writes everything to the capture, and draws the summary's body if it will be printed.
    fn write_all(&mut self, session: &Session, books: &mut Books, ended: Ended, effort: Effort) {
        let mut prints = self.prints(session);
        self.drawn = Some(String::new());
        let is_roomy = heap::can_map(ROOM_BYTES + 2 * heap::heap_bytes() as usize);
        if prints && !is_roomy {
            prints = false;
            file::say(
                "there is too little memory left for the summary; `pytrace report` can draw it",
            );
        }
        if !prints && session.settings.output.is_none() {
            return;
        }
        let at_ns = session.end_ns();
        let end = Record::End(End { ended, at_ns });
        let Output {
            capture, records, ..
        } = &mut *self;
        let names = if is_roomy {
            records.name_natives(session, books, effort)
        } else {
            Vec::new()
        };
        if let Some(pattern) = &session.settings.output
            && capture.open(pattern)
        {
            let mut push = |record: Record| capture.push(&record);
            records.ask_who_runs();
            records.changed(session, books, at_ns, &mut push);
            records.last(session, books, &names, &mut push);
            push(end.clone());
            capture.write();
        }
        self.write_events(session);
        if prints {
            let mut model = Model::default();
            // Rows come before what refers to them, so none is refused; one that were would only be missing.
            let mut apply = |record: Record| {
                let _ = model.apply(record);
            };
            self.records.everything(session, books, &mut apply);
            self.records.last(session, books, &names, &mut apply);
            apply(end);
            self.drawn = Some(summary::body(&session.settings, &model));
        }
    }
}
