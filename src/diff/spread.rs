//! A number in repeated runs, and when a change of it is called one.
//!
//! Rule: the ranges of the two sides do not overlap, and their medians are further apart than either side's own range is
//! wide. With one run on each side that is any difference at all.

use pytrace_model::record::Counters;

/// A number in the runs of one side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spread {
    /// The smallest.
    pub least: u64,
    /// The one in the middle; of two, the lower.
    pub median: u64,
    /// The largest.
    pub most: u64,
}

/// A number on both sides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// In the old runs.
    pub before: Spread,
    /// In the new ones.
    pub after: Spread,
}

/// Everything that is counted of one thing, in every run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Samples {
    /// A row for each of the old runs.
    pub before: Vec<Counters>,
    /// A row for each of the new ones.
    pub after: Vec<Counters>,
}

/// A counter: its name in reports, its value, and whether only a table of live blocks tells it.
pub struct Counted {
    /// The name that JSON uses.
    pub name: &'static str,
    /// The value.
    pub of: fn(&Counters) -> u64,
    /// Whether mode counts knows it.
    pub needs_live_table: bool,
}

/// Everything that is counted.
pub const COUNTED: [Counted; 9] = [
    counted("allocations", |counters| counters.allocations, false),
    counted("reallocations", |counters| counters.reallocations, false),
    counted("frees", |counters| counters.frees, false),
    counted(
        "requested_bytes",
        |counters| counters.requested_bytes,
        false,
    ),
    counted("served_bytes", |counters| counters.served_bytes, false),
    counted("live_blocks", |counters| counters.live_blocks, false),
    counted("live_bytes", |counters| counters.live_bytes, true),
    counted("peak_bytes", |counters| counters.peak_bytes, true),
    counted(
        "temporary_allocations",
        |counters| counters.temporary_allocations,
        true,
    ),
];

const fn counted(name: &'static str, of: fn(&Counters) -> u64, needs_live_table: bool) -> Counted {
    Counted {
        name,
        of,
        needs_live_table,
    }
}

impl Spread {
    /// The spread of some numbers; zeros for none.
    pub fn of(numbers: impl IntoIterator<Item = u64, IntoIter: ExactSizeIterator>) -> Spread {
        let mut numbers = numbers.into_iter();
        // Most often a side is one run, and there are a million rows.
        if numbers.len() == 1 {
            let only = numbers.next().unwrap_or(0);
            return Spread {
                least: only,
                median: only,
                most: only,
            };
        }
        let mut numbers: Vec<u64> = numbers.collect();
        numbers.sort_unstable();
        let (Some(&least), Some(&most)) = (numbers.first(), numbers.last()) else {
            return Spread::default();
        };
        Spread {
            least,
            median: numbers[(numbers.len() - 1) / 2],
            most,
        }
    }

    /// How far a run was from the median at most.
    pub fn farthest(self) -> u64 {
        (self.most - self.median).max(self.median - self.least)
    }

    fn width(self) -> u64 {
        self.most - self.least
    }
}

impl Change {
    /// From the old median to the new one.
    pub fn difference(self) -> i128 {
        i128::from(self.after.median) - i128::from(self.before.median)
    }

    /// Whether it is outside the runs' own spread.
    pub fn is_called(self) -> bool {
        let Change { before, after } = self;
        let overlap = before.least <= after.most && after.least <= before.most;
        let own = before.width().max(after.width());
        !overlap && self.difference().unsigned_abs() > u128::from(own)
    }
}

impl Samples {
    /// Nothing, in so many runs.
    pub fn zero(before: usize, after: usize) -> Samples {
        Samples {
            before: vec![Counters::default(); before],
            after: vec![Counters::default(); after],
        }
    }

    /// One number of it.
    pub fn change(&self, of: impl Fn(&Counters) -> u64) -> Change {
        Change {
            before: Spread::of(self.before.iter().map(&of)),
            after: Spread::of(self.after.iter().map(&of)),
        }
    }

    /// Whether any number of it changed, of those that are known.
    pub fn is_changed(&self, knows_live: bool) -> bool {
        let mut known = COUNTED
            .iter()
            .filter(|counted| knows_live || !counted.needs_live_table);
        known.any(|counted| self.change(counted.of).is_called())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(before: &[u64], after: &[u64]) -> Change {
        Change {
            before: Spread::of(before.to_vec()),
            after: Spread::of(after.to_vec()),
        }
    }

    #[test]
    fn one_run_each_is_exact() {
        assert!(change(&[7], &[8]).is_called());
        assert!(!change(&[7], &[7]).is_called());
        assert_eq!(change(&[9], &[7]).difference(), -2);
        let ends = change(&[u64::MAX], &[0]);
        assert_eq!(ends.difference(), -i128::from(u64::MAX));
    }

    #[test]
    fn a_change_is_outside_of_both_spreads() {
        let meet = change(&[0, 0, 10], &[10, 20, 20]);
        assert!(!meet.is_called(), "both were 10 once");
        assert!(
            !change(&[10, 20, 30], &[31, 32, 33]).is_called(),
            "12 is within 20"
        );
        assert!(change(&[10, 20, 30], &[41, 42, 43]).is_called());
        assert!(!change(&[5], &[5, 6]).is_called());
        assert_eq!(Spread::of(vec![4, 1, 3, 2]).median, 2);
        assert_eq!(Spread::of(vec![]), Spread::default());
    }
}
