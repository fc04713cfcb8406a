//! The timeline as it is remembered, for a capture that is written anew.
//!
//! Invariant: bounded. The points are as far apart as the time that they cover needs: when there are too many, every second one
//! is dropped, and from then on only every second one of those that come is kept.

use pytrace_format::record::TimelinePoint;

/// Points that are remembered at most: one for every pixel of a wide screen.
const MOST_POINTS: usize = 4096;

/// The points so far.
#[derive(Default)]
pub(crate) struct Timeline {
    remembered: Vec<TimelinePoint>,
    /// Time of the last point that came.
    until_ns: Option<u64>,
    /// Points that came.
    seen: u64,
    /// How often points were dropped: of 2^halvings that come, the first is remembered.
    halvings: u32,
}

impl Timeline {
    /// Takes a point; false: there was one of this time or a later one already.
    pub(crate) fn push(&mut self, point: TimelinePoint) -> bool {
        if self.until_ns.is_some_and(|until| until >= point.at_ns) {
            return false;
        }
        self.until_ns = Some(point.at_ns);
        let number = self.seen;
        self.seen += 1;
        if number.is_multiple_of(1 << self.halvings) {
            if self.remembered.len() == MOST_POINTS {
                let mut numbers = 0..MOST_POINTS;
                self.remembered
                    .retain(|_| numbers.next().is_some_and(|number| number % 2 == 0));
                self.halvings += 1;
            }
            self.remembered.push(point);
        }
        true
    }

    /// The remembered points, by their time.
    pub(crate) fn remembered(&self) -> &[TimelinePoint] {
        &self.remembered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(at_ns: u64) -> TimelinePoint {
        TimelinePoint {
            at_ns,
            ..TimelinePoint::default()
        }
    }

    #[test]
    fn what_is_remembered_covers_all_the_time_evenly() {
        let mut timeline = Timeline::default();
        let times = |timeline: &Timeline| -> Vec<u64> {
            timeline
                .remembered()
                .iter()
                .map(|point| point.at_ns)
                .collect()
        };
        let most = MOST_POINTS as u64;
        assert!((0..most).all(|at_ns| timeline.push(at(at_ns))));
        assert_eq!(times(&timeline), Vec::from_iter(0..most));
        assert!((most..10 * most).all(|at_ns| timeline.push(at(at_ns))));
        let every_sixteenth = (0..10 * most).step_by(16);
        assert_eq!(times(&timeline), Vec::from_iter(every_sixteenth));
    }

    #[test]
    fn time_goes_on() {
        let mut timeline = Timeline::default();
        assert!(timeline.push(at(0)) && timeline.push(at(5)));
        assert!(!timeline.push(at(5)) && !timeline.push(at(4)));
        assert_eq!(timeline.remembered(), [at(0), at(5)]);
    }
}
