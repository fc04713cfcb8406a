//! Call sites of both sides, matched.
//!
//! First by domain and stack, line by line. What only one side has is then matched by the stack without line numbers: code
//! that moved. What is left appeared or vanished.
//!
//! Invariant: every site of every run is in exactly one row, so in single runs the rows' differences add up to that of the
//! totals.

use std::collections::HashMap;
use std::hash::Hash;

use pytrace_model::Model;
use pytrace_model::group::{add, frame_identities, stack_identities};
use pytrace_model::ids::{SiteId, StackId};
use pytrace_model::record::{Counters, Domain, Frame, Site};

use super::spread::Samples;
use crate::analysis::Metric;

/// Sites that readers cannot tell apart, on both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteRow {
    /// The API that was asked.
    pub domain: Domain,
    /// The stack: the new one where there is one.
    pub stack: StackId,
    /// The old stack, where lines moved.
    pub moved_from: Option<StackId>,
    /// What was counted.
    pub samples: Samples,
}

/// One run: where its sites are in the union, and their counters.
pub(super) struct Run {
    pub(super) sites: Vec<SiteId>,
    pub(super) counters: Vec<Counters>,
}

/// Matches the sites of all runs; `tables` are their union's.
pub(super) fn matched(tables: &Model, before: &[Run], after: &[Run]) -> Vec<SiteRow> {
    let frames = frame_identities(tables);
    let mut rows = gather(tables, &stack_identities(tables, &frames), before, after);
    let is_one_sided =
        |row: &SiteRow| is_nothing(&row.samples.before) || is_nothing(&row.samples.after);
    if rows.iter().any(is_one_sided) {
        let lineless = stack_identities(tables, &without_lines(tables, &frames));
        join_moved(&mut rows, &lineless);
    }
    rows
}

/// The rows by domain and stack, in the order in which they first occur.
fn gather(tables: &Model, stacks: &[u32], before: &[Run], after: &[Run]) -> Vec<SiteRow> {
    let mut row_of_key = HashMap::new();
    let mut rows: Vec<SiteRow> = Vec::new();
    let runs = before.iter().chain(after);
    for (number, run) in runs.enumerate() {
        for (site, counters) in run.sites.iter().zip(&run.counters) {
            let Some(&Site { domain, stack }) = tables.site(*site) else {
                continue;
            };
            if *counters == Counters::default() {
                continue;
            }
            let row = *row_of_key
                .entry((domain, identity(stacks, stack)))
                .or_insert_with(|| {
                    rows.push(SiteRow {
                        domain,
                        stack,
                        moved_from: None,
                        samples: Samples::zero(before.len(), after.len()),
                    });
                    rows.len() - 1
                });
            let Samples { before, after } = &mut rows[row].samples;
            let sum = match number.checked_sub(before.len()) {
                None => &mut before[number],
                Some(number) => &mut after[number],
            };
            add(sum, counters);
        }
    }
    rows
}

/// Joins the rows that one side lacks with those of the same stack without lines that the other lacks.
fn join_moved(rows: &mut Vec<SiteRow>, lineless: &[u32]) {
    let key = |row: &SiteRow| (row.domain, identity(lineless, row.stack));
    let only_before: HashMap<_, Vec<usize>> =
        by_key(rows, |row| is_nothing(&row.samples.after).then(|| key(row)));
    let only_after: HashMap<_, Vec<usize>> = by_key(rows, |row| {
        is_nothing(&row.samples.before).then(|| key(row))
    });
    let mut is_joined = vec![false; rows.len()];
    for (key, new) in &only_after {
        let (Some(old), Some((&first, more))) = (only_before.get(key), new.split_first()) else {
            continue;
        };
        for &row in more.iter().chain(old) {
            is_joined[row] = true;
            let part = rows[row].samples.clone();
            let sum = &mut rows[first].samples;
            let sums = sum.before.iter_mut().chain(&mut sum.after);
            for (sum, part) in sums.zip(part.before.iter().chain(&part.after)) {
                add(sum, part);
            }
        }
        rows[first].moved_from = old.first().map(|&row| rows[row].stack);
    }
    let mut joined = is_joined.into_iter();
    rows.retain(|_| !joined.next().unwrap_or(false));
}

fn by_key<K: Eq + Hash>(
    rows: &[SiteRow],
    key: impl Fn(&SiteRow) -> Option<K>,
) -> HashMap<K, Vec<usize>> {
    let mut rows_of_key: HashMap<K, Vec<usize>> = HashMap::new();
    for (number, row) in rows.iter().enumerate() {
        if let Some(key) = key(row) {
            rows_of_key.entry(key).or_default().push(number);
        }
    }
    rows_of_key
}

fn is_nothing(samples: &[Counters]) -> bool {
    samples
        .iter()
        .all(|counters| *counters == Counters::default())
}

fn identity(identities: &[u32], stack: StackId) -> Option<u32> {
    identities.get(stack.index()?).copied()
}

/// For each frame, the first row of those that are the same but for the line.
fn without_lines(tables: &Model, identities: &[u32]) -> Vec<u32> {
    let mut first_rows = HashMap::new();
    let frames = tables.frames.iter().zip(identities);
    let of_frame = |(row, (frame, &identity)): (usize, (&Frame, &u32))| match *frame {
        Frame::Python { function, file, .. } => *first_rows
            .entry((tables.string(function), tables.string(file)))
            .or_insert(row as u32),
        Frame::Native { .. } => identity,
    };
    frames.enumerate().map(of_frame).collect()
}

/// What became of a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// No run before had it.
    Appeared,
    /// No run after has it.
    Vanished,
    /// There is more of what is looked at.
    Grew,
    /// There is less.
    Shrank,
    /// Other numbers changed.
    Changed,
    /// Only its lines changed.
    Moved,
}

impl Kind {
    /// The name that reports use.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Appeared => "appeared",
            Kind::Vanished => "vanished",
            Kind::Grew => "grew",
            Kind::Shrank => "shrank",
            Kind::Changed => "changed",
            Kind::Moved => "moved",
        }
    }
}

impl SiteRow {
    /// What became of it, by a metric.
    pub fn kind(&self, metric: Metric) -> Kind {
        let change = self.samples.change(|counters| metric.of(counters));
        if is_nothing(&self.samples.before) {
            Kind::Appeared
        } else if is_nothing(&self.samples.after) {
            Kind::Vanished
        } else if change.is_called() {
            match change.difference() > 0 {
                true => Kind::Grew,
                false => Kind::Shrank,
            }
        } else if self.samples.is_changed(true) {
            Kind::Changed
        } else {
            Kind::Moved
        }
    }
}
