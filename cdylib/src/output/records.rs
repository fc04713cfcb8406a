//! The books and tables as records of the capture.
//!
//! Invariant: a row of a table is written once, before anything that refers to it; everything else is written when it has
//! changed, and says the truth as of now. Records are made one at a time and given away: a program with many sites has
//! tables that should not be in memory twice.

use pytrace_format::record::{
    Domain, Moment, Process, Pymalloc, Quality, Record, Scope, ScopeCounters, SiteCounters, Sizes,
    TimelinePoint,
};

use super::naming::{self, Effort};
use super::process::{self, Identity};
use super::resident::Resident;
use super::tables::{Tables, site_id};
use super::timeline::Timeline;
use crate::aggregate::books::{Books, Extremes, SiteTally};
use crate::session::Session;

/// Where records go, one after the other.
pub(crate) type Sink<'a> = &'a mut dyn FnMut(Record);

/// What the capture has.
#[derive(Default)]
pub(crate) struct Records {
    tables: Tables,
    marks_written: usize,
    /// What the system says of who runs here, as it was last asked.
    identity: Option<Identity>,
    process_written: Option<Process>,
    settings_written: bool,
    scopes_written: Vec<ScopeCounters>,
    quality_written: Option<Quality>,
    timeline: Timeline,
    resident: Resident,
}

impl Records {
    pub(crate) fn new() -> Self {
        Records::default()
    }

    /// Reads the interner's new rows before objects are unloaded: their addresses are of code that is still there.
    pub(crate) fn before_unloading(&mut self, session: &Session) {
        self.tables.read(&session.interner);
    }

    /// Names of native frames that the summary will show.
    pub(crate) fn name_natives(
        &mut self,
        session: &Session,
        books: &Books,
        effort: Effort,
    ) -> Vec<Record> {
        naming::of_top_sites(&mut self.tables, session, books, effort)
    }

    /// The system is to be asked again who runs here: programs change the words of their command line.
    pub(crate) fn ask_who_runs(&mut self) {
        self.identity = None;
    }

    /// Gives what events refer to, as far as it was not given.
    pub(crate) fn referred_to(&mut self, session: &Session, sink: Sink<'_>) {
        let identity = self.identity.get_or_insert_with(process::identity);
        let process = process::record(session, identity);
        if self.process_written.as_ref() != Some(&process) {
            self.process_written = Some(process.clone());
            sink(Record::Process(process));
        }
        if !self.settings_written {
            self.settings_written = true;
            sink(Record::Settings(process::settings(session)));
        }
        self.tables.read(&session.interner);
        self.tables.give_new(&session.interner, sink);
    }

    /// Gives what changed since the last flush.
    pub(crate) fn changed(
        &mut self,
        session: &Session,
        books: &mut Books,
        now_ns: u64,
        sink: Sink<'_>,
    ) {
        self.referred_to(session, sink);
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
        let point = timeline_point(books, now_ns, self.resident.bytes());
        if self.timeline.push(point) {
            sink(Record::Timeline(point));
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

    /// Gives everything that [`Records::changed`] has given so far, as it is now, once.
    pub(crate) fn everything(&self, session: &Session, books: &Books, sink: Sink<'_>) {
        sink(Record::Process(match &self.identity {
            Some(identity) => process::record(session, identity),
            None => process::record(session, &process::identity()),
        }));
        sink(Record::Settings(process::settings(session)));
        let sites = self.tables.give_all(&session.interner, sink);
        for (site, row) in (0..).zip(books.sites()).take(sites) {
            if row.tally.allocations + row.tally.reallocations > 0 {
                sink(site_counters(site, row, books.peak));
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
        for mark in session.marks.lock().iter().take(self.marks_written) {
            sink(Record::Mark(mark.clone()));
        }
        for point in self.timeline.remembered() {
            sink(Record::Timeline(*point));
        }
    }
}

fn site_counters(site: u32, row: &SiteTally, peak: u64) -> Record {
    Record::SiteCounters(SiteCounters {
        site: site_id(site),
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

fn timeline_point(books: &Books, now_ns: u64, rss_bytes: u64) -> TimelinePoint {
    TimelinePoint {
        at_ns: now_ns,
        live_bytes: books.total_extremes().live_bytes(),
        rss_bytes,
        arenas: books.pools.arenas(),
        allocations: books.counters(None).allocations,
    }
}
