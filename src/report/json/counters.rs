//! The counters of sites, domains and the total, and the size histograms.

use pytrace_model::Model;
use pytrace_model::record::{Counters, Domain, Scope, SizeBucket};
use pytrace_model::sizes::SizeStatistics;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::{seconds, with_live_table};

/// What is counted for sites, domains and the total alike.
#[derive(Serialize)]
pub(super) struct CounterFields {
    allocations: u64,
    reallocations: u64,
    frees: u64,
    requested_bytes: u64,
    served_bytes: u64,
    live_blocks: u64,
    live_bytes: Option<u64>,
    peak_bytes: Option<u64>,
    temporary_allocations: Option<u64>,
}

impl CounterFields {
    pub(super) fn of(counters: &Counters, model: &Model) -> CounterFields {
        CounterFields {
            allocations: counters.allocations,
            reallocations: counters.reallocations,
            frees: counters.frees,
            requested_bytes: counters.requested_bytes,
            served_bytes: counters.served_bytes,
            live_blocks: counters.live_blocks,
            live_bytes: with_live_table(model, counters.live_bytes),
            peak_bytes: with_live_table(model, counters.peak_bytes),
            temporary_allocations: with_live_table(model, counters.temporary_allocations),
        }
    }
}

#[derive(Serialize)]
pub(super) struct TotalFields {
    #[serde(flatten)]
    counters: CounterFields,
    served_known: bool,
    max_live_bytes: Option<u64>,
    pub(super) peak_at_s: Option<f64>,
}

impl TotalFields {
    pub(super) fn of(model: &Model) -> TotalFields {
        let total = model.scope(Scope::Total);
        TotalFields {
            counters: CounterFields::of(&total.counters, model),
            served_known: model.knows_served_bytes(Scope::Total),
            max_live_bytes: with_live_table(model, total.max_live_bytes),
            peak_at_s: with_live_table(model, seconds(total.max_live_at_ns)),
        }
    }
}

/// The domains that the settings show, by name.
pub(super) struct Domains<'a> {
    pub(super) model: &'a Model,
}

impl Serialize for Domains<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // A capture that was cut before its settings shows all.
        let shown = match self.model.settings.domains.as_slice() {
            [] => &Domain::ALL,
            shown => shown,
        };
        let mut map = serializer.serialize_map(Some(shown.len()))?;
        for domain in shown {
            map.serialize_entry(domain.name(), &DomainFields::of(self.model, *domain))?;
        }
        map.end()
    }
}

#[derive(Serialize)]
struct DomainFields {
    #[serde(flatten)]
    counters: CounterFields,
    served_known: bool,
    max_live_bytes: Option<u64>,
    sizes: SizeFields,
}

impl DomainFields {
    fn of(model: &Model, domain: Domain) -> DomainFields {
        let scope = model.scope(Scope::Domain(domain));
        let buckets = model
            .sizes
            .get(&domain)
            .map(|sizes| sizes.buckets.as_slice());
        DomainFields {
            counters: CounterFields::of(&scope.counters, model),
            served_known: model.knows_served_bytes(Scope::Domain(domain)),
            max_live_bytes: with_live_table(model, scope.max_live_bytes),
            sizes: SizeFields::of(buckets.unwrap_or_default(), scope.max_size_bytes, model),
        }
    }
}

#[derive(Serialize)]
struct SizeFields {
    p50: u64,
    p90: u64,
    p99: u64,
    p999: u64,
    max: u64,
    mean: f64,
    buckets: Vec<BucketFields>,
}

impl SizeFields {
    fn of(buckets: &[SizeBucket], max_size_bytes: u64, model: &Model) -> SizeFields {
        let statistics = SizeStatistics::of(buckets, max_size_bytes).unwrap_or_default();
        let buckets = buckets.iter().map(|bucket| BucketFields {
            from: bucket.from,
            to: bucket.to,
            allocations: bucket.allocations,
            requested_bytes: bucket.requested_bytes,
            live_blocks: with_live_table(model, bucket.live_blocks),
        });
        SizeFields {
            p50: statistics.p50,
            p90: statistics.p90,
            p99: statistics.p99,
            p999: statistics.p999,
            max: statistics.max,
            mean: statistics.mean,
            buckets: buckets.collect(),
        }
    }
}

#[derive(Serialize)]
struct BucketFields {
    from: u64,
    to: u64,
    allocations: u64,
    requested_bytes: u64,
    live_blocks: Option<u64>,
}
