//! Limits that a capture has to hold, for continuous integration.
//!
//! ```text
//! limit    what may be measured at most, given outright or by an earlier capture
//! place    where most of it was asked for
//! text, github, junit, json    the verdict, as one of these
//! ```
//!
//! Invariant: a limit is held only if that is proven. A capture that was cut short or lost events shows less than there
//! was, so it is doubted.

pub mod github;
pub mod json;
pub mod junit;
mod limit;
mod place;
#[cfg(test)]
mod tests;
pub mod text;

use pytrace_model::Model;
use pytrace_model::record::{Domain, Scope};
use pytrace_model::text::{count, escape_name};

use crate::capture::Capture;
use crate::error::{Error, Result};

pub use limit::{Limit, METRICS, Source};
pub use place::Place;

/// A limit, and what was measured.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The limit.
    pub limit: Limit,
    /// What was measured.
    pub measured: u64,
    /// Where, if it is too much and can be told.
    pub place: Option<Place>,
}

impl Finding {
    /// Whether the limit holds.
    pub fn is_held(&self) -> bool {
        self.measured <= self.limit.most
    }
}

/// What became of all limits.
#[derive(Clone, Debug)]
pub struct Verdict<'a> {
    /// The capture that was looked at.
    pub capture: &'a Capture,
    /// In the order in which the limits were given.
    pub findings: Vec<Finding>,
    /// Why the numbers may be too low, a line each.
    pub doubts: Vec<String>,
    /// Whether doubts are let pass.
    pub allow_doubts: bool,
    /// What the reader should know besides, a line each.
    pub notes: Vec<String>,
}

impl<'a> Verdict<'a> {
    /// Measures.
    ///
    /// # Errors
    /// A limit of something that the capture's mode does not know.
    pub fn of(
        capture: &'a Capture,
        baseline: Option<&Capture>,
        limits: Vec<Limit>,
    ) -> Result<Verdict<'a>> {
        let model = &capture.model;
        if model.settings.domains == [Domain::Mmap] {
            return Err(Error::usage(
                "the capture shows the domain mmap alone, which is in no total, so there is nothing to check; \
                 trace the program again with other PYTRACE_DOMAINS"
                    .to_owned(),
            ));
        }
        let total = model.scope(Scope::Total).counters;
        let mut findings = Vec::new();
        for limit in limits {
            if limit.metric.needs_live_table() && !model.has_live_table() {
                return Err(Error::usage(format!(
                    "{} needs a table of live blocks, and the capture is of mode counts, which keeps none; \
                     trace the program again with --mode sites",
                    limit.source.option(limit.metric)
                )));
            }
            let measured = limit.metric.of(&total);
            let mut finding = Finding {
                limit,
                measured,
                place: None,
            };
            if !finding.is_held() && model.has_live_table() {
                let before = match finding.limit.source {
                    Source::Option => None,
                    Source::Baseline { .. } => baseline.map(|baseline| &baseline.model),
                };
                finding.place = Place::of_most(model, before, finding.limit.metric);
            }
            findings.push(finding);
        }
        let mut doubts = doubts("the capture", capture);
        doubts.extend(
            baseline
                .into_iter()
                .flat_map(|old| self::doubts("the baseline", old)),
        );
        Ok(Verdict {
            capture,
            findings,
            doubts,
            allow_doubts: false,
            notes: notes(model, baseline),
        })
    }

    /// Whether all limits are known to hold.
    pub fn is_good(&self) -> bool {
        self.findings.iter().all(Finding::is_held) && !self.is_doubted()
    }

    /// Whether doubts alone would fail the check.
    pub fn is_doubted(&self) -> bool {
        !self.doubts.is_empty() && !self.allow_doubts
    }
}

/// Why the numbers of a capture may be too low.
pub(crate) fn doubts(what: &str, capture: &Capture) -> Vec<String> {
    let mut doubts = Vec::new();
    if capture.unread.is_some() {
        doubts.push(format!(
            "{what} is damaged and could not be read to its end"
        ));
    } else if !capture.ending.is_written() {
        doubts.push(format!(
            "{what} is incomplete: its process {} (ended: {})",
            match capture.ending {
                crate::capture::Ending::Running => "still runs",
                _ => "wrote no end, as when it is killed",
            },
            capture.ending.name()
        ));
    }
    let lost = capture.model.quality.lost_events;
    if lost > 0 {
        doubts.push(format!("{what} lost {} events", count(lost)));
    }
    doubts
}

/// What is not a fault of the capture, but not what was meant perhaps.
fn notes(model: &Model, baseline: Option<&Capture>) -> Vec<String> {
    let mut notes = Vec::new();
    if model.hides_domains() {
        let shown: Vec<_> = model
            .settings
            .domains
            .iter()
            // Which is in no total.
            .filter(|domain| **domain != Domain::Mmap)
            .map(|domain| domain.name())
            .collect();
        notes.push(format!(
            "the capture shows the domains {} alone, so the total is theirs",
            shown.join(", ")
        ));
    }
    let Some(baseline) = baseline.map(|baseline| &baseline.model) else {
        return notes;
    };
    let [old, new] = [baseline, model].map(|model| escape_name(&model.process.python_version));
    if old != new {
        notes.push(format!(
            "the baseline is of Python {old}, the capture of {new}"
        ));
    }
    if !(model.has_live_table() && baseline.has_live_table()) {
        notes.push(
            "peak and live bytes are not compared: mode counts, which one of the captures is of, does not know them"
                .to_string(),
        );
    }
    notes
}

/// Whether two captures show the same domains, without which their totals cannot be compared.
pub fn shows_same_domains(one: &Model, other: &Model) -> bool {
    let shown = |model: &Model| {
        let domains = &model.settings.domains;
        Domain::ALL.map(|domain| domains.is_empty() || domains.contains(&domain))
    };
    shown(one) == shown(other)
}
