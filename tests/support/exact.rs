//! What holds for every report of a run in mode `sites` or `events`, whatever was traced.

use super::report::{Bucket, Counters, Pools, Report, SizeClass};

/// Every field that sums over sites, and over domains.
fn additive(counters: &Counters) -> [(&'static str, u64); 9] {
    let known = |value: Option<u64>| value.expect("modes with sites know it");
    [
        ("allocations", counters.allocations),
        ("reallocations", counters.reallocations),
        ("frees", counters.frees),
        ("requested_bytes", counters.requested_bytes),
        ("served_bytes", counters.served_bytes),
        ("live_blocks", counters.live_blocks),
        ("live_bytes", known(counters.live_bytes)),
        ("peak_bytes", known(counters.peak_bytes)),
        (
            "temporary_allocations",
            known(counters.temporary_allocations),
        ),
    ]
}

impl Report {
    /// Nothing was lost, and all numbers that must agree do so to the last byte.
    #[track_caller]
    pub(crate) fn assert_exact(&self) {
        assert_eq!(self.quality.lost_events, 0, "lost_events");
        assert_eq!(self.quality.missed_frees, 0, "missed_frees");
        assert!(self.quality.complete, "the capture is not complete");
        self.assert_domains_agree();
        self.assert_sites_sum_up();
        self.assert_total_is_the_sum();
        self.assert_plausible();
    }

    /// Each domain's own numbers, which hold in mode `counts` too.
    #[track_caller]
    pub(crate) fn assert_domains_agree(&self) {
        for (name, domain) in &self.domains {
            let counters = &domain.counters;
            assert_eq!(
                counters.allocations.checked_sub(counters.frees),
                Some(counters.live_blocks),
                "{name}: allocations − frees = live_blocks, {counters:?}"
            );
            let sum =
                |field: fn(&Bucket) -> u64| domain.sizes.buckets.iter().map(field).sum::<u64>();
            assert_eq!(
                sum(|bucket| bucket.allocations),
                counters.allocations + counters.reallocations,
                "{name}: the histogram holds every allocation and reallocation"
            );
            assert_eq!(
                sum(|bucket| bucket.requested_bytes),
                counters.requested_bytes,
                "{name}: the histogram's bytes"
            );
            if counters.live_bytes.is_some() {
                assert_eq!(
                    sum(|bucket| bucket.live_blocks),
                    counters.live_blocks,
                    "{name}: the histogram's live blocks"
                );
            }
            let mut smallest = 0;
            for bucket in &domain.sizes.buckets {
                assert!(
                    smallest <= bucket.from && bucket.from <= bucket.to,
                    "{name}: buckets ascend, {bucket:?}"
                );
                assert!(
                    bucket.from > 1024 || bucket.from == bucket.to,
                    "{name}: sizes up to 1024 have a bucket each, {bucket:?}"
                );
                let bytes = bucket.requested_bytes;
                assert!(
                    bucket.from * bucket.allocations <= bytes
                        && bytes <= bucket.to * bucket.allocations,
                    "{name}: {bucket:?}"
                );
                smallest = bucket.to + 1;
            }
        }
    }

    #[track_caller]
    fn assert_sites_sum_up(&self) {
        for (name, domain) in &self.domains {
            let mut sums = [0; 6];
            for site in self.sites().iter().filter(|site| site.domain == *name) {
                let fields = [
                    site.allocations,
                    site.requested_bytes,
                    site.served_bytes,
                    site.live_blocks,
                    site.live_bytes,
                    site.peak_bytes,
                ];
                for (sum, field) in sums.iter_mut().zip(fields) {
                    *sum += field;
                }
            }
            let temporary: u64 = (self.sites().iter())
                .filter(|site| site.domain == *name)
                .map(|site| site.temporary_allocations)
                .sum();
            let expected = additive(&domain.counters).into_iter().filter(|(field, _)| {
                !["reallocations", "frees", "temporary_allocations"].contains(field)
            });
            for ((field, expected), sum) in expected.zip(sums) {
                assert_eq!(sum, expected, "{name}: the sum of {field} over its sites");
            }
            assert_eq!(
                Some(temporary),
                domain.counters.temporary_allocations,
                "{name}: the sum of temporary_allocations over its sites"
            );
        }
    }

    #[track_caller]
    fn assert_total_is_the_sum(&self) {
        let shown = &self.settings.domains;
        if !["raw", "mem", "object", "malloc"]
            .iter()
            .all(|name| shown.iter().any(|one| one == name))
        {
            return; // a filtered report shows less than the total counts
        }
        for (index, (field, total)) in additive(&self.total.counters).into_iter().enumerate() {
            let sum: u64 = (self.domains.iter())
                .filter(|(name, _)| *name != "mmap")
                .map(|(_, domain)| additive(&domain.counters)[index].1)
                .sum();
            assert_eq!(sum, total, "total: {field} is the sum over the domains");
        }
    }

    /// What can be said of the other numbers without knowing the program.
    #[track_caller]
    fn assert_plausible(&self) {
        for (name, domain) in &self.domains {
            let maximum = domain.max_live_bytes.expect("modes with sites know it");
            assert!(
                Some(maximum) >= domain.counters.live_bytes,
                "{name}: max_live_bytes"
            );
            assert!(
                Some(maximum) >= domain.counters.peak_bytes,
                "{name}: max_live_bytes"
            );
            let sizes = &domain.sizes;
            let ascending = [sizes.p50, sizes.p90, sizes.p99, sizes.p999, sizes.max];
            assert!(
                ascending.is_sorted(),
                "{name}: percentiles ascend, {ascending:?}"
            );
            let largest = sizes.buckets.last().map_or(0, |bucket| bucket.to);
            assert!(sizes.max <= largest, "{name}: max lies in the last bucket");
            let resized = domain.counters.allocations + domain.counters.reallocations;
            if resized > 0 {
                let mean = domain.counters.requested_bytes as f64 / resized as f64;
                assert!(
                    (sizes.mean - mean).abs() < 0.01,
                    "{name}: mean {} for {mean}",
                    sizes.mean
                );
            }
        }
        let times: Vec<_> = self.timeline.iter().map(|point| point.t_s).collect();
        assert!(times.is_sorted(), "the timeline ascends: {times:?}");
        for point in &self.timeline {
            assert!(
                point.allocations <= self.total.counters.allocations,
                "{point:?}"
            );
            assert!(point.rss_bytes != Some(0), "{point:?}");
            let peak = self.total.counters.peak_bytes;
            assert!(
                point.live_bytes <= peak,
                "{point:?} is above the peak, {peak:?}"
            );
            let most = self
                .pymalloc
                .as_ref()
                .map_or(0, |pymalloc| pymalloc.at_end.arenas_peak);
            assert!(
                point.arenas.unwrap_or(0) <= most,
                "{point:?} for {most} arenas"
            );
        }
        assert!(
            self.quality.events >= self.total.counters.allocations,
            "{:?}",
            self.quality
        );
        assert!(
            self.quality.own_cpu_s >= 0.0 && self.quality.own_memory_bytes > 0,
            "{:?}",
            self.quality
        );
        if let Some(pymalloc) = &self.pymalloc {
            let moments = [
                Some(&pymalloc.at_end),
                pymalloc.at_peak.as_ref(),
                pymalloc.by_events.as_ref(),
            ];
            moments.into_iter().flatten().for_each(Pools::assert_sums);
        }
    }
}

impl Pools {
    #[track_caller]
    fn assert_sums(&self) {
        let pools = self.pools_free + self.pools_partial + self.pools_full;
        assert_eq!(pools, self.pools_total, "{self:?}");
        assert!(self.arenas <= self.arenas_peak, "{self:?}");
        let mapped = self.arenas_allocated_total - self.arenas_freed_total;
        assert_eq!(mapped, self.arenas, "{self:?}");
        let used: u64 = self.size_classes.iter().map(|class| class.pools).sum();
        assert_eq!(used, self.pools_partial + self.pools_full, "{self:?}");
        let in_use = |class: &SizeClass| class.blocks_in_use * class.size;
        let bytes: u64 = self.size_classes.iter().map(in_use).sum();
        assert_eq!(bytes, self.bytes_in_use, "{self:?}");
        let held = self.arenas * self.arena_bytes;
        assert!(self.bytes_in_use + self.bytes_free <= held, "{self:?}");
        assert!(self.pools_total * self.pool_bytes <= held, "{self:?}");
    }
}
