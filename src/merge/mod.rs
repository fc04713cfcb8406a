//! The captures of several processes as one.
//!
//! Sites, domains, histograms and what the tear-down did are added up. What does not add up stays with its process: the
//! timeline, the marks, pymalloc's arenas, the moment of the peak. Peaks are added up too, as an upper bound of what was
//! live at once, since they were at different times. Captures are read one after the other and only their tables' union is
//! kept, so memory follows what they hold in different places.
//!
//! Invariant: sums over the sites of the whole are the sums over the members' sites.

mod inputs;
mod order;
mod whole;

use std::path::{Path, PathBuf};

use pytrace_model::Model;
use pytrace_model::record::Process;
use pytrace_model::text::escape_name;

use crate::capture::Capture;
use crate::error::{Error, Result, quoted};
pub use inputs::{Inputs, find};
use whole::Whole;

/// One of several processes.
#[derive(Debug)]
pub struct Member {
    /// Its capture's file.
    pub path: PathBuf,
    /// Its capture, without the tables and histograms, which are in the whole.
    pub capture: Capture,
    /// How many processes led to it; 0 for the first of a tree.
    pub depth: usize,
}

/// Several processes and what they add up to.
#[derive(Debug)]
pub struct Merged {
    /// The whole. Its process and its end are those of the first member.
    pub capture: Capture,
    /// The processes, each before those that it started.
    pub members: Vec<Member>,
    /// What is left out of the whole or does not fit in with it, a line each.
    pub notes: Vec<String>,
}

/// How far the reading is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Files read before this one.
    pub done: usize,
    /// Files in all.
    pub all: usize,
    /// Bytes read of this one.
    pub read_bytes: u64,
    /// Its size.
    pub size_bytes: u64,
}

/// Reads captures and adds them up; `progress` is called often. A file that cannot be read is left out, with a note.
///
/// # Errors
/// No file that can be read, or more rows than tables can have.
pub fn merge(files: &[PathBuf], mut progress: impl FnMut(Progress)) -> Result<Merged> {
    let mut whole = Whole::default();
    let mut members = Vec::new();
    let mut notes = Vec::new();
    let mut failures = Vec::new();
    for (done, path) in files.iter().enumerate() {
        let opened = Capture::open_watched(path, |read_bytes, size_bytes| {
            progress(Progress {
                done,
                all: files.len(),
                read_bytes,
                size_bytes,
            });
        });
        let capture = match opened {
            Ok(capture) => capture,
            Err(error) => {
                failures.push(error);
                continue;
            }
        };
        notes.extend(capture.unread.clone());
        whole
            .add(&capture.model)
            .map_err(|error| Error::not_decoded(path, error))?;
        members.push(Member::of(path, capture));
    }
    if members.is_empty() {
        return Err(Error::none_readable(failures));
    }
    notes.extend(failures.iter().map(|error| format!("left out: {error}")));
    order::put_in_order(&mut members);
    notes.extend(doubts(&members));
    let capture = whole.into_capture(&members);
    Ok(Merged {
        capture,
        members,
        notes,
    })
}

impl Member {
    fn of(path: &Path, mut capture: Capture) -> Member {
        let model = core::mem::take(&mut capture.model);
        capture.model = Model {
            process: model.process,
            settings: model.settings,
            scopes: model.scopes,
            pymalloc: model.pymalloc,
            quality: model.quality,
            timeline: model.timeline,
            marks: model.marks,
            shutdown: model.shutdown,
            end: model.end,
            ..Model::default()
        };
        Member {
            path: path.to_path_buf(),
            capture,
            depth: 0,
        }
    }

    fn process(&self) -> &Process {
        &self.capture.model.process
    }

    fn has_live_table(&self) -> bool {
        self.capture.model.has_live_table()
    }
}

/// What of the members does not fit in with the others.
fn doubts(members: &[Member]) -> Vec<String> {
    let mut notes = Vec::new();
    let any_sites = members.iter().any(Member::has_live_table);
    for member in members {
        let file = quoted(&member.path);
        let reason = &member.process().no_stacks_reason;
        if !reason.is_empty() {
            let reason = escape_name(reason);
            notes.push(format!("{file} has no Python stacks: {reason}"));
        }
        if any_sites && !member.has_live_table() {
            notes.push(format!(
                "{file} is of mode counts: it is in the totals and histograms, not in live, peak and call sites"
            ));
        }
    }
    let settings = |member: &Member| {
        let settings = &member.capture.model.settings;
        (settings.domains.clone(), settings.native, settings.depth)
    };
    if members
        .iter()
        .any(|member| settings(member) != settings(&members[0]))
    {
        notes.push(
            "the processes were traced with different domains, native frames or depths of stacks"
                .to_owned(),
        );
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
    use pytrace_format::synth::{Synth, realistic};
    use pytrace_model::record::{
        Counters, Domain, End, Ended, Mode, Record, Scope, Settings, TimelinePoint,
    };

    fn process(pid: u32, mode: Mode) -> Synth {
        let mut synth = Synth::new();
        synth.record(Record::Process(Process {
            pid,
            parent_pid: 1,
            started_at_unix_ns: u64::from(pid),
            ..Process::default()
        }));
        synth.record(Record::Settings(Settings {
            mode,
            domains: Domain::ALL.to_vec(),
            ..Settings::default()
        }));
        synth
    }

    /// A process that allocates on line 1, where all do, and on a line of its own; 10 bytes each.
    fn worker(pid: u32) -> Synth {
        let mut synth = process(pid, Mode::Sites);
        for line in [pid, 1] {
            let frame = synth.python("work", "a.py", line);
            let stack = synth.stack(&[frame]);
            let counters = Counters {
                allocations: 1,
                requested_bytes: 10,
                live_blocks: 1,
                peak_bytes: 7,
                ..Counters::default()
            };
            synth.site(Domain::Object, stack, counters);
        }
        synth.scopes_from_sites();
        synth.sizes(Domain::Object, &[(10, 2, 2), (10 + u64::from(pid), 1, 0)]);
        synth.record(Record::Timeline(TimelinePoint::default()));
        synth.record(Record::End(End {
            ended: Ended::Exit,
            at_ns: 5,
        }));
        synth
    }

    fn merged(captures: &[(&str, Vec<u8>)]) -> (Result<Merged>, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let paths: Vec<_> = captures
            .iter()
            .map(|(name, content)| {
                let path = folder.path().join(name);
                std::fs::write(&path, content).unwrap();
                path
            })
            .collect();
        (merge(&paths, |_| ()), folder)
    }

    /// What a process of mode counts asked for is in the totals; nobody knows where.
    #[test]
    fn what_only_counts_is_in_no_call_site() {
        use pytrace_format::synth::counted;
        let counts = counted(&worker(3)).file();
        let (both, _folder) = merged(&[("a", worker(2).file()), ("b", counts.clone())]);
        let model = both.unwrap().capture.model;
        let of_sites: Vec<_> = model
            .sites_with_counters()
            .map(|(_, counters)| counters.requested_bytes)
            .collect();
        assert_eq!(of_sites, [10, 10]);
        assert_eq!(model.scope(Scope::Total).counters.requested_bytes, 40);
        assert!(model.counts_in_part);
        let (only, _folder) = merged(&[("a", counts.clone()), ("b", counts)]);
        let model = only.unwrap().capture.model;
        assert_eq!(model.scope(Scope::Total).counters.requested_bytes, 40);
        assert!(!model.has_live_table() && !model.counts_in_part);
    }

    #[test]
    fn what_adds_up_is_added_and_the_rest_stays_with_its_process() {
        let (merged, _folder) = merged(&[("b", worker(3).file()), ("a", worker(2).file())]);
        let merged = merged.unwrap();
        let model = &merged.capture.model;
        let sites: Vec<_> = model
            .sites_with_counters()
            .map(|(_, counters)| {
                (
                    counters.allocations,
                    counters.requested_bytes,
                    counters.peak_bytes,
                )
            })
            .collect();
        assert_eq!(sites, [(1, 10, 7), (2, 20, 14), (1, 10, 7)]);
        let total = model.scope(Scope::Total);
        assert_eq!(
            (
                total.counters.requested_bytes,
                total.counters.peak_bytes,
                total.max_live_bytes
            ),
            (40, 28, 28)
        );
        let buckets: Vec<_> = model.sizes[&Domain::Object]
            .buckets
            .iter()
            .map(|bucket| (bucket.from, bucket.allocations))
            .collect();
        assert_eq!(buckets, [(10, 4), (12, 1), (13, 1)]);
        assert!(model.timeline.is_empty());
        assert_eq!(model.process.pid, 2, "the first to start");
        let pids: Vec<_> = merged
            .members
            .iter()
            .map(|member| member.process().pid)
            .collect();
        assert_eq!(pids, [2, 3]);
        for member in &merged.members {
            let model = &member.capture.model;
            assert_eq!((model.timeline.len(), model.sites.len()), (1, 0));
            assert_eq!(model.scope(Scope::Total).counters.requested_bytes, 20);
        }
        assert_eq!(merged.notes, [""; 0]);
    }

    #[test]
    fn a_capture_alone_is_what_it_was() {
        let synth = realistic();
        let (merged, _folder) = merged(&[("a", synth.file())]);
        let merged = merged.unwrap().capture.model;
        let mut alone = Model::default();
        for record in synth.records() {
            alone.apply(record.clone()).unwrap();
        }
        let rows = |model: &Model| {
            let sites = model.sites_with_counters();
            sites
                .map(|(site, counters)| (site.domain, *counters))
                .collect::<Vec<_>>()
        };
        assert_eq!(rows(&merged), rows(&alone));
        assert_eq!(merged.sizes, alone.sizes);
        assert_eq!(merged.quality, alone.quality);
        assert_eq!(merged.settings, alone.settings);
        for domain in Domain::ALL {
            let counters = |model: &Model| model.scope(Scope::Domain(domain)).counters;
            assert_eq!(counters(&merged), counters(&alone));
        }
    }

    #[test]
    fn what_is_missing_or_does_not_fit_in_is_said() {
        let mut counted = process(9, Mode::Counts);
        counted.scopes_from_sites();
        let mut blind = process(8, Mode::Sites);
        blind.record(Record::Process(Process {
            pid: 8,
            no_stacks_reason: "strange\nmemory".into(),
            ..Process::default()
        }));
        let (merged, _folder) = merged(&[
            ("good", worker(2).file()),
            ("empty", Vec::new()),
            ("counted", counted.file()),
            ("blind", blind.file()),
        ]);
        let merged = merged.unwrap();
        let said = |part: &str| {
            merged
                .notes
                .iter()
                .filter(|note| note.contains(part))
                .count()
        };
        for part in [
            "empty' is empty, not a capture",
            "counted' is of mode counts: it is in the totals",
            "blind' has no Python stacks: strange\\nmemory",
        ] {
            assert_eq!(said(part), 1, "{part}: {:?}", merged.notes);
        }
        assert_eq!(merged.notes.len(), 3);
        assert!(merged.capture.model.has_live_table());
        assert_eq!(merged.capture.model.process.no_stacks_reason, "");
    }

    #[test]
    fn nothing_to_read_is_one_error() {
        let (merged, _folder) = merged(&[("a", Vec::new()), ("b", b"text".to_vec())]);
        let error = merged.unwrap_err().to_string();
        assert!(
            error.starts_with("no capture could be read; '")
                && error.ends_with("; and 1 more alike"),
            "{error}"
        );
    }
}
