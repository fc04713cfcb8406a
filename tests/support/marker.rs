//! `marker.py`: the smallest program whose allocations are known. Used where the question is whether anything is traced at all.

use super::installation::program;
use super::{Interpreter, Outcome, Report, Traced};

/// Blocks that it keeps by default, and the line that makes them.
pub(crate) const BLOCKS: u64 = 1009;
pub(crate) const LINE: u32 = 8;

/// Size of each block, as the program printed it.
#[track_caller]
pub(crate) fn block_bytes(outcome: &Outcome) -> u64 {
    let last = outcome.stdout.lines().last().unwrap_or_default();
    last.parse()
        .unwrap_or_else(|_| panic!("marker.py printed {last:?}\n--- stderr\n{}", outcome.stderr))
}

/// The report has the marker's line with exactly its blocks, all of them live.
#[track_caller]
pub(crate) fn assert_line_is_exact(report: &Report, block_bytes: u64) {
    let site = report.site_of_blocks("object", &program("marker.py"), LINE);
    assert_eq!(site.allocations, BLOCKS, "allocations of the marker");
    assert_eq!(site.live_blocks, BLOCKS, "live blocks of the marker");
    assert_eq!(
        site.requested_bytes,
        BLOCKS * block_bytes,
        "requested bytes of the marker"
    );
    assert_eq!(
        site.live_bytes,
        BLOCKS * block_bytes,
        "live bytes of the marker"
    );
    assert!(
        site.served_bytes >= site.requested_bytes,
        "served bytes of the marker"
    );
    assert_eq!(
        site.temporary_allocations, 0,
        "temporary blocks of the marker"
    );
    let peak = site.peak_bytes;
    assert!(peak <= site.live_bytes, "peak bytes of the marker: {peak}");
}

/// Two runs of the marker, one with twice the blocks: their histograms differ by exactly those. This needs no Python stacks.
#[track_caller]
pub(crate) fn assert_counted_exactly(
    interpreter: &Interpreter,
    prepare: impl Fn(Traced) -> Traced,
) {
    let measure = |blocks: u64| {
        let run = Traced::script(interpreter, "marker.py").argument(blocks.to_string());
        let outcome = prepare(run).run().success();
        let report = outcome.report();
        report.assert_exact();
        report.bucket("object", block_bytes(&outcome))
    };
    let (less, more) = (measure(BLOCKS), measure(2 * BLOCKS));
    assert_eq!(
        more.allocations - less.allocations,
        BLOCKS,
        "allocations of the marker's size"
    );
    assert_eq!(
        more.live_blocks - less.live_blocks,
        BLOCKS,
        "live blocks of the marker's size"
    );
}
