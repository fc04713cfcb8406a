//! Size histograms: every size up to 1024 by itself, larger ones in hdrhistogram's log-linear buckets.
//!
//! hdrhistogram cannot count down, so what is live is kept as what was freed: live = allocated − freed. Byte sums stand
//! beside the counts, as a bucket of several sizes does not tell them.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use pytrace_format::record::SizeBucket;

/// Largest size that has a bucket of its own.
pub(crate) const EXACT: u64 = 1024;
/// Digits that hdrhistogram keeps: buckets are at most 1 % wide.
const DIGITS: u8 = 2;

#[derive(Clone, Copy, Default)]
struct Exact {
    allocated: u64,
    freed: u64,
}

/// The histogram of one domain.
pub(crate) struct Sizes {
    exact: Vec<Exact>,
    allocated: Option<Histogram<u64>>,
    freed: Option<Histogram<u64>>,
    bytes: Option<Histogram<u64>>,
    /// What was written to the capture, by `from`.
    written: BTreeMap<u64, SizeBucket>,
}

fn histogram() -> Option<Histogram<u64>> {
    let mut histogram = Histogram::new(DIGITS).ok()?;
    histogram.auto(true);
    Some(histogram)
}

fn record(histogram: &mut Option<Histogram<u64>>, size: u64, times: u64) {
    if let Some(histogram) = histogram {
        // Auto-resizing histograms take every value; one that cannot grow for lack of memory would end the process in
        // its allocator before it returned an error.
        let _ = histogram.record_n(size, times);
    }
}

impl Sizes {
    pub(crate) fn new() -> Self {
        Sizes {
            exact: vec![Exact::default(); EXACT as usize + 1],
            allocated: histogram(),
            freed: histogram(),
            bytes: histogram(),
            written: BTreeMap::new(),
        }
    }

    /// An allocation, or a reallocation to this size.
    #[inline]
    pub(crate) fn allocated(&mut self, size: u64) {
        match self.exact.get_mut(size as usize) {
            Some(entry) => entry.allocated += 1,
            None => {
                record(&mut self.allocated, size, 1);
                record(&mut self.bytes, size, size);
            }
        }
    }

    /// A block of this size is not live any more.
    #[inline]
    pub(crate) fn freed(&mut self, size: u64) {
        match self.exact.get_mut(size as usize) {
            Some(entry) => entry.freed += 1,
            None => record(&mut self.freed, size, 1),
        }
    }

    /// A block of this size was allocated and freed.
    #[inline]
    pub(crate) fn brief(&mut self, size: u64) {
        match self.exact.get_mut(size as usize) {
            Some(entry) => {
                entry.allocated += 1;
                entry.freed += 1;
            }
            None => {
                self.allocated(size);
                self.freed(size);
            }
        }
    }

    /// Puts other counts in the place of all: rows of size, number, bytes; what is live is not known.
    pub(crate) fn replace(&mut self, rows: &[(u64, u64, u64)]) {
        let written = core::mem::take(&mut self.written);
        *self = Sizes::new();
        self.written = written;
        for &(size, count, bytes) in rows {
            match self.exact.get_mut(size as usize) {
                Some(entry) => {
                    *entry = Exact {
                        allocated: count,
                        freed: count,
                    }
                }
                None => {
                    record(&mut self.allocated, size, count);
                    record(&mut self.freed, size, count);
                    record(&mut self.bytes, size, bytes);
                }
            }
        }
    }

    /// All buckets that are not empty.
    pub(crate) fn buckets(&self) -> Vec<SizeBucket> {
        let mut buckets: Vec<SizeBucket> = self
            .exact
            .iter()
            .zip(0u64..)
            .filter(|(entry, _)| entry.allocated > 0)
            .map(|(entry, size)| SizeBucket {
                from: size,
                to: size,
                allocations: entry.allocated,
                requested_bytes: size * entry.allocated,
                live_blocks: entry.allocated.saturating_sub(entry.freed),
            })
            .collect();
        let (Some(allocated), Some(freed), Some(bytes)) =
            (&self.allocated, &self.freed, &self.bytes)
        else {
            return buckets;
        };
        for value in allocated.iter_recorded() {
            let at = value.value_iterated_to();
            let allocations = value.count_at_value();
            buckets.push(SizeBucket {
                from: allocated.lowest_equivalent(at).max(EXACT + 1),
                to: allocated.highest_equivalent(at),
                allocations,
                requested_bytes: bytes.count_at(at),
                live_blocks: allocations.saturating_sub(freed.count_at(at)),
            });
        }
        buckets
    }

    /// The buckets that changed since this was last asked.
    pub(crate) fn changed(&mut self) -> Vec<SizeBucket> {
        let buckets = self.buckets();
        let written = &mut self.written;
        buckets
            .into_iter()
            .filter(|bucket| written.insert(bucket.from, *bucket) != Some(*bucket))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_sizes_are_exact_and_large_ones_within_a_percent() {
        let mut sizes = Sizes::new();
        for size in [0, 1, 1, 1024, 1025, 1_000_003, 1_000_003] {
            sizes.allocated(size);
        }
        sizes.freed(1);
        sizes.freed(1_000_003);
        let buckets = sizes.changed();
        let rows: Vec<_> = buckets
            .iter()
            .map(|bucket| {
                (
                    bucket.allocations,
                    bucket.requested_bytes,
                    bucket.live_blocks,
                )
            })
            .collect();
        assert_eq!(
            rows,
            [
                (1, 0, 1),
                (2, 2, 1),
                (1, 1024, 1),
                (1, 1025, 1),
                (2, 2_000_006, 1)
            ]
        );
        let large = buckets.last().expect("five");
        assert!(large.from <= 1_000_003 && 1_000_003 <= large.to);
        assert!((large.to - large.from) * 100 <= large.from, "{large:?}");
        assert!(buckets.windows(2).all(|pair| pair[0].to < pair[1].from));
    }

    #[test]
    fn only_changes_are_handed_out() {
        let mut sizes = Sizes::new();
        sizes.allocated(5);
        sizes.allocated(5000);
        assert_eq!(sizes.changed().len(), 2);
        assert_eq!(sizes.changed(), []);
        sizes.freed(5);
        assert_eq!(sizes.changed().len(), 1);
    }

    #[test]
    fn the_largest_size_there_can_be_is_counted() {
        let mut sizes = Sizes::new();
        sizes.allocated(u64::MAX >> 1);
        assert_eq!(sizes.changed().len(), 1);
    }
}
