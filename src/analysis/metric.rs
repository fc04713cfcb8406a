//! What rows are sorted by.

use pytrace_model::record::Counters;

/// A number of a call site (or a group of them) that reports can sort by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Metric {
    /// Bytes asked for.
    #[default]
    Allocated,
    /// Blocks born.
    Allocations,
    /// Bytes live at the end.
    Live,
    /// Bytes live at the peak of the total.
    Peak,
    /// Blocks freed before the same thread's next allocation.
    Temporary,
    /// Bytes set aside beyond what was asked for.
    Slack,
}

impl Metric {
    /// The number.
    pub fn of(self, counters: &Counters) -> u64 {
        match self {
            Metric::Allocated => counters.requested_bytes,
            Metric::Allocations => counters.allocations,
            Metric::Live => counters.live_bytes,
            Metric::Peak => counters.peak_bytes,
            Metric::Temporary => counters.temporary_allocations,
            Metric::Slack => counters
                .served_bytes
                .saturating_sub(counters.requested_bytes),
        }
    }

    /// The name that the command line and reports use.
    pub fn name(self) -> &'static str {
        match self {
            Metric::Allocated => "allocated",
            Metric::Allocations => "allocations",
            Metric::Live => "live",
            Metric::Peak => "peak",
            Metric::Temporary => "temporary",
            Metric::Slack => "slack",
        }
    }

    /// What the number says, for a heading.
    pub fn meaning(self) -> &'static str {
        match self {
            Metric::Allocated => "bytes asked for",
            Metric::Allocations => "allocations",
            Metric::Live => "bytes live at the end",
            Metric::Peak => "bytes live at the peak",
            Metric::Temporary => "allocations freed at once",
            Metric::Slack => "bytes set aside beyond what was asked for",
        }
    }

    /// Whether only a table of live blocks tells the number.
    pub fn needs_live_table(self) -> bool {
        matches!(self, Metric::Live | Metric::Peak | Metric::Temporary)
    }

    /// Whether the number counts bytes.
    pub fn is_bytes(self) -> bool {
        !matches!(self, Metric::Allocations | Metric::Temporary)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_metric_is_its_own_number() {
        let counters = Counters {
            allocations: 2,
            requested_bytes: 30,
            served_bytes: 37,
            live_bytes: 11,
            peak_bytes: 13,
            temporary_allocations: 3,
            ..Counters::default()
        };
        let all = [
            (Metric::Allocated, 30),
            (Metric::Allocations, 2),
            (Metric::Live, 11),
            (Metric::Peak, 13),
            (Metric::Temporary, 3),
            (Metric::Slack, 7),
        ];
        for (metric, expected) in all {
            assert_eq!(metric.of(&counters), expected, "{metric:?}");
        }
    }
}
