//! The rows of a list for readers: what the program does, call by call; what imports and the interpreter's start do,
//! summed up.
//!
//! Importing one library makes thousands of call sites that tell little one by one and would crowd out the program's own.
//! Invariant: every site of the list is in exactly one row, so no bytes are hidden.

use std::collections::BTreeMap;

use pytrace_format::ids::{FrameId, StackId};
use pytrace_format::record::{Counters, Domain};

use crate::Model;
use crate::group::add;
use crate::origin::{Cause, Origins};

/// What the call sites of a row have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Common {
    /// What the list tells stacks apart by.
    Stack,
    /// They import, led to by this line of the program; 0 when none led there, as when the interpreter starts.
    Import(FrameId),
    /// The interpreter without Python code: it starts, or compiles the program.
    NoPython,
}

/// One row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// What its call sites have in common.
    pub common: Common,
    /// The API that was asked; `None` when they are several.
    pub domain: Option<Domain>,
    /// The stack of one of them.
    pub stack: StackId,
    /// Their counters, added up.
    pub counters: Counters,
    /// How many call sites of the capture it has.
    pub sites: usize,
}

impl Listed {
    /// The domain's name, or that there are several.
    pub fn domain_text(&self) -> &'static str {
        self.domain.map_or("mixed", Domain::name)
    }
}

/// A line of the program, and what happened in it and in all that it called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// The line.
    pub frame: FrameId,
    /// The counters of its call sites, added up.
    pub counters: Counters,
    /// Bytes of them that were asked for by imports.
    pub import_bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key<K> {
    Stack(Domain, K),
    Import(Option<u32>),
    NoPython,
}

/// Which domains a list is of: like the total all but `mmap`, since one reservation would lead every list; `mmap` when
/// nothing else was recorded.
pub fn leading_domains(model: &Model) -> impl Fn(Domain) -> bool + use<> {
    let is_mmap = |domain| domain == Domain::Mmap;
    let has_others = model
        .sites_with_counters()
        .any(|(site, _)| !is_mmap(site.domain));
    move |domain| is_mmap(domain) != has_others
}

/// The rows of the sites in `domains`; stacks of code are told apart by `key_of`.
pub fn rows<K: Ord>(
    model: &Model,
    origins: &Origins,
    domains: impl Fn(Domain) -> bool,
    mut key_of: impl FnMut(StackId) -> K,
) -> Vec<Listed> {
    // Other libraries have threads of their own, which are no part of the interpreter's start; where no Python stacks are
    // recorded nothing tells one from the other.
    let has_stacks = model.process.no_stacks_reason.is_empty();
    let mut row_of_key = BTreeMap::new();
    let mut rows: Vec<Listed> = Vec::new();
    for (site, counters) in model.sites_with_counters() {
        if !domains(site.domain) {
            continue;
        }
        let origin = origins.get(site.stack);
        let (key, common) = match origin.cause {
            Cause::Import => (
                Key::Import(origins.identity(origin.line)),
                Common::Import(origin.line),
            ),
            Cause::NoPython if has_stacks && origins.has_interpreter(site.stack) => {
                (Key::NoPython, Common::NoPython)
            }
            _ => (Key::Stack(site.domain, key_of(site.stack)), Common::Stack),
        };
        let row = *row_of_key.entry(key).or_insert_with(|| {
            rows.push(Listed {
                common,
                domain: Some(site.domain),
                stack: site.stack,
                counters: Counters::default(),
                sites: 0,
            });
            rows.len() - 1
        });
        let row = &mut rows[row];
        row.domain = row.domain.filter(|&domain| domain == site.domain);
        row.sites += 1;
        add(&mut row.counters, counters);
    }
    rows
}

/// Bytes that the sites in `domains` asked for.
pub fn requested_bytes(model: &Model, domains: impl Fn(Domain) -> bool) -> u64 {
    let sites = model.sites_with_counters();
    sites
        .filter(|(site, _)| domains(site.domain))
        .fold(0, |sum, (_, counters)| {
            sum.saturating_add(counters.requested_bytes)
        })
}

/// The lines of the program's own code, in the order in which they first occur.
pub fn own_lines(model: &Model, origins: &Origins, domains: impl Fn(Domain) -> bool) -> Vec<Line> {
    let mut line_of_identity = BTreeMap::new();
    let mut lines: Vec<Line> = Vec::new();
    for (site, counters) in model.sites_with_counters() {
        let origin = origins.get(site.stack);
        if origin.line == FrameId(0) || !domains(site.domain) {
            continue;
        }
        let line = *line_of_identity
            .entry(origins.identity(origin.line))
            .or_insert_with(|| {
                lines.push(Line {
                    frame: origin.line,
                    counters: Counters::default(),
                    import_bytes: 0,
                });
                lines.len() - 1
            });
        let line = &mut lines[line];
        add(&mut line.counters, counters);
        if origin.cause == Cause::Import {
            line.import_bytes = line.import_bytes.saturating_add(counters.requested_bytes);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use pytrace_format::record::{Process, Record};
    use pytrace_format::synth::Synth;

    const MACHINERY: &str = "<frozen importlib._bootstrap>";

    fn bytes(requested_bytes: u64) -> Counters {
        Counters {
            allocations: 1,
            requested_bytes,
            ..Counters::default()
        }
    }

    /// Two lines of code, the second of which imports in several ways; the interpreter's start; a library's own thread.
    fn model(no_stacks_reason: &str) -> Model {
        let mut synth = Synth::new();
        synth.record(Record::Process(Process {
            executable: "/usr/bin/python3.11".into(),
            no_stacks_reason: no_stacks_reason.into(),
            ..Process::default()
        }));
        let work = synth.python("main", "app.py", 1);
        let importer = synth.python("<module>", "app.py", 2);
        let machinery = [1, 2].map(|line| synth.python("_load", MACHINERY, line));
        let python = [1, 2].map(|at| synth.native("/usr/bin/python3.11", at, "start"));
        let library = [1, 2].map(|at| synth.native("/l/pool.so", at, ""));
        let stacks = [
            (Domain::Object, vec![work], 1),
            (Domain::Object, vec![machinery[0], importer], 2),
            (Domain::Mem, vec![machinery[1], importer], 4),
            (Domain::Raw, vec![machinery[0]], 8),
            (Domain::Raw, vec![python[0]], 16),
            (Domain::Raw, vec![python[1]], 32),
            (Domain::Malloc, vec![library[0]], 64),
            (Domain::Malloc, vec![library[1]], 128),
            (Domain::Mmap, vec![work], 256),
        ];
        for (domain, frames, requested) in stacks {
            let stack = synth.stack(&frames);
            synth.site(domain, stack, bytes(requested));
        }
        let mut model = Model::default();
        for record in synth.records() {
            model.apply(record.clone()).unwrap();
        }
        model
    }

    fn listed(model: &Model) -> Vec<(Common, Option<Domain>, u64, usize)> {
        let origins = Origins::of(model);
        let in_total = |domain| domain != Domain::Mmap;
        let rows = rows(model, &origins, in_total, |stack| stack);
        rows.iter()
            .map(|row| {
                (
                    row.common,
                    row.domain,
                    row.counters.requested_bytes,
                    row.sites,
                )
            })
            .collect()
    }

    #[test]
    fn imports_and_the_start_have_a_row_each() {
        let model = model("");
        let rows = listed(&model);
        let importer = FrameId(2);
        assert_eq!(
            rows,
            [
                (Common::Stack, Some(Domain::Object), 1, 1),
                (Common::Import(importer), None, 6, 2),
                (Common::Import(FrameId(0)), Some(Domain::Raw), 8, 1),
                (Common::NoPython, Some(Domain::Raw), 48, 2),
                (Common::Stack, Some(Domain::Malloc), 64, 1),
                (Common::Stack, Some(Domain::Malloc), 128, 1),
            ]
        );
    }

    #[test]
    fn without_python_stacks_the_callers_are_all_there_is() {
        let rows = listed(&model("memory looks strange"));
        assert!(!rows.iter().any(|row| row.0 == Common::NoPython));
    }

    #[test]
    fn lines_have_what_they_call_and_import() {
        let model = model("");
        let lines = own_lines(&model, &Origins::of(&model), |domain| {
            domain != Domain::Mmap
        });
        let lines: Vec<_> = lines
            .iter()
            .map(|line| (line.frame, line.counters.requested_bytes, line.import_bytes))
            .collect();
        assert_eq!(lines, [(FrameId(1), 1, 0), (FrameId(2), 6, 6)]);
    }
}
