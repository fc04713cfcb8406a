//! The sums over several captures.

use std::collections::BTreeMap;

use pytrace_model::group::add;
use pytrace_model::record::{
    Allocator, Counters, Domain, End, Mode, Quality, ScopeCounters, Shutdown, SizeBucket, Sizes,
};
use pytrace_model::union::Union;
use pytrace_model::{Model, ModelError};

use super::Member;
use crate::capture::Capture;

/// The sums so far.
#[derive(Default)]
pub(super) struct Whole {
    union: Union,
    /// The counters of the union's sites, by row: of captures that know their call sites, and of those that only count.
    site_counters: Vec<Counters>,
    counted: Vec<Counters>,
    /// All other sums.
    sums: Model,
    /// Buckets of the histograms by domain and their smallest size.
    buckets: BTreeMap<(Domain, u64), SizeBucket>,
}

impl Whole {
    /// Takes in a capture.
    pub(super) fn add(&mut self, model: &Model) -> Result<(), ModelError> {
        let mapping = self.union.add(model)?;
        let of_sites = match model.has_live_table() {
            true => &mut self.site_counters,
            false => &mut self.counted,
        };
        of_sites.resize(self.union.tables().sites.len(), Counters::default());
        for (site, counters) in mapping.sites().zip(&model.site_counters) {
            if let Some(sum) = site.index().and_then(|row| of_sites.get_mut(row)) {
                add(sum, counters);
            }
        }
        for (&scope, of_scope) in &model.scopes {
            let sum = self.sums.scopes.entry(scope).or_insert(ScopeCounters {
                scope,
                counters: Counters::default(),
                max_live_bytes: 0,
                max_live_at_ns: 0,
                max_size_bytes: 0,
            });
            add(&mut sum.counters, &of_scope.counters);
            sum.max_live_bytes = sum.max_live_bytes.saturating_add(of_scope.max_live_bytes);
            sum.max_size_bytes = sum.max_size_bytes.max(of_scope.max_size_bytes);
        }
        for (&domain, sizes) in &model.sizes {
            for bucket in &sizes.buckets {
                add_bucket(self.buckets.entry((domain, bucket.from)), bucket);
            }
        }
        add_quality(&mut self.sums.quality, &model.quality);
        let (sum, part) = (&mut self.sums.shutdown, &model.shutdown);
        *sum = Shutdown {
            allocations: sum.allocations.saturating_add(part.allocations),
            frees: sum.frees.saturating_add(part.frees),
            requested_bytes: sum.requested_bytes.saturating_add(part.requested_bytes),
        };
        Ok(())
    }

    /// The whole as a capture of the first member.
    pub(super) fn into_capture(self, members: &[Member]) -> Capture {
        let Whole {
            union,
            site_counters,
            counted,
            sums,
            buckets,
        } = self;
        let first = &members[0].capture;
        let all = || members.iter().map(|member| &member.capture.model);
        let knows_sites = all().any(Model::has_live_table);
        let mut site_counters = if knows_sites { site_counters } else { counted };
        site_counters.resize(union.tables().sites.len(), Counters::default());
        let mut model = Model {
            process: first.model.process.clone(),
            settings: first.model.settings.clone(),
            site_counters,
            scopes: sums.scopes,
            quality: sums.quality,
            shutdown: sums.shutdown,
            end: first.model.end.map(|end| End {
                at_ns: first.duration_ns(),
                ..end
            }),
            ..union.into_tables()
        };
        for ((domain, _), bucket) in buckets {
            let sizes = model.sizes.entry(domain).or_insert_with(|| Sizes {
                domain,
                buckets: Vec::new(),
            });
            sizes.buckets.push(bucket);
        }
        model.counts_in_part = knows_sites && !all().all(Model::has_live_table);
        // Where only some have no stacks, the others' are shown as usual; a note tells which have none.
        if all().any(|model| model.process.no_stacks_reason.is_empty()) {
            model.process.no_stacks_reason.clear();
        }
        if let Some(silent) = all().find(|model| does_not_tell(model.process.allocator)) {
            model.process.allocator = silent.process.allocator;
        }
        model.settings.mode = if !knows_sites {
            Mode::Counts
        } else if all().all(|model| model.settings.mode == Mode::Events) {
            Mode::Events
        } else {
            Mode::Sites
        };
        // A capture that was cut before its settings shows all.
        let shows_all = all().any(|model| model.settings.domains.is_empty());
        let is_shown = |domain: &Domain| {
            shows_all || all().any(|model| model.settings.domains.contains(domain))
        };
        model.settings.domains = Domain::ALL.into_iter().filter(is_shown).collect();
        Capture {
            model,
            ending: first.ending,
            unread: None,
        }
    }
}

/// Whether served bytes are as they were asked for.
fn does_not_tell(allocator: Allocator) -> bool {
    matches!(allocator, Allocator::Mimalloc | Allocator::MimallocDebug)
}

fn add_bucket(
    sum: std::collections::btree_map::Entry<'_, (Domain, u64), SizeBucket>,
    part: &SizeBucket,
) {
    let sum = sum.or_insert(SizeBucket {
        from: part.from,
        to: part.to,
        ..SizeBucket::default()
    });
    sum.to = sum.to.max(part.to);
    sum.allocations = sum.allocations.saturating_add(part.allocations);
    sum.requested_bytes = sum.requested_bytes.saturating_add(part.requested_bytes);
    sum.live_blocks = sum.live_blocks.saturating_add(part.live_blocks);
}

fn add_quality(sum: &mut Quality, part: &Quality) {
    let Quality {
        events,
        lost_events,
        unmatched_frees,
        missed_frees,
        inherited_frees,
        unmatched_while_paused,
        truncated_stacks,
        peak_error_bytes,
        own_cpu_ns,
        own_memory_bytes,
    } = *part;
    for (sum, part) in [
        (&mut sum.events, events),
        (&mut sum.lost_events, lost_events),
        (&mut sum.unmatched_frees, unmatched_frees),
        (&mut sum.missed_frees, missed_frees),
        (&mut sum.inherited_frees, inherited_frees),
        (&mut sum.unmatched_while_paused, unmatched_while_paused),
        (&mut sum.truncated_stacks, truncated_stacks),
        (&mut sum.peak_error_bytes, peak_error_bytes),
        (&mut sum.own_cpu_ns, own_cpu_ns),
        (&mut sum.own_memory_bytes, own_memory_bytes),
    ] {
        *sum = sum.saturating_add(part);
    }
}
