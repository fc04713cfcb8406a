//! Collapsed stacks, one site a line: `outer;…;inner weight`, as flamegraph.pl, inferno and speedscope read them.
//!
//! Invariant: in a frame no `;` and no line break stands for itself.

use std::io::{self, Write};

use super::Report;
use super::stacks::{self, Collapsed};

/// Writes the sites that weigh something by the report's metric.
pub fn write(report: &Report<'_>, mut out: impl Write) -> io::Result<()> {
    let mut texts = Collapsed::of(&report.capture.model);
    for row in stacks::rows(report) {
        let weight = report.metric.of(&row.counters);
        if weight > 0 {
            writeln!(out, "{} {weight}", texts.text(row.stack))?;
        }
    }
    Ok(())
}
