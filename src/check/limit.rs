//! What may be measured at most.

use pytrace_model::Model;
use pytrace_model::record::Scope;
use pytrace_model::text::{count, size, whole_size};

use crate::amount::Tolerance;
use crate::analysis::Metric;

/// What limits can be set for, in the order in which they are reported.
pub const METRICS: [Metric; 4] = [
    Metric::Peak,
    Metric::Live,
    Metric::Allocated,
    Metric::Allocations,
];

/// A limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    /// What is limited.
    pub metric: Metric,
    /// The most that is accepted.
    pub most: u64,
    /// Who says so.
    pub source: Source,
}

/// Where a limit comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Source {
    /// It was given outright, as an option.
    Option,
    /// An earlier capture.
    Baseline {
        /// What was measured there.
        before: u64,
        /// How much more is accepted.
        tolerance: Tolerance,
    },
}

impl Source {
    /// The option that a limit came by.
    pub fn option(self, metric: Metric) -> String {
        match self {
            Source::Option => format!("--max-{}", metric.name()),
            Source::Baseline { .. } => "--baseline".to_string(),
        }
    }
}

impl Limit {
    /// What a baseline allows of everything that both captures know.
    pub fn of_baseline(baseline: &Model, model: &Model, tolerance: Tolerance) -> Vec<Limit> {
        let total = baseline.scope(Scope::Total).counters;
        let knows_live = baseline.has_live_table() && model.has_live_table();
        let known = METRICS
            .into_iter()
            .filter(|metric| knows_live || !metric.needs_live_table());
        known
            .map(|metric| {
                let before = metric.of(&total);
                Limit {
                    metric,
                    most: tolerance.most(before),
                    source: Source::Baseline { before, tolerance },
                }
            })
            .collect()
    }

    /// The limit in words: `--max-peak 10 MiB`, `baseline 9.50 MiB + 5%`.
    pub fn words(&self) -> String {
        match self.source {
            Source::Option => {
                let most = match self.metric.is_bytes() {
                    true => whole_size(self.most),
                    false => count(self.most),
                };
                format!("{} {most}", self.source.option(self.metric))
            }
            Source::Baseline { before, tolerance } => {
                let before = amount(self.metric, before);
                format!("baseline {before} + {}%", tolerance.percent())
            }
        }
    }
}

/// A number of a metric for people.
pub(super) fn amount(metric: Metric, number: u64) -> String {
    if metric.is_bytes() {
        size(number)
    } else {
        count(number)
    }
}
