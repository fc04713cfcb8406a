//! What changed between two captures, or between two sets of repeated runs.
//!
//! ```text
//! spread   a number in repeated runs, and when a change of it is called one
//! sites    call sites of both sides, matched
//! text, json   what changed, as one of these
//! ```
//!
//! Invariant: a capture does not differ from itself.

pub mod json;
mod sites;
mod spread;
#[cfg(test)]
mod tests;
pub mod text;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::PathBuf;

use pytrace_model::Model;
use pytrace_model::record::{Counters, Domain, Scope, SizeBucket};
use pytrace_model::text::escape_name;
use pytrace_model::union::Union;

use crate::analysis::Metric;
use crate::capture::Capture;
use crate::check;
use crate::error::{Error, Result};
use sites::Run;

pub use sites::{Kind, SiteRow};
pub use spread::{COUNTED, Change, Counted, Samples, Spread};

/// Captures of one side, with their files.
pub type Side = Vec<(PathBuf, Capture)>;

/// What changed.
#[derive(Debug)]
pub struct Difference {
    /// The old runs, without their tables.
    pub before: Side,
    /// The new ones.
    pub after: Side,
    /// What rows are sorted by.
    pub metric: Metric,
    /// Whether both sides have live blocks and call sites.
    pub knows_live: bool,
    /// Strings, frames and stacks of all runs.
    pub tables: Model,
    /// The total and the domains.
    pub scopes: Vec<(Scope, Samples)>,
    /// Size classes that changed, those of the largest change first.
    pub sizes: Vec<SizeRow>,
    /// Call sites that changed or moved, those of the largest change first.
    pub sites: Vec<SiteRow>,
    /// Call sites in all.
    pub sites_compared: usize,
    /// What the reader should know besides, a line each.
    pub notes: Vec<String>,
}

/// A bucket of a domain's size histogram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SizeRow {
    /// The domain.
    pub domain: Domain,
    /// Smallest size.
    pub from: u64,
    /// Largest size.
    pub to: u64,
    /// `allocations` holds what was allocated or resized to these sizes; `requested_bytes` and `live_blocks` are known besides.
    pub samples: Samples,
}

impl Difference {
    /// Compares; `name` gives names to native frames and says what it could not name.
    ///
    /// # Errors
    /// Sides that show different domains, more rows than tables can have, or a metric that a mode does not know.
    pub fn of(
        mut before: Side,
        mut after: Side,
        metric: Metric,
        name: impl FnOnce(&mut Model) -> Vec<String>,
    ) -> Result<Difference> {
        let all = || before.iter().chain(&after);
        let knows_live = all().all(|(_, capture)| capture.model.has_live_table());
        if metric.needs_live_table() && !knows_live {
            return Err(Error::usage(format!(
                "--metric {} needs a table of live blocks, and a capture of mode counts keeps none; \
                 trace the program again with --mode sites",
                metric.name()
            )));
        }
        if let Some(((_, first), _)) = all().next().zip(all().nth(1))
            && all().any(|(_, other)| !check::shows_same_domains(&first.model, &other.model))
        {
            return Err(Error::usage(
                "the captures show different domains (PYTRACE_DOMAINS), so they cannot be compared; \
                 trace one of them again",
            ));
        }
        let mut notes = notes(&before, &after, knows_live);
        let scopes = scopes(&before, &after);
        let mut sizes = sizes(&before, &after, knows_live);
        sizes.retain(|row| row.samples.is_changed(knows_live));
        sizes.sort_by_cached_key(|row| Reverse(magnitude(&row.samples, metric_of_sizes(metric))));

        let mut union = Union::new();
        let mut runs = |side: &mut Side| -> Result<Vec<Run>> {
            let run = |(path, capture): &mut (PathBuf, Capture)| {
                let added = union.add(&capture.model);
                let mapping = added.map_err(|error| Error::not_decoded(path, error))?;
                let sites = mapping.into_sites();
                let counters = core::mem::take(&mut capture.model.site_counters);
                forget_tables(&mut capture.model);
                Ok(Run { sites, counters })
            };
            side.iter_mut().map(run).collect()
        };
        let (old, new) = (runs(&mut before)?, runs(&mut after)?);
        let mut tables = union.into_tables();
        if let Some((_, capture)) = after.first() {
            tables.process = capture.model.process.clone();
            tables.settings = capture.model.settings.clone();
        }
        let mut sites = Vec::new();
        if knows_live {
            notes.extend(name(&mut tables));
            sites = sites::matched(&tables, &old, &new);
        }
        let sites_compared = sites.len();
        sites.retain(|row| row.moved_from.is_some() || row.samples.is_changed(knows_live));
        sites.sort_by_cached_key(|row| Reverse(magnitude(&row.samples, metric)));
        Ok(Difference {
            before,
            after,
            metric,
            knows_live,
            tables,
            scopes,
            sizes,
            sites,
            sites_compared,
            notes,
        })
    }

    /// Whether nothing changed.
    pub fn is_nothing(&self) -> bool {
        let is_changed = |samples: &Samples| samples.is_changed(self.knows_live);
        self.sizes.is_empty()
            && !self.scopes.iter().any(|(_, samples)| is_changed(samples))
            && !self.sites.iter().any(|row| is_changed(&row.samples))
    }

    /// Whether there are several runs on a side.
    pub fn has_sets(&self) -> bool {
        self.before.len() > 1 || self.after.len() > 1
    }
}

/// How far a number of something is from what it was; what is within the spread counts for nothing.
fn magnitude(samples: &Samples, metric: Metric) -> u128 {
    let change = samples.change(|counters| metric.of(counters));
    match change.is_called() {
        true => change.difference().unsigned_abs(),
        false => 0,
    }
}

/// Histograms know how many and how much.
fn metric_of_sizes(metric: Metric) -> Metric {
    match metric.is_bytes() {
        true => Metric::Allocated,
        false => Metric::Allocations,
    }
}

/// What is in the union now.
fn forget_tables(model: &mut Model) {
    model.strings = Vec::new();
    model.modules = Vec::new();
    model.frames = Vec::new();
    model.stacks = Vec::new();
    model.sites = Vec::new();
    model.native_names = BTreeMap::new();
    model.sizes = BTreeMap::new();
}

fn scopes(before: &Side, after: &Side) -> Vec<(Scope, Samples)> {
    let scopes = core::iter::once(Scope::Total).chain(Domain::ALL.map(Scope::Domain));
    let of_side = |side: &Side, scope| {
        let runs = side.iter();
        runs.map(|(_, capture)| capture.model.scope(scope).counters)
            .collect()
    };
    let samples = scopes.map(|scope| {
        let samples = Samples {
            before: of_side(before, scope),
            after: of_side(after, scope),
        };
        (scope, samples)
    });
    samples.collect()
}

fn sizes(before: &Side, after: &Side, knows_live: bool) -> Vec<SizeRow> {
    let mut rows: BTreeMap<(u8, u64, u64), SizeRow> = BTreeMap::new();
    for (number, (_, capture)) in before.iter().chain(after).enumerate() {
        for sizes in capture.model.sizes.values() {
            for &SizeBucket {
                from,
                to,
                allocations,
                requested_bytes,
                live_blocks,
            } in &sizes.buckets
            {
                let row = rows
                    .entry((sizes.domain as u8, from, to))
                    .or_insert_with(|| SizeRow {
                        domain: sizes.domain,
                        from,
                        to,
                        samples: Samples::zero(before.len(), after.len()),
                    });
                let counters = Counters {
                    allocations,
                    requested_bytes,
                    // Histograms of mode counts do not have it, unlike its totals.
                    live_blocks: if knows_live { live_blocks } else { 0 },
                    ..Counters::default()
                };
                match number.checked_sub(before.len()) {
                    None => row.samples.before[number] = counters,
                    Some(number) => row.samples.after[number] = counters,
                }
            }
        }
    }
    rows.into_values().collect()
}

/// What the two sides do not have in common.
fn notes(before: &Side, after: &Side, knows_live: bool) -> Vec<String> {
    let mut notes = Vec::new();
    let mut compare = |what: &str, of: &dyn Fn(&Model) -> String| {
        let values = |side: &Side| {
            let mut values: Vec<_> = side.iter().map(|(_, capture)| of(&capture.model)).collect();
            values.sort();
            values.dedup();
            values.join(", ")
        };
        let (old, new) = (values(before), values(after));
        if old != new {
            notes.push(format!(
                "the captures differ in {what}: {old} before, {new} after"
            ));
        }
    };
    compare("the version of Python", &|model| {
        escape_name(&model.process.python_version)
    });
    compare("the allocator", &|model| {
        model.process.allocator.name().to_string()
    });
    compare("the mode", &|model| model.settings.mode.name().to_string());
    compare("the native part of stacks", &|model| {
        model.settings.native.name().to_string()
    });
    compare("the depth of stacks", &|model| {
        model.settings.depth.to_string()
    });
    if !knows_live {
        notes.push(
            "call sites, live bytes and the peak are not compared: mode counts does not know them"
                .to_string(),
        );
    }
    for (path, capture) in before.iter().chain(after) {
        let name = crate::error::quoted(path);
        notes.extend(check::doubts(&name, capture));
    }
    for side in [before, after] {
        let mut trees: Vec<_> = side
            .iter()
            .map(|(_, capture)| &capture.model.process.tree)
            .collect();
        trees.retain(|tree| !tree.is_empty());
        let all = trees.len();
        trees.sort();
        trees.dedup();
        if trees.len() < all {
            notes.push(
                "captures of one side are of the same tree of processes; they are taken for repeated runs all the same"
                    .to_string(),
            );
        }
    }
    notes
}
