//! What a size histogram says: percentiles, mean, several domains put together.

use std::collections::BTreeMap;

use pytrace_format::record::{SizeBucket, Sizes};

/// The percentiles that reports show.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SizeStatistics {
    /// Half of the allocations were of this size or smaller.
    pub p50: u64,
    /// 90 % were.
    pub p90: u64,
    /// 99 % were.
    pub p99: u64,
    /// 99.9 % were.
    pub p999: u64,
    /// The largest.
    pub max: u64,
    /// The arithmetic mean.
    pub mean: f64,
}

impl SizeStatistics {
    /// The statistics of a histogram whose largest size is known; `None` when it is empty.
    pub fn of(buckets: &[SizeBucket], max_size_bytes: u64) -> Option<SizeStatistics> {
        let mean = mean(buckets)?;
        // A bucket of several sizes stands for its largest, which nobody may have asked for.
        let at = |quantile| match percentile(buckets, quantile) {
            found if max_size_bytes == 0 => found,
            found => found.min(max_size_bytes),
        };
        Some(SizeStatistics {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: at(1.0),
            mean,
        })
    }
}

/// The size that a share `quantile` (0 to 1) of the allocations does not exceed; 0 when there are none. Exact for sizes up to 1024, the
/// largest size of the bucket above.
pub fn percentile(buckets: &[SizeBucket], quantile: f64) -> u64 {
    let total = allocations(buckets);
    let rank = ((total as f64 * quantile).ceil() as u64).clamp(1, total.max(1));
    let mut seen = 0u64;
    for bucket in buckets {
        seen = seen.saturating_add(bucket.allocations);
        if seen >= rank {
            return bucket.to;
        }
    }
    0
}

/// The mean size, `None` when there are no allocations.
pub fn mean(buckets: &[SizeBucket]) -> Option<f64> {
    let total = allocations(buckets);
    let bytes = buckets.iter().fold(0u64, |sum, bucket| {
        sum.saturating_add(bucket.requested_bytes)
    });
    (total > 0).then(|| bytes as f64 / total as f64)
}

/// Allocations and reallocations of a histogram.
pub fn allocations(buckets: &[SizeBucket]) -> u64 {
    buckets
        .iter()
        .fold(0, |sum, bucket| sum.saturating_add(bucket.allocations))
}

/// Several histograms as one, ascending.
pub fn merged<'model>(histograms: impl IntoIterator<Item = &'model Sizes>) -> Vec<SizeBucket> {
    let mut merged: BTreeMap<(u64, u64), SizeBucket> = BTreeMap::new();
    for bucket in histograms.into_iter().flat_map(|sizes| &sizes.buckets) {
        let sum = merged
            .entry((bucket.from, bucket.to))
            .or_insert(SizeBucket {
                from: bucket.from,
                to: bucket.to,
                ..SizeBucket::default()
            });
        sum.allocations = sum.allocations.saturating_add(bucket.allocations);
        sum.requested_bytes = sum.requested_bytes.saturating_add(bucket.requested_bytes);
        sum.live_blocks = sum.live_blocks.saturating_add(bucket.live_blocks);
    }
    merged.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use pytrace_format::record::Domain;

    fn bucket(from: u64, to: u64, allocations: u64) -> SizeBucket {
        let requested_bytes = from * allocations;
        SizeBucket {
            from,
            to,
            allocations,
            requested_bytes,
            live_blocks: 1,
        }
    }

    #[test]
    fn percentiles_by_rank() {
        let buckets = [
            bucket(8, 8, 50),
            bucket(16, 16, 40),
            bucket(100, 100, 9),
            bucket(2048, 2063, 1),
        ];
        for (quantile, size) in [
            (0.0, 8),
            (0.5, 8),
            (0.501, 16),
            (0.9, 16),
            (0.91, 100),
            (0.99, 100),
            (1.0, 2063),
        ] {
            assert_eq!(percentile(&buckets, quantile), size, "{quantile}");
        }
        let statistics = SizeStatistics::of(&buckets, 2050).unwrap();
        assert_eq!((statistics.p999, statistics.max), (2050, 2050));
        assert_eq!(statistics.mean, (400 + 640 + 900 + 2048) as f64 / 100.0);
    }

    #[test]
    fn nothing_has_no_statistics() {
        assert_eq!(percentile(&[], 0.5), 0);
        assert_eq!(SizeStatistics::of(&[], 0), None);
    }

    #[test]
    fn merging_adds_equal_buckets() {
        let first = Sizes {
            domain: Domain::Raw,
            buckets: vec![bucket(8, 8, 1), bucket(64, 64, 2)],
        };
        let second = Sizes {
            domain: Domain::Mem,
            buckets: vec![bucket(16, 16, 4), bucket(64, 64, 3)],
        };
        let sizes: Vec<_> = merged([&first, &second])
            .iter()
            .map(|bucket| (bucket.from, bucket.allocations))
            .collect();
        assert_eq!(sizes, [(8, 1), (16, 4), (64, 5)]);
    }
}
