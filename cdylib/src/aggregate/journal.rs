//! The journal: every event in the order in which it is applied, for the capture (mode `events`).
//!
//! Invariant: it says what the books are told, before they are told; what is not shown is left out, and nothing follows the end of the
//! program. Entered with the aggregator's lock.

use pytrace_format::events::{Arena, Block, Change, EventEncoder, Freed};
use pytrace_format::ids::SiteId;
use pytrace_format::record::Domain;

use crate::events::event::{Control, Event, Kind};
use crate::sys::file;

/// Bytes of events that are worth a write of their own.
const WORTH_WRITING_BYTES: usize = 1 << 20;

/// What is kept of a thread between its events.
#[derive(Default)]
pub(crate) struct Track {
    /// Kernel id.
    pub(crate) thread: u32,
    at_ns: u64,
    /// Upper half of the next event's size and its served bytes.
    wide: Option<(u64, u64)>,
}

/// Who is told of each event before it is applied. Nobody, mostly: `()`.
pub(crate) trait Witness {
    /// Whether anything is noted at all.
    const LISTENS: bool;
    /// A thread's event is about to be applied.
    fn note(&mut self, track: &mut Track, event: Event);
}

impl Witness for () {
    const LISTENS: bool = false;
    fn note(&mut self, _: &mut Track, _: Event) {}
}

/// The journal of a session.
pub(crate) struct Journal {
    encoder: EventEncoder,
    started_ns: u64,
    shown: [bool; 5],
    /// The program ended, or there was no memory.
    closed: bool,
}

impl Journal {
    pub(crate) fn new(started_ns: u64, shown: [bool; 5]) -> Self {
        Journal {
            encoder: EventEncoder::new(),
            started_ns,
            shown,
            closed: false,
        }
    }

    /// Whether enough is there for a write of its own.
    pub(crate) fn is_worth_writing(&self) -> bool {
        self.encoder.pending_bytes() >= WORTH_WRITING_BYTES
    }

    /// Gives what was gathered since the last call, as frames of the capture.
    pub(crate) fn take(&mut self, write: impl FnOnce(&[u8])) {
        let bytes = self.encoder.finish();
        if !bytes.is_empty() {
            write(bytes);
        }
        self.encoder.clear();
    }

    /// The change that a block's event stands for; `None`: it is not shown.
    fn of_block(&self, track: &mut Track, event: Event) -> Option<Change> {
        let wide = track.wide.take();
        let domain = event.domain();
        if !self.shown[domain as usize] {
            return None;
        }
        let (size_bytes, served_bytes) = match wide {
            Some((high, served)) => (high | event.size_low(), served),
            None => (event.size_low(), event.size_low() + event.slack()),
        };
        let address = event.address();
        let given = Block {
            site: SiteId(event.site() + 1),
            address,
            size_bytes,
            served_bytes,
        };
        let is_mapping = domain == Domain::Mmap;
        let freed = Freed {
            domain,
            address,
            unmapped_bytes: if is_mapping { size_bytes } else { 0 },
            is_inner: !is_mapping && event.is_inner(),
        };
        Some(match event.kind() {
            Kind::Birth => Change::Allocated(given),
            Kind::Death => Change::Freed(freed),
            Kind::ResizeOut => Change::ResizeBegun(freed),
            Kind::ResizeIn => Change::Resized(given),
            _ => Change::ResizeFailed,
        })
    }
}

impl Witness for Journal {
    const LISTENS: bool = true;

    fn note(&mut self, track: &mut Track, event: Event) {
        if self.closed {
            return;
        }
        let arena = Arena {
            address: event.address(),
            bytes: event.body(),
        };
        let change = match event.kind() {
            Kind::Segment => None,
            Kind::Wide => {
                track.wide = Some((event.size_high(), event.body()));
                None
            }
            Kind::Control => match event.control_kind() {
                Control::Clock => {
                    track.at_ns = event.body().saturating_sub(self.started_ns);
                    None
                }
                Control::ArenaMapped => Some(Change::ArenaMapped(arena)),
                Control::ArenaUnmapped => Some(Change::ArenaUnmapped(arena)),
                Control::Freeze => Some(Change::Ended),
                Control::Paused => Some(Change::Paused),
                Control::Resumed => Some(Change::Resumed),
            },
            _ => self.of_block(track, event),
        };
        let Some(change) = change else {
            return;
        };
        self.closed = change == Change::Ended;
        let event = pytrace_format::events::Event {
            at_ns: track.at_ns,
            thread: track.thread,
            change,
        };
        if !self.encoder.push(&event) {
            self.closed = true;
            file::say("out of memory: the capture has no events from here on");
        }
    }
}
