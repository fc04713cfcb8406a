//! The events of a capture as rows of a table, in their order.
//!
//! Invariant: memory grows with the blocks that are live at once and with the sites, not with the events: a row is made when the
//! one before it was written.

use std::collections::HashMap;
use std::io::Read;
use std::rc::Rc;

use pytrace_format::FormatError;
use pytrace_format::events::{Block, Change, Event, EventDecoder};
use pytrace_format::fast_map::FastMap;
use pytrace_model::Model;
use pytrace_model::ids::SiteId;
use pytrace_model::record::Domain;

use super::flat::{self, Cell, Header, Kind};

/// The columns. Of a block that is given back, size and site are those it was given out with, and `age_ns` is how long ago that was; they are
/// empty when that was not seen.
pub(super) const EVENT_COLUMNS: [Header; 12] = [
    ("at_ns", Kind::Number),
    ("thread", Kind::Number),
    ("event", Kind::Text),
    ("domain", Kind::Text),
    ("address", Kind::Number),
    ("size_bytes", Kind::Number),
    ("served_bytes", Kind::Number),
    ("age_ns", Kind::Number),
    ("site", Kind::Number),
    ("function", Kind::Text),
    ("file", Kind::Text),
    ("line", Kind::Number),
];

/// The rows, made while they are read.
pub struct EventRows<'a> {
    events: Box<dyn Iterator<Item = Result<Event, FormatError>> + 'a>,
    trouble: Option<FormatError>,
    unplaced: u64,
    model: &'a Model,
    words: Words,
    places: FastMap<u32, Place>,
    live: FastMap<u64, Live>,
    /// The block that each thread is about to resize.
    pending: FastMap<u32, Live>,
}

/// A block between the event that gave it out and the one that takes it back.
#[derive(Clone, Copy)]
struct Live {
    block: Block,
    at_ns: u64,
}

/// What a site's rows have in common.
#[derive(Clone)]
struct Place {
    is_known: bool,
    domain: Cell,
    function: Cell,
    file: Cell,
    line: Cell,
}

/// Texts that many rows share.
struct Words {
    domains: [Rc<str>; 5],
    changes: HashMap<&'static str, Rc<str>>,
}

impl<'a> EventRows<'a> {
    /// The rows of the capture that `reader` gives from its first byte; `model` is what its records say.
    pub fn of(model: &'a Model, reader: impl Read + 'a) -> EventRows<'a> {
        EventRows {
            events: Box::new(EventDecoder::new(reader)),
            trouble: None,
            unplaced: 0,
            model,
            words: Words {
                domains: Domain::ALL.map(|domain| domain.name().into()),
                changes: HashMap::new(),
            },
            places: FastMap::default(),
            live: FastMap::default(),
            pending: FastMap::default(),
        }
    }

    /// Why the rows ended before the file did.
    pub fn trouble(&self) -> Option<&FormatError> {
        self.trouble.as_ref()
    }

    /// Rows so far of blocks whose call site the capture does not have: its process was killed before the site was written.
    pub fn unplaced(&self) -> u64 {
        self.unplaced
    }

    /// The cells of the next row, in the order of [`EVENT_COLUMNS`].
    pub(super) fn next_row(&mut self) -> Option<Vec<Cell>> {
        match self.events.next()? {
            Ok(event) => Some(self.row(&event)),
            Err(error) => {
                self.trouble = Some(error);
                None
            }
        }
    }

    fn row(&mut self, event: &Event) -> Vec<Cell> {
        let mut domain = Cell::Nothing;
        let (mut address, mut age_ns) = (None, None);
        let mut block = None;
        match &event.change {
            Change::Allocated(given) | Change::Resized(given) => {
                address = Some(given.address);
                block = Some(*given);
                let at_ns = event.at_ns;
                let live = Live {
                    block: *given,
                    at_ns,
                };
                self.live.insert(given.address, live);
            }
            Change::Freed(freed) | Change::ResizeBegun(freed) => {
                address = Some(freed.address);
                domain = Cell::Text(self.words.domains[freed.domain as usize].clone());
                // Of a mapping a part may be unmapped: it counts until its first byte goes.
                let taken = self.live.remove(&freed.address);
                if let (Some(live), Change::ResizeBegun(_)) = (taken, &event.change) {
                    self.pending.insert(event.thread, live);
                }
                age_ns = taken.map(|live| event.at_ns.saturating_sub(live.at_ns));
                block = taken.map(|live| live.block);
            }
            Change::ArenaMapped(arena) | Change::ArenaUnmapped(arena) => {
                address = Some(arena.address);
                block = Some(Block {
                    size_bytes: arena.bytes,
                    served_bytes: arena.bytes,
                    ..Block::default()
                });
            }
            Change::ResizeFailed => {
                if let Some(live) = self.pending.remove(&event.thread) {
                    self.live.insert(live.block.address, live);
                }
            }
            Change::Ended | Change::Paused | Change::Resumed => {}
        }
        let site = block
            .map(|block| block.site)
            .filter(|site| *site != SiteId(0));
        let place = site.map(|site| self.place(site));
        self.unplaced += u64::from(place.as_ref().is_some_and(|place| !place.is_known));
        let number = |number: Option<u64>| number.map_or(Cell::Nothing, Cell::Number);
        let of_place = |part: fn(&Place) -> &Cell| {
            place
                .as_ref()
                .map_or(Cell::Nothing, |place| part(place).clone())
        };
        if domain == Cell::Nothing {
            domain = of_place(|place| &place.domain);
        }
        vec![
            Cell::Number(event.at_ns),
            Cell::Number(u64::from(event.thread)),
            self.word(name(&event.change)),
            domain,
            number(address),
            number(block.map(|block| block.size_bytes)),
            number(block.map(|block| block.served_bytes)),
            number(age_ns),
            number(site.map(|site| u64::from(site.0))),
            of_place(|place| &place.function),
            of_place(|place| &place.file),
            of_place(|place| &place.line),
        ]
    }

    fn place(&mut self, site: SiteId) -> Place {
        let model = self.model;
        let words = &self.words;
        let place = self.places.entry(site.0).or_insert_with(|| {
            let Some(row) = model.site(site) else {
                return Place {
                    is_known: false,
                    domain: Cell::Nothing,
                    function: Cell::Nothing,
                    file: Cell::Nothing,
                    line: Cell::Nothing,
                };
            };
            let python = flat::innermost_python(model, row.stack);
            Place {
                is_known: true,
                domain: Cell::Text(words.domains[row.domain as usize].clone()),
                function: flat::text(&python.function),
                file: flat::text(&python.file),
                line: match python.line {
                    0 => Cell::Nothing,
                    line => Cell::Number(u64::from(line)),
                },
            }
        });
        place.clone()
    }

    fn word(&mut self, word: &'static str) -> Cell {
        let changes = &mut self.words.changes;
        Cell::Text(changes.entry(word).or_insert_with(|| word.into()).clone())
    }
}

/// The word for what happened.
fn name(change: &Change) -> &'static str {
    match change {
        Change::Allocated(_) => "allocated",
        Change::Freed(_) => "freed",
        Change::ResizeBegun(_) => "resize begun",
        Change::Resized(_) => "resized",
        Change::ResizeFailed => "resize failed",
        Change::ArenaMapped(_) => "arena mapped",
        Change::ArenaUnmapped(_) => "arena unmapped",
        Change::Ended => "ended",
        Change::Paused => "paused",
        Change::Resumed => "resumed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pytrace_format::events::{Arena, EventEncoder, Freed};
    use pytrace_format::record::{Counters, Record};
    use pytrace_format::synth::Synth;

    /// A capture with one site, and these events of thread 7, a microsecond apart.
    fn file(changes: &[Change]) -> (Model, Vec<u8>) {
        let mut synth = Synth::new();
        let line = synth.python("main", "a.py", 3);
        let stack = synth.stack(&[line]);
        synth.site(Domain::Object, stack, Counters::default());
        let mut model = Model::default();
        let records: &[Record] = synth.records();
        for record in records {
            model.apply(record.clone()).unwrap();
        }
        let mut encoder = EventEncoder::new();
        for (change, at_ns) in changes.iter().zip((1..).map(|number| number * 1000)) {
            assert!(encoder.push(&Event {
                at_ns,
                thread: 7,
                change: *change,
            }));
        }
        let file = [&synth.file()[..], encoder.finish()].concat();
        (model, file)
    }

    /// The rows, a text each, with `-` for what is empty.
    fn shown(model: &Model, file: &[u8]) -> (Vec<String>, bool, u64) {
        let mut rows = EventRows::of(model, file);
        let mut texts = Vec::new();
        while let Some(row) = rows.next_row() {
            assert_eq!(row.len(), EVENT_COLUMNS.len());
            let cells = row.iter().map(|cell| match cell {
                Cell::Text(text) => text.to_string(),
                Cell::Number(number) => number.to_string(),
                Cell::Nothing => "-".to_string(),
            });
            texts.push(cells.collect::<Vec<_>>().join(" "));
        }
        (texts, rows.trouble().is_some(), rows.unplaced())
    }

    #[test]
    fn what_is_given_back_is_told_with_its_size_site_and_age() {
        let block = |address, site| Block {
            site: SiteId(site),
            address,
            size_bytes: 20,
            served_bytes: 32,
        };
        let freed = |address| Freed {
            domain: Domain::Mem,
            address,
            unmapped_bytes: 0,
            is_inner: false,
        };
        let (model, file) = file(&[
            Change::Allocated(block(64, 1)),
            Change::ResizeBegun(freed(64)),
            Change::ResizeFailed,
            Change::Freed(freed(64)),
            Change::Freed(freed(64)),
            Change::Allocated(block(96, 9)),
            Change::ArenaMapped(Arena {
                address: 4096,
                bytes: 1 << 18,
            }),
            Change::Ended,
        ]);
        let (rows, in_trouble, unplaced) = shown(&model, &file);
        let site = "1 main a.py 3";
        assert_eq!(
            rows,
            [
                format!("1000 7 allocated object 64 20 32 - {site}"),
                format!("2000 7 resize begun mem 64 20 32 1000 {site}"),
                "3000 7 resize failed - - - - - - - - -".to_string(),
                format!("4000 7 freed mem 64 20 32 3000 {site}"),
                "5000 7 freed mem 64 - - - - - - -".to_string(),
                // A site that the table of a killed program does not have.
                "6000 7 allocated - 96 20 32 - 9 - - -".to_string(),
                "7000 7 arena mapped - 4096 262144 262144 - - - - -".to_string(),
                "8000 7 ended - - - - - - - - -".to_string(),
            ]
        );
        assert!(!in_trouble);
        assert_eq!(unplaced, 1);
        let (rows, in_trouble, _) = shown(&model, &file[..file.len() - 1]);
        assert!(rows.is_empty() && in_trouble);
    }
}
