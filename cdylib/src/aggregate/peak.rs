//! What something was at the peak of the total, without a second pass.
//!
//! Every new maximum of the total gets a number. A counter copies its value, with the number of the peak it copied it
//! at, before its first change after a new maximum. So at any time: if its number is the current one, the copy is what
//! it was at the peak; if not, it has not changed since, and its value still is. O(1) per event.

/// Number of the latest maximum. 0: there was none yet.
pub(crate) type PeakNumber = u64;

/// A counter that knows its value at the peak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct AtPeak {
    now: u64,
    copy: u64,
    copied_at: PeakNumber,
}

impl AtPeak {
    /// The value now.
    #[inline(always)]
    pub(crate) fn now(&self) -> u64 {
        self.now
    }

    /// The value at the peak with this number, the latest one.
    pub(crate) fn at(&self, peak: PeakNumber) -> u64 {
        if self.copied_at == peak {
            self.copy
        } else {
            self.now
        }
    }

    #[inline(always)]
    fn keep(&mut self, peak: PeakNumber) {
        if self.copied_at != peak {
            self.copy = self.now;
            self.copied_at = peak;
        }
    }

    #[inline(always)]
    pub(crate) fn add(&mut self, amount: u64, peak: PeakNumber) {
        self.keep(peak);
        self.now = self.now.wrapping_add(amount);
    }

    #[inline(always)]
    pub(crate) fn subtract(&mut self, amount: u64, peak: PeakNumber) {
        self.keep(peak);
        self.now = self.now.saturating_sub(amount);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_at_the_maximum_is_kept_whatever_comes_after() {
        let mut counters = [AtPeak::default(); 4];
        let (mut total, mut most, mut peak) = (0u64, 0, 0);
        let mut truth = [0; 4];
        let mut seed = 3u64;
        for _ in 0..20_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let which = (seed >> 60) as usize & 3;
            let amount = (seed >> 40) & 255;
            if seed >> 63 == 0 || counters[which].now() < amount {
                counters[which].add(amount, peak);
                total += amount;
            } else {
                counters[which].subtract(amount, peak);
                total -= amount;
            }
            if total > most {
                most = total;
                peak += 1;
                truth = counters.map(|counter| counter.now());
            }
            assert_eq!(counters.map(|counter| counter.at(peak)), truth);
        }
    }
}
