//! The interner's tables as rows of the capture: strings, modules, frames, stacks and sites.
//!
//! Invariant: a row is given before anything that refers to it, and its number never changes. The interner's lock, which hooks
//! wait for, is held for the copy of a few rows at a time: not while files are searched, records packed or written.

use pytrace_format::ids::{FrameId, ModuleId, SiteId, StackId, StringId};
use pytrace_format::record::{Frame, Module, Record, Site, Stack};

use super::modules::Modules;
use super::naming::Place;
use super::records::Sink;
use crate::stack::intern::{self, Interner};
use crate::stack::names::{FastMap, FrameRow, NodeRow, SiteRow};
use crate::sys::lock::Lock;

/// Rows that are copied while the interner's lock is held.
const ROWS_AT_A_TIME: usize = 1024;

/// A row of the string, module or frame table, in the order in which they are written. Stacks and sites need no such
/// list: they are written as the interner has them, after the frames.
enum Row {
    /// A string of the interner's, by its row.
    Interned(u32),
    /// A string of our own: a module's path, a function's name.
    Own(String),
    Module {
        path: StringId,
        build_id: Vec<u8>,
    },
    Frame(Frame),
}

/// How much of the tables was given.
#[derive(Clone, Copy, Default)]
struct Progress {
    rows: usize,
    nodes: usize,
    sites: usize,
}

/// The tables, as far as they were read, and where native frames were found.
#[derive(Default)]
pub(crate) struct Tables {
    rows: Vec<Row>,
    strings_seen: usize,
    frames_seen: usize,
    /// Nodes and sites that refer to no later frames.
    nodes_seen: usize,
    sites_seen: usize,
    /// What [`Tables::give_new`] has given.
    given: Progress,
    /// The capture's string of each string of the interner's.
    strings: FastMap<u32, StringId>,
    strings_made: u32,
    modules: Modules,
    /// How often objects had been unloaded when the modules were looked at.
    modules_as_of: u32,
    modules_made: FastMap<usize, ModuleId>,
    /// The number of each module of the capture's, among `modules`.
    module_numbers: Vec<usize>,
}

/// The capture's number of a frame of the interner's.
pub(crate) fn frame_id(row: u32) -> FrameId {
    FrameId(row + 1)
}

/// The capture's number of a site of the interner's.
pub(crate) fn site_id(row: u32) -> SiteId {
    SiteId(row + 1)
}

impl Tables {
    /// Adds a string that is not the interner's.
    pub(crate) fn add_string(&mut self, text: String) -> StringId {
        self.push_string(Row::Own(text))
    }

    fn push_string(&mut self, row: Row) -> StringId {
        self.rows.push(row);
        self.strings_made += 1;
        StringId(self.strings_made)
    }

    /// Reads the interner's new strings and frames. Its lock is held for the copy alone: to find a frame's module takes files.
    pub(crate) fn read(&mut self, interner: &Lock<Interner>) {
        let (strings, frames) = {
            let interner = interner.lock();
            self.nodes_seen = interner.nodes.len();
            self.sites_seen = interner.sites.len();
            (
                interner.strings.len(),
                interner.frames.since(self.frames_seen).to_vec(),
            )
        };
        for row in self.strings_seen..strings {
            let id = self.push_string(Row::Interned(row as u32));
            self.strings.insert(row as u32, id);
        }
        self.strings_seen = strings;
        self.frames_seen += frames.len();
        for frame in frames {
            let frame = match frame {
                FrameRow::Python {
                    function,
                    file,
                    line,
                } => Frame::Python {
                    function: self.strings.get(&function).copied().unwrap_or_default(),
                    file: self.strings.get(&file).copied().unwrap_or_default(),
                    line,
                },
                FrameRow::Native { address, unloads } => self.native_frame(address as u64, unloads),
            };
            self.rows.push(Row::Frame(frame));
        }
    }

    /// Where a native frame is. One that was seen before objects were unloaded, and is asked for after, is nowhere: other
    /// code may be at its address.
    fn native_frame(&mut self, address: u64, unloads: u32) -> Frame {
        let now = intern::unloads();
        if self.modules_as_of != now {
            self.modules_as_of = now;
            self.modules.forget();
        }
        let located = (unloads == now).then_some(()).and_then(|()| {
            self.modules.locate(address).or_else(|| {
                self.modules.refresh();
                self.modules.locate(address)
            })
        });
        match located {
            Some((number, stated)) => Frame::Native {
                module: self.module(number),
                address: stated,
            },
            None => Frame::Native {
                module: ModuleId(0),
                address,
            },
        }
    }

    /// The capture's number of a module, which gets a row if it has none.
    fn module(&mut self, number: usize) -> ModuleId {
        if let Some(&module) = self.modules_made.get(&number) {
            return module;
        }
        let files = self.modules.files();
        let file = files.get(number).cloned().unwrap_or_default();
        let path = self.add_string(file.path);
        self.rows.push(Row::Module {
            path,
            build_id: file.build_id,
        });
        let module = ModuleId(self.modules_made.len() as u32 + 1);
        self.modules_made.insert(number, module);
        self.module_numbers.push(number);
        module
    }

    /// Gives the rows that were read since the last call.
    pub(crate) fn give_new(&mut self, interner: &Lock<Interner>, sink: Sink<'_>) {
        self.give_from(self.given, interner, sink);
        self.given = Progress {
            rows: self.rows.len(),
            nodes: self.nodes_seen,
            sites: self.sites_seen,
        };
    }

    /// Gives all rows that were read; how many sites there are among them.
    pub(crate) fn give_all(&self, interner: &Lock<Interner>, sink: Sink<'_>) -> usize {
        self.give_from(Progress::default(), interner, sink);
        self.sites_seen
    }

    fn give_from(&self, from: Progress, interner: &Lock<Interner>, sink: Sink<'_>) {
        for rows in self
            .rows
            .get(from.rows..)
            .unwrap_or(&[])
            .chunks(ROWS_AT_A_TIME)
        {
            let records: Vec<Record> = {
                let interner = interner.lock();
                rows.iter().map(|row| row.record(&interner)).collect()
            };
            records.into_iter().for_each(&mut *sink);
        }
        for from in (from.nodes..self.nodes_seen).step_by(ROWS_AT_A_TIME) {
            let rows = ROWS_AT_A_TIME.min(self.nodes_seen - from);
            let nodes: Vec<NodeRow> = interner
                .lock()
                .nodes
                .since(from)
                .iter()
                .take(rows)
                .copied()
                .collect();
            for node in nodes {
                sink(Record::Stack(Stack {
                    parent: StackId(node.parent),
                    frame: frame_id(node.frame),
                }));
            }
        }
        for from in (from.sites..self.sites_seen).step_by(ROWS_AT_A_TIME) {
            let rows = ROWS_AT_A_TIME.min(self.sites_seen - from);
            let sites: Vec<SiteRow> = interner
                .lock()
                .sites
                .since(from)
                .iter()
                .take(rows)
                .copied()
                .collect();
            for site in sites {
                sink(Record::Site(Site {
                    domain: site.domain(),
                    stack: StackId(site.node),
                }));
            }
        }
    }

    /// The objects that frames were found in.
    pub(crate) fn modules(&self) -> &Modules {
        &self.modules
    }

    /// Where native frames are that were read: pairs of their rows and return addresses.
    pub(crate) fn places(&self, wanted: &[(u32, usize)]) -> Vec<Place> {
        let frames: Vec<&Frame> = self
            .rows
            .iter()
            .filter_map(|row| match row {
                Row::Frame(frame) => Some(frame),
                _ => None,
            })
            .collect();
        wanted
            .iter()
            .map(|&(row, address)| match frames.get(row as usize) {
                Some(Frame::Native {
                    module,
                    address: stated,
                }) => Place {
                    address,
                    module: (module.0 as usize)
                        .checked_sub(1)
                        .and_then(|at| self.module_numbers.get(at).copied()),
                    stated: *stated,
                },
                _ => Place {
                    address,
                    module: None,
                    stated: 0,
                },
            })
            .collect()
    }
}

impl Row {
    fn record(&self, interner: &Interner) -> Record {
        match self {
            Row::Interned(row) => {
                Record::String(interner.strings.get(*row).cloned().unwrap_or_default())
            }
            Row::Own(text) => Record::String(text.clone()),
            Row::Module { path, build_id } => Record::Module(Module {
                path: *path,
                build_id: build_id.clone(),
            }),
            Row::Frame(frame) => Record::Frame(frame.clone()),
        }
    }
}
