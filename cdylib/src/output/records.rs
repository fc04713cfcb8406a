//! The books and tables as records of the capture.
//!
//! Invariant: a row of a table is written once, before anything that refers to it; everything else is written when it has
//! changed, and says the truth as of now.

use pytrace_format::ids::{FrameId, ModuleId, SiteId, StackId, StringId};
use pytrace_format::record::{
    Domain, Frame, Module, Moment, NativeName, Pymalloc, Quality, Record, Scope, ScopeCounters,
    Site, SiteCounters, Sizes, Stack, TimelinePoint,
};

use super::modules::Modules;
use super::{naming, process};
use crate::aggregate::apply::{Books, Extremes};
use crate::session::Session;
use crate::stack::intern::Interner;
use crate::stack::names::{FastMap, FrameRow};
use crate::sys::file;

/// Handle of a table's row.
fn handle(row: u32) -> u32 {
    row + 1
}

/// How much of each table the capture has, and where native frames were found.
pub(crate) struct Records {
    /// Every table row as a record, in the order in which they were written.
    tables: Vec<Record>,
    /// Rows of `tables` that a flush has handed out.
    handed_out: usize,
    strings_seen: usize,
    frames_seen: usize,
    nodes_seen: usize,
    sites_seen: usize,
    /// String rows of the capture: the interner's, and those that were added for modules and names.
    strings: FastMap<u32, StringId>,
    strings_written: u32,
    modules: Modules,
    modules_written: FastMap<usize, ModuleId>,
    marks_written: usize,
    process_written: Option<pytrace_format::record::Process>,
    settings_written: bool,
    scopes_written: Vec<(Scope, ScopeCounters)>,
    quality_written: Option<Quality>,
}

impl Records {
    pub(crate) fn new() -> Self {
        Records {
            tables: Vec::new(),
            handed_out: 0,
            strings_seen: 0,
            frames_seen: 0,
            nodes_seen: 0,
            sites_seen: 0,
            strings: FastMap::default(),
            strings_written: 0,
            modules: Modules::default(),
            modules_written: FastMap::default(),
            marks_written: 0,
            process_written: None,
            settings_written: false,
            scopes_written: Vec::new(),
            quality_written: None,
        }
    }

    fn add_string(&mut self, text: String) -> StringId {
        self.tables.push(Record::String(text));
        self.strings_written += 1;
        StringId(self.strings_written)
    }

    /// Turns the interner's new rows into records.
    fn read_tables(&mut self, session: &Session) {
        let (strings, frames, nodes, sites);
        {
            let interner: &Interner = &session.interner.lock();
            strings = interner.strings.since(self.strings_seen).to_vec();
            frames = interner.frames.since(self.frames_seen).to_vec();
            nodes = interner.nodes.since(self.nodes_seen).to_vec();
            sites = interner.sites.since(self.sites_seen).to_vec();
        }
        for text in strings {
            let row = self.strings_seen as u32;
            self.strings_seen += 1;
            let id = self.add_string(text);
            self.strings.insert(row, id);
        }
        self.frames_seen += frames.len();
        for frame in frames {
            let record = match frame {
                FrameRow::Python {
                    function,
                    file,
                    line,
                } => Frame::Python {
                    function: self.strings.get(&function).copied().unwrap_or_default(),
                    file: self.strings.get(&file).copied().unwrap_or_default(),
                    line,
                },
                FrameRow::Native { address } => self.native_frame(address as u64),
            };
            self.tables.push(Record::Frame(record));
        }
        self.nodes_seen += nodes.len();
        self.tables.extend(nodes.into_iter().map(|node| {
            Record::Stack(Stack {
                parent: StackId(node.parent),
                frame: FrameId(handle(node.frame)),
            })
        }));
        self.sites_seen += sites.len();
        self.tables.extend(sites.into_iter().map(|site| {
            Record::Site(Site {
                domain: site.domain(),
                stack: StackId(site.node),
            })
        }));
    }

    fn native_frame(&mut self, address: u64) -> Frame {
        let located = self.modules.locate(address).or_else(|| {
            self.modules.refresh();
            self.modules.locate(address)
        });
        let Some((number, stated)) = located else {
            return Frame::Native {
                module: ModuleId(0),
                address,
            };
        };
        let module = match self.modules_written.get(&number) {
            Some(&module) => module,
            None => {
                let file = self
                    .modules
                    .files()
                    .get(number)
                    .cloned()
                    .unwrap_or_default();
                let path = self.add_string(file.path);
                self.tables.push(Record::Module(Module {
                    path,
                    build_id: file.build_id,
                }));
                let module = ModuleId(self.modules_written.len() as u32 + 1);
                self.modules_written.insert(number, module);
                module
            }
        };
        Frame::Native {
            module,
            address: stated,
        }
    }

    /// What changed since the last flush.
    pub(crate) fn changed(
        &mut self,
        session: &Session,
        books: &mut Books,
        now_ns: u64,
    ) -> Vec<Record> {
        self.read_tables(session);
        let mut records = Vec::new();
        let process = process::record(session);
        if self.process_written.as_ref() != Some(&process) {
            self.process_written = Some(process.clone());
            records.push(Record::Process(process));
        }
        if !self.settings_written {
            self.settings_written = true;
            records.push(Record::Settings(process::settings(session)));
        }
        records.extend(
            self.tables
                .get(self.handed_out..)
                .unwrap_or(&[])
                .iter()
                .cloned(),
        );
        self.handed_out = self.tables.len();
        for site in books.take_changed_sites() {
            if let Some(row) = books.sites().get(site as usize) {
                records.push(Record::SiteCounters(SiteCounters {
                    site: SiteId(handle(site)),
                    counters: row.tally.record(books.peak),
                }));
            }
        }
        for domain in Domain::ALL {
            let buckets = books.sizes[domain as usize].changed();
            if !buckets.is_empty() {
                records.push(Record::Sizes(Sizes { domain, buckets }));
            }
        }
        for scope in scopes(books) {
            let written = self
                .scopes_written
                .iter_mut()
                .find(|(of, _)| *of == scope.scope);
            match written {
                Some((_, last)) if *last == scope => continue,
                Some((_, last)) => *last = scope,
                None => self.scopes_written.push((scope.scope, scope)),
            }
            records.push(Record::ScopeCounters(scope));
        }
        let quality = books.quality;
        if self.quality_written != Some(quality) {
            self.quality_written = Some(quality);
            records.push(Record::Quality(quality));
        }
        let marks = session.marks.lock();
        records.extend(
            marks
                .get(self.marks_written..)
                .unwrap_or(&[])
                .iter()
                .cloned()
                .map(Record::Mark),
        );
        self.marks_written = marks.len();
        records.push(Record::Timeline(timeline_point(books, now_ns)));
        records
    }

    /// What is said once, at the end.
    pub(crate) fn last(&self, session: &Session, books: &Books) -> Vec<Record> {
        let mut records: Vec<Record> = pools(session, books)
            .into_iter()
            .map(Record::Pymalloc)
            .collect();
        records.push(Record::Shutdown(books.shutdown));
        records
    }

    /// Names of the native frames of the sites that the summary will show, found in this process.
    pub(crate) fn name_natives(&mut self, session: &Session, books: &mut Books) -> Vec<Record> {
        self.read_tables(session);
        let wanted = self.native_frames_of_top_sites(session, books);
        let addresses: Vec<usize> = wanted.iter().map(|(_, address)| *address).collect();
        let names = naming::of_return_addresses(&self.modules, &addresses);
        let mut records = Vec::new();
        for ((row, _), name) in wanted.iter().zip(names) {
            let Some(name) = name else {
                continue;
            };
            self.strings_written += 1;
            records.push(Record::String(name));
            records.push(Record::NativeName(NativeName {
                frame: FrameId(handle(*row)),
                function: StringId(self.strings_written),
                file: StringId(0),
                line: 0,
            }));
        }
        records
    }

    /// The native frames (row, address) of the sites that asked for most bytes, most first.
    fn native_frames_of_top_sites(&self, session: &Session, books: &Books) -> Vec<(u32, usize)> {
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
            let mut node = interner
                .sites
                .since(0)
                .get(site)
                .map_or(0, |site| site.node);
            while let Some(row) = (node as usize)
                .checked_sub(1)
                .and_then(|at| interner.nodes.since(0).get(at))
            {
                if let Some(FrameRow::Native { address }) =
                    interner.frames.since(0).get(row.frame as usize)
                    && seen.insert(row.frame, ()).is_none()
                {
                    frames.push((row.frame, *address));
                }
                node = row.parent;
            }
        }
        frames
    }

    /// Everything, as one who reads the capture would get it.
    pub(crate) fn for_summary(&self, session: &Session, books: &mut Books) -> Vec<Record> {
        let mut records = vec![
            Record::Process(process::record(session)),
            Record::Settings(process::settings(session)),
        ];
        records.extend(self.tables.iter().cloned());
        for (site, row) in books.sites().iter().enumerate().take(self.sites_seen) {
            if row.tally.allocations + row.tally.reallocations > 0 {
                records.push(Record::SiteCounters(SiteCounters {
                    site: SiteId(handle(site as u32)),
                    counters: row.tally.record(books.peak),
                }));
            }
        }
        for domain in Domain::ALL {
            let buckets = books.sizes[domain as usize].buckets();
            records.push(Record::Sizes(Sizes { domain, buckets }));
        }
        records.extend(scopes(books).map(Record::ScopeCounters));
        records.push(Record::Quality(books.quality));
        records.extend(self.last(session, books));
        records
    }
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
    file::read("/proc/self/statm", 256)
        .and_then(|text| String::from_utf8(text).ok())
        .and_then(|text| text.split(' ').nth(1)?.parse::<u64>().ok())
        .map_or(0, |pages| pages * PAGE_BYTES)
}
