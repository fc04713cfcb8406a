//! What is counted for a site.
//!
//! Invariant: summed over the sites of a domain, `allocations − frees = live_blocks`; a site's own live numbers follow the
//! blocks that it sized last.

use pytrace_format::record::Counters;

use super::peak::{AtPeak, PeakNumber};
use crate::counts::Sum;

/// One row of counters.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) allocations: u64,
    pub(crate) reallocations: u64,
    pub(crate) frees: u64,
    pub(crate) requested_bytes: u64,
    pub(crate) served_bytes: u64,
    pub(crate) live_blocks: u64,
    live_bytes: AtPeak,
    pub(crate) temporary: u64,
}

impl Tally {
    /// The row of a domain that was only counted: no bytes are known to be live. Frees of blocks from before the tracing
    /// are among the frees.
    pub(crate) fn counted(sum: &Sum) -> Tally {
        Tally {
            allocations: sum.births,
            reallocations: sum.resizes,
            frees: sum.deaths,
            requested_bytes: sum.requested_bytes,
            served_bytes: sum.served_bytes,
            live_blocks: sum.births.saturating_sub(sum.deaths),
            ..Tally::default()
        }
    }

    /// Whether the live bytes were others at the peak.
    pub(crate) fn differs_from_peak(&self, peak: PeakNumber) -> bool {
        self.live_bytes.at(peak) != self.live_bytes.now()
    }

    /// A block was born.
    #[inline(always)]
    pub(crate) fn birth(&mut self, size: u64, served: u64, peak: PeakNumber) {
        self.allocations += 1;
        self.asked(size, served);
        self.enter(size, peak);
    }

    /// A block was freed.
    #[inline(always)]
    pub(crate) fn death(&mut self, size: u64, peak: PeakNumber) {
        self.frees += 1;
        self.leave(size, peak);
    }

    /// A block was born and freed at once.
    #[inline(always)]
    pub(crate) fn brief(&mut self, size: u64, served: u64) {
        self.allocations += 1;
        self.frees += 1;
        self.temporary += 1;
        self.asked(size, served);
    }

    /// Bytes were asked for.
    #[inline(always)]
    pub(crate) fn asked(&mut self, size: u64, served: u64) {
        self.requested_bytes = self.requested_bytes.wrapping_add(size);
        self.served_bytes = self.served_bytes.wrapping_add(served);
    }

    /// A block becomes live here.
    #[inline(always)]
    pub(crate) fn enter(&mut self, size: u64, peak: PeakNumber) {
        self.live_blocks += 1;
        self.live_bytes.add(size, peak);
    }

    /// A block stops being live here.
    #[inline(always)]
    pub(crate) fn leave(&mut self, size: u64, peak: PeakNumber) {
        self.live_blocks = self.live_blocks.saturating_sub(1);
        self.live_bytes.subtract(size, peak);
    }

    /// Bytes leave a block that stays live (part of a mapping was unmapped).
    pub(crate) fn shrink(&mut self, bytes: u64, peak: PeakNumber) {
        self.live_bytes.subtract(bytes, peak);
    }

    /// Adds this row to a sum.
    pub(crate) fn add_to(&self, sum: &mut Counters, peak: PeakNumber) {
        let row = self.record(peak);
        sum.allocations += row.allocations;
        sum.reallocations += row.reallocations;
        sum.frees += row.frees;
        sum.requested_bytes = sum.requested_bytes.wrapping_add(row.requested_bytes);
        sum.served_bytes = sum.served_bytes.wrapping_add(row.served_bytes);
        sum.live_blocks += row.live_blocks;
        sum.live_bytes += row.live_bytes;
        sum.peak_bytes += row.peak_bytes;
        sum.temporary_allocations += row.temporary_allocations;
    }

    /// As the capture says it.
    pub(crate) fn record(&self, peak: PeakNumber) -> Counters {
        Counters {
            allocations: self.allocations,
            reallocations: self.reallocations,
            frees: self.frees,
            requested_bytes: self.requested_bytes,
            served_bytes: self.served_bytes,
            live_blocks: self.live_blocks,
            live_bytes: self.live_bytes.now(),
            peak_bytes: self.live_bytes.at(peak),
            temporary_allocations: self.temporary,
        }
    }
}
