//! What changed as JSON, schema `pytrace.diff/1` (docs/DIFF.md).

use std::collections::BTreeMap;
use std::io::{self, Write};

use pytrace_model::record::Scope;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::{COUNTED, Change, Difference, Samples, Side, SiteRow};
use crate::report::json::{plain, rows::Stack};

/// The value of the field `schema`.
pub const SCHEMA: &str = "pytrace.diff/1";

/// Writes what changed, on one line; of sites and sizes at most `top` each.
pub fn write(difference: &Difference, top: Option<usize>, out: impl Write) -> io::Result<()> {
    let Difference { knows_live, .. } = *difference;
    let top = top.unwrap_or(usize::MAX);
    let of_scope = |scope| {
        let found = difference.scopes.iter().find(|(other, _)| *other == scope);
        found.map(|(_, samples)| Numbers {
            samples,
            knows_live,
        })
    };
    let domains = difference
        .scopes
        .iter()
        .filter_map(|(scope, _)| match scope {
            Scope::Domain(domain) => Some((domain.name(), of_scope(*scope)?)),
            Scope::Total => None,
        });
    let document = Document {
        schema: SCHEMA,
        metric: difference.metric.name(),
        different: !difference.is_nothing(),
        before: runs(&difference.before),
        after: runs(&difference.after),
        total: of_scope(Scope::Total),
        domains: domains.collect(),
        sizes: difference
            .sizes
            .iter()
            .take(top)
            .map(|row| SizeFields {
                domain: row.domain.name(),
                from: row.from,
                to: row.to,
                allocations: ChangeFields::of(row.samples.change(|counters| counters.allocations)),
                requested_bytes: ChangeFields::of(
                    row.samples.change(|counters| counters.requested_bytes),
                ),
                live_blocks: knows_live
                    .then(|| ChangeFields::of(row.samples.change(|counters| counters.live_blocks))),
            })
            .collect(),
        sites_compared: knows_live.then_some(difference.sites_compared),
        sites: knows_live.then(|| {
            let sites = difference.sites.iter().take(top);
            sites.map(|row| SiteFields::of(row, difference)).collect()
        }),
        notes: &difference.notes,
    };
    plain::write_line(&document, out)
}

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    metric: &'static str,
    different: bool,
    before: Vec<RunFields<'a>>,
    after: Vec<RunFields<'a>>,
    total: Option<Numbers<'a>>,
    domains: BTreeMap<&'static str, Numbers<'a>>,
    sizes: Vec<SizeFields>,
    sites_compared: Option<usize>,
    sites: Option<Vec<SiteFields<'a>>>,
    notes: &'a [String],
}

#[derive(Serialize)]
struct RunFields<'a> {
    file: String,
    program: &'a str,
    pid: u32,
    python_version: &'a str,
    mode: &'static str,
    complete: bool,
}

#[derive(Serialize)]
struct SizeFields {
    domain: &'static str,
    from: u64,
    to: u64,
    allocations: ChangeFields,
    requested_bytes: ChangeFields,
    live_blocks: Option<ChangeFields>,
}

#[derive(Serialize)]
struct SiteFields<'a> {
    kind: &'static str,
    moved: bool,
    domain: &'static str,
    #[serde(flatten)]
    numbers: Numbers<'a>,
    stack: Stack<'a>,
    stack_before: Option<Stack<'a>>,
}

#[derive(Serialize)]
struct ChangeFields {
    before: u64,
    after: u64,
    /// A difference of two numbers of 64 bits does not always fit in a third.
    change: i128,
    changed: bool,
    before_range: [u64; 2],
    after_range: [u64; 2],
}

/// All counters by name, those that are not known null.
struct Numbers<'a> {
    samples: &'a Samples,
    knows_live: bool,
}

impl Serialize for Numbers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(COUNTED.len()))?;
        for counted in &COUNTED {
            let is_known = self.knows_live || !counted.needs_live_table;
            let change = is_known.then(|| ChangeFields::of(self.samples.change(counted.of)));
            map.serialize_entry(counted.name, &change)?;
        }
        map.end()
    }
}

impl ChangeFields {
    fn of(change: Change) -> ChangeFields {
        let Change { before, after } = change;
        ChangeFields {
            before: before.median,
            after: after.median,
            change: change.difference(),
            changed: change.is_called(),
            before_range: [before.least, before.most],
            after_range: [after.least, after.most],
        }
    }
}

impl<'a> SiteFields<'a> {
    fn of(row: &'a SiteRow, difference: &'a Difference) -> SiteFields<'a> {
        let stack = |id| Stack {
            model: &difference.tables,
            id,
        };
        SiteFields {
            kind: row.kind(difference.metric).name(),
            moved: row.moved_from.is_some(),
            domain: row.domain.name(),
            numbers: Numbers {
                samples: &row.samples,
                knows_live: difference.knows_live,
            },
            stack: stack(row.stack),
            stack_before: row.moved_from.map(stack),
        }
    }
}

fn runs(side: &Side) -> Vec<RunFields<'_>> {
    let runs = side.iter().map(|(path, capture)| RunFields {
        file: path.display().to_string(),
        program: &capture.model.process.program,
        pid: capture.model.process.pid,
        python_version: &capture.model.process.python_version,
        mode: capture.model.settings.mode.name(),
        complete: capture.is_complete(),
    });
    runs.collect()
}
