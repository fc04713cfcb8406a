//! The books and tables as records of the capture.
//!
//! Invariant: a row of a table is written once, before anything that refers to it; everything else is written when it has
//! changed, and says the truth as of now. Records are made one at a time and given away: a program with many sites has
//! tables that should not be in memory twice.

use pytrace_format::ids::{FrameId, ModuleId, SiteId, StackId, StringId};
use pytrace_format::record::{
    Domain, Frame, Module, Moment, NativeName, Process, Pymalloc, Quality, Record, Scope,
    ScopeCounters, Site, SiteCounters, Sizes, Stack, TimelinePoint,
};

use super::modules::Modules;
use super::naming::{self, Effort, Place};
use super::process;
use crate::aggregate::books::{Books, Extremes, SiteTally};
use crate::session::Session;
use crate::stack::intern::{self, Interner};
use crate::stack::names::{FastMap, FrameRow};
use crate::sys::file;
use crate::sys::lock::Lock;

/// Handle of a table's row.
fn handle(row: u32) -> u32 {
    row + 1
}

/// Where records go, one after the other.
pub(crate) type Sink<'a> = &'a mut dyn FnMut(Record);

/// A row of the string, module or frame table, in the order in which they are written. Stacks and sites need no such
/// list: they are written as the interner has them, after the frames.
enum Row {
    /// A string of the interner's, by its row.
    Interned(u32),
    /// A string of our own: a module's path.
    Path(String),
    Module {
        path: StringId,
        build_id: Vec<u8>,
    },
    Frame(Frame),
}

/// How much of the interner's tables was read or written.
#[derive(Clone, Copy, Default)]
struct Progress {
    rows: usize,
    nodes: usize,
    sites: usize,
}

/// How much of each table the capture has, and where native frames were found.
#[derive(Default)]
pub(crate) struct Records {
    rows: Vec<Row>,
    strings_seen: usize,
    frames_seen: usize,
    /// Nodes and sites that refer to no later frames.
    nodes_seen: usize,
    sites_seen: usize,
    /// What a flush has written.
    written: Progress,
    /// The capture's string of each string of the interner's.
    strings: FastMap<u32, StringId>,
    strings_made: u32,
    modules: Modules,
    /// How often objects had been unloaded when the modules were looked at.
    modules_as_of: u32,
    modules_made: FastMap<usize, ModuleId>,
    /// The number of each module of the capture's, among `modules`.
    module_numbers: Vec<usize>,
    marks_written: usize,
    process_written: Option<Process>,
    settings_written: bool,
    scopes_written: Vec<ScopeCounters>,
    quality_written: Option<Quality>,
    /// Time of the last point of the timeline.
    timeline_until_ns: Option<u64>,
}

impl Records {
    pub(crate) fn new() -> Self {
        Records::default()
    }

    fn make_string(&mut self, row: Row) -> StringId {
        self.rows.push(row);
        self.strings_made += 1;
        StringId(self.strings_made)
    }

    /// Reads the interner's new strings and frames. Its lock is held for the copy alone: hooks wait for it, and to find a
    /// frame's module takes files.
    fn read_tables(&mut self, interner: &Lock<Interner>) {
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
            let id = self.make_string(Row::Interned(row as u32));
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

    /// Reads the interner's new rows before objects are unloaded: their addresses are of code that is still there.
    pub(crate) fn before_unloading(&mut self, session: &Session) {
        self.read_tables(&session.interner);
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
        let Some((number, stated)) = located else {
            return Frame::Native {
                module: ModuleId(0),
                address,
            };
        };
        let module = match self.modules_made.get(&number) {
            Some(&module) => module,
            None => {
                let file = self
                    .modules
                    .files()
                    .get(number)
                    .cloned()
                    .unwrap_or_default();
                let path = self.make_string(Row::Path(file.path));
                self.rows.push(Row::Module {
                    path,
                    build_id: file.build_id,
                });
                let module = ModuleId(self.modules_made.len() as u32 + 1);
                self.modules_made.insert(number, module);
                self.module_numbers.push(number);
                module
            }
        };
        Frame::Native {
            module,
            address: stated,
        }
    }

    /// Gives the tables' rows from `from` on, as far as they were read; returns how far that is.
    fn give_tables(&self, interner: &Interner, from: Progress, sink: Sink<'_>) -> Progress {
        for row in self.rows.get(from.rows..).unwrap_or(&[]) {
            sink(match row {
                Row::Interned(row) => {
                    Record::String(interner.strings.get(*row).cloned().unwrap_or_default())
                }
                Row::Path(path) => Record::String(path.clone()),
                Row::Module { path, build_id } => Record::Module(Module {
                    path: *path,
                    build_id: build_id.clone(),
                }),
                Row::Frame(frame) => Record::Frame(frame.clone()),
            });
        }
        let nodes = self.nodes_seen.saturating_sub(from.nodes);
        for node in interner.nodes.since(from.nodes).iter().take(nodes) {
            sink(Record::Stack(Stack {
                parent: StackId(node.parent),
                frame: FrameId(handle(node.frame)),
            }));
        }
        let sites = self.sites_seen.saturating_sub(from.sites);
        for site in interner.sites.since(from.sites).iter().take(sites) {
            sink(Record::Site(Site {
                domain: site.domain(),
                stack: StackId(site.node),
            }));
        }
        Progress {
            rows: self.rows.len(),
            nodes: self.nodes_seen,
            sites: self.sites_seen,
        }
    }

    /// Gives what changed since the last flush.
    pub(crate) fn changed(
        &mut self,
        session: &Session,
        books: &mut Books,
        now_ns: u64,
        sink: Sink<'_>,
    ) {
        let process = process::record(session);
        if self.process_written.as_ref() != Some(&process) {
            self.process_written = Some(process.clone());
            sink(Record::Process(process));
        }
        if !self.settings_written {
            self.settings_written = true;
            sink(Record::Settings(process::settings(session)));
        }
        self.read_tables(&session.interner);
        self.written = self.give_tables(&session.interner.lock(), self.written, sink);
        for site in books.take_changed_sites() {
            if let Some(row) = books.sites().get(site as usize) {
                sink(site_counters(site, row, books.peak));
            }
        }
        for domain in Domain::ALL {
            let buckets = books.sizes[domain as usize].changed();
            if !buckets.is_empty() {
                sink(Record::Sizes(Sizes { domain, buckets }));
            }
        }
        for scope in scopes(books) {
            match self
                .scopes_written
                .iter_mut()
                .find(|last| last.scope == scope.scope)
            {
                Some(last) if *last == scope => continue,
                Some(last) => *last = scope,
                None => self.scopes_written.push(scope),
            }
            sink(Record::ScopeCounters(scope));
        }
        if self.quality_written != Some(books.quality) {
            self.quality_written = Some(books.quality);
            sink(Record::Quality(books.quality));
        }
        let marks = session.marks.lock();
        for mark in marks.get(self.marks_written..).unwrap_or(&[]) {
            sink(Record::Mark(mark.clone()));
        }
        self.marks_written = marks.len();
        if self.timeline_until_ns.is_none_or(|until| until < now_ns) {
            self.timeline_until_ns = Some(now_ns);
            sink(Record::Timeline(timeline_point(books, now_ns)));
        }
    }

    /// Gives what is said once, at the end.
    pub(crate) fn last(&self, session: &Session, books: &Books, names: &[Record], sink: Sink<'_>) {
        for pymalloc in pools(session, books) {
            sink(Record::Pymalloc(pymalloc));
        }
        sink(Record::Shutdown(books.shutdown));
        for name in names {
            sink(name.clone());
        }
    }

    /// Gives everything, as one who reads the capture would get it.
    pub(crate) fn everything(
        &self,
        session: &Session,
        books: &Books,
        names: &[Record],
        sink: Sink<'_>,
    ) {
        sink(Record::Process(process::record(session)));
        sink(Record::Settings(process::settings(session)));
        let sites = self
            .give_tables(&session.interner.lock(), Progress::default(), sink)
            .sites;
        for (site, row) in books.sites().iter().enumerate().take(sites) {
            if row.tally.allocations + row.tally.reallocations > 0 {
                sink(site_counters(site as u32, row, books.peak));
            }
        }
        for domain in Domain::ALL {
            let buckets = books.sizes[domain as usize].buckets();
            sink(Record::Sizes(Sizes { domain, buckets }));
        }
        for scope in scopes(books) {
            sink(Record::ScopeCounters(scope));
        }
        sink(Record::Quality(books.quality));
        self.last(session, books, names, sink);
    }

    /// Names of the native frames of the sites that the summary will show, found in this process: records that come
    /// after all tables, which are read for it.
    pub(crate) fn name_natives(
        &mut self,
        session: &Session,
        books: &Books,
        effort: Effort,
    ) -> Vec<Record> {
        self.read_tables(&session.interner);
        let wanted = native_frames_of_top_sites(session, books);
        let frames: Vec<&Frame> = self
            .rows
            .iter()
            .filter_map(|row| match row {
                Row::Frame(frame) => Some(frame),
                _ => None,
            })
            .collect();
        let places: Vec<Place> = wanted
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
            .collect();
        let names = naming::of_return_addresses(&self.modules, &places, effort);
        let mut records = Vec::new();
        for ((row, _), name) in wanted.iter().zip(names) {
            let Some(name) = name else {
                continue;
            };
            self.strings_made += 1;
            records.push(Record::String(name));
            records.push(Record::NativeName(NativeName {
                frame: FrameId(handle(*row)),
                function: StringId(self.strings_made),
                file: StringId(0),
                line: 0,
            }));
        }
        records
    }
}

/// The native frames (row, address) of the sites that asked for most bytes, most first.
fn native_frames_of_top_sites(session: &Session, books: &Books) -> Vec<(u32, usize)> {
    // Sites that differ in an instruction only are merged by the summary: name more than it lists.
    let most = session.settings.top * 8 + 64;
    let mut sites: Vec<(u64, usize)> = books
        .sites()
        .iter()
        .enumerate()
        .filter(|(_, row)| row.tally.allocations + row.tally.reallocations > 0)
        .map(|(site, row)| (row.tally.requested_bytes, site))
        .collect();
    sites.sort_unstable_by(|left, right| right.cmp(left));
    let interner = session.interner.lock();
    let mut seen = FastMap::default();
    let mut frames = Vec::new();
    for &(_, site) in sites.iter().take(most) {
        let mut node = interner.sites.get(site as u32).map_or(0, |site| site.node);
        while let Some(row) = node.checked_sub(1).and_then(|at| interner.nodes.get(at)) {
            if let Some(FrameRow::Native { address, .. }) = interner.frames.get(row.frame)
                && seen.insert(row.frame, ()).is_none()
            {
                frames.push((row.frame, *address));
            }
            node = row.parent;
        }
    }
    frames
}

fn site_counters(site: u32, row: &SiteTally, peak: u64) -> Record {
    Record::SiteCounters(SiteCounters {
        site: SiteId(handle(site)),
        counters: row.tally.record(peak),
    })
}

/// The counters of all domains and of the total.
fn scopes(books: &Books) -> impl Iterator<Item = ScopeCounters> {
    let row = |scope, counters, extremes: &Extremes| ScopeCounters {
        scope,
        counters,
        max_live_bytes: extremes.max_live_bytes,
        max_live_at_ns: extremes.max_live_at_ns,
        max_size_bytes: extremes.max_size_bytes,
    };
    Domain::ALL
        .into_iter()
        .map(move |domain| {
            let counters = books.counters(Some(domain));
            row(
                Scope::Domain(domain),
                counters,
                &books.domains[domain as usize],
            )
        })
        .chain([row(
            Scope::Total,
            books.counters(None),
            &books.total_extremes(),
        )])
}

/// pymalloc's state at the end and at the peak.
fn pools(session: &Session, books: &Books) -> Vec<Pymalloc> {
    let walked = session.walked.lock().clone();
    if session.is_counting() {
        return walked.into_iter().collect();
    }
    let by_events = books.pools.state(Moment::ExitByEvents, books.peak);
    let peak = books.pools.state(Moment::Peak, books.peak);
    walked.into_iter().chain(by_events).chain(peak).collect()
}

fn timeline_point(books: &Books, now_ns: u64) -> TimelinePoint {
    TimelinePoint {
        at_ns: now_ns,
        live_bytes: books.total_extremes().live_bytes(),
        rss_bytes: resident_bytes(),
        arenas: books.pools.arenas(),
        allocations: books.counters(None).allocations,
    }
}

/// Resident set size of the process; 0 when the system does not say.
fn resident_bytes() -> u64 {
    const PAGE_BYTES: u64 = 4096;
    file::read("/proc/thread-self/statm", 256)
        .and_then(|text| String::from_utf8(text).ok())
        .and_then(|text| text.split(' ').nth(1)?.parse::<u64>().ok())
        .map_or(0, |pages| pages * PAGE_BYTES)
}
