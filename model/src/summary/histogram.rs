//! The size histogram: shares of allocations and of bytes by powers of two.

use core::fmt;

use pytrace_format::record::{Domain, Scope, SizeBucket};

use super::screen::{Screen, Tone, bar, padded, right};
use crate::Model;
use crate::sizes::{SizeStatistics, allocations, merged};
use crate::text::{columns, percent, size, whole_size};

/// Rows drawn at most; rows above 1 KiB span more powers of two where there would be more.
const MAX_ROWS: usize = 13;

/// Rows up to 1 KiB: 16, 32 … 1024.
const EXACT_ROWS: u32 = 7;

/// Longest bar: beyond it a wide terminal shows no more.
const MAX_BAR_WIDTH: usize = 40;

/// Columns of a share.
const SHARE_WIDTH: usize = 5;

#[derive(Clone, Debug, Default)]
struct Row {
    label: String,
    allocations: u64,
    requested_bytes: u64,
}

pub(super) fn draw<W: fmt::Write>(model: &Model, screen: &mut Screen<'_, W>) -> fmt::Result {
    // Like the total: one large mapping would drown everything else.
    let counted = || {
        model
            .sizes
            .values()
            .filter(|sizes| sizes.domain != Domain::Mmap)
    };
    let buckets = merged(counted());
    let max_size_bytes = counted()
        .map(|sizes| model.scope(Scope::Domain(sizes.domain)).max_size_bytes)
        .max()
        .unwrap_or(0);
    let Some(statistics) = SizeStatistics::of(&buckets, max_size_bytes) else {
        return Ok(());
    };
    let rows = rows(&buckets);
    let all_allocations = allocations(&buckets);
    let all_bytes = rows
        .iter()
        .fold(0u64, |sum, row| sum.saturating_add(row.requested_bytes));

    let label_width = rows
        .iter()
        .map(|row| columns(&row.label))
        .max()
        .unwrap_or(0)
        .max(5);
    let bar_width = (screen.width() - label_width - 2 * (SHARE_WIDTH + 3) - 1) / 2;
    let bar_width = bar_width.min(MAX_BAR_WIDTH);
    let largest = |of: fn(&Row) -> u64| rows.iter().map(of).max().unwrap_or(0);
    let most_allocations = largest(|row| row.allocations);
    let most_bytes = largest(|row| row.requested_bytes);

    let gap = "  ";
    screen.blank()?;
    let headings = [
        right("size", label_width),
        padded("allocations", SHARE_WIDTH + 1 + bar_width),
        "bytes".to_owned(),
    ];
    screen.line(&[(Tone::Dim, &headings.join(gap))])?;
    for row in &rows {
        let allocations_share = right(&percent(row.allocations, all_allocations), SHARE_WIDTH);
        let bytes_share = right(&percent(row.requested_bytes, all_bytes), SHARE_WIDTH);
        screen.line(&[
            (Tone::Plain, &right(&row.label, label_width)),
            (Tone::Plain, gap),
            (Tone::Plain, &allocations_share),
            (Tone::Plain, " "),
            (
                Tone::Bar,
                &padded(
                    &bar(row.allocations, most_allocations, bar_width),
                    bar_width,
                ),
            ),
            (Tone::Plain, gap),
            (Tone::Plain, &bytes_share),
            (Tone::Plain, " "),
            (Tone::Bar, &bar(row.requested_bytes, most_bytes, bar_width)),
        ])?;
    }
    screen.flow(
        Tone::Plain,
        "",
        &[
            format!("p50 {},", whole_size(statistics.p50)),
            format!("p90 {},", whole_size(statistics.p90)),
            format!("p99 {},", whole_size(statistics.p99)),
            format!("p99.9 {},", whole_size(statistics.p999)),
            format!("max {},", whole_size(statistics.max)),
            format!("mean {}", size(statistics.mean.round() as u64)),
        ],
    )
}

/// The power of two that a bucket's row is named by: sizes in (2^(n-1), 2^n] up to 1 KiB, where buckets are exact, and
/// in [2^(n-1), 2^n) above, where their bounds are powers of two themselves.
fn row_number(bucket: &SizeBucket) -> u32 {
    if bucket.from <= 1024 {
        bucket.from.max(16).next_power_of_two().ilog2()
    } else {
        bucket.from.ilog2() + 1
    }
}

/// The rows from the first that is not empty to the last.
fn rows(buckets: &[SizeBucket]) -> Vec<Row> {
    let numbers = || {
        buckets
            .iter()
            .filter(|bucket| bucket.allocations > 0)
            .map(row_number)
    };
    let (Some(first), Some(last)) = (numbers().min(), numbers().max()) else {
        return Vec::new();
    };
    // Powers of two of a row above 1 KiB: 1, 2, 4 …
    let exact_last = 3 + EXACT_ROWS;
    let exact = (exact_last + 1).saturating_sub(first) as usize;
    let above = last.saturating_sub(exact_last.max(first - 1));
    let room = MAX_ROWS.saturating_sub(exact).max(1) as u32;
    let step = above.div_ceil(room).max(1);

    let above_first = first.max(exact_last + 1);
    let bounds = |number: u32| match number.checked_sub(above_first) {
        None => (number, number),
        Some(beyond) => {
            let from = above_first + beyond / step * step;
            (from, (from + step - 1).min(last))
        }
    };
    let mut rows: Vec<Row> = Vec::new();
    let mut number = first;
    while number <= last {
        let (from, to) = bounds(number);
        let mut row = Row {
            label: label(from, to),
            ..Row::default()
        };
        for bucket in buckets
            .iter()
            .filter(|bucket| (from..=to).contains(&row_number(bucket)))
        {
            row.allocations = row.allocations.saturating_add(bucket.allocations);
            row.requested_bytes = row.requested_bytes.saturating_add(bucket.requested_bytes);
        }
        rows.push(row);
        number = to + 1;
    }
    rows
}

/// The sizes of the rows `from..=to`: `17-32 B`, `1-4 KiB`, `256 KiB-1 MiB`.
fn label(from: u32, to: u32) -> String {
    if to <= 10 {
        let lowest = if from <= 4 {
            0
        } else {
            (1u64 << (from - 1)) + 1
        };
        return format!("{lowest}-{} B", 1u64 << to);
    }
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let (low, high) = (from - 1, to);
    let unit = |power: u32| UNITS[(power / 10) as usize];
    let value = |power: u32| 1u32 << (power % 10);
    if low / 10 == high / 10 {
        format!("{}-{} {}", value(low), value(high), unit(low))
    } else if high.is_multiple_of(10) && low / 10 + 1 == high / 10 {
        format!("{}-1024 {}", value(low), unit(low))
    } else {
        format!(
            "{} {}-{} {}",
            value(low),
            unit(low),
            value(high),
            unit(high)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(from: u64) -> SizeBucket {
        SizeBucket {
            from,
            to: from,
            allocations: 1,
            requested_bytes: from,
            live_blocks: 0,
        }
    }

    fn labels(sizes: &[u64]) -> Vec<String> {
        let buckets: Vec<_> = sizes.iter().map(|&size| bucket(size)).collect();
        rows(&buckets)
            .iter()
            .map(|row| format!("{}: {}", row.label, row.allocations))
            .collect()
    }

    #[test]
    fn bounds_belong_to_the_row_they_name() {
        assert_eq!(
            labels(&[0, 1, 16, 17, 32, 33]),
            ["0-16 B: 3", "17-32 B: 2", "33-64 B: 1"]
        );
        assert_eq!(
            labels(&[512, 513, 1024, 1025, 2047, 2048]),
            ["257-512 B: 1", "513-1024 B: 2", "1-2 KiB: 2", "2-4 KiB: 1"]
        );
    }

    #[test]
    fn rows_stay_few_and_cover_everything() {
        let sizes: Vec<_> = (0..64).map(|power| 1u64 << power).collect();
        for first in 0..sizes.len() {
            for last in first..sizes.len() {
                let sizes = &sizes[first..=last];
                let buckets: Vec<_> = sizes.iter().map(|&size| bucket(size)).collect();
                let rows = rows(&buckets);
                assert!(rows.len() <= MAX_ROWS, "{first}..{last}: {}", rows.len());
                let counted: u64 = rows.iter().map(|row| row.allocations).sum();
                assert_eq!(counted, sizes.len() as u64);
                assert!(rows[0].allocations > 0 && rows[rows.len() - 1].allocations > 0);
            }
        }
    }

    #[test]
    fn labels_name_units_once_where_they_can() {
        for (from, to, text) in [
            (4, 4, "0-16 B"),
            (10, 10, "513-1024 B"),
            (11, 12, "1-4 KiB"),
            (20, 20, "512-1024 KiB"),
            (19, 22, "256 KiB-4 MiB"),
            (64, 64, "8-16 EiB"),
        ] {
            assert_eq!(label(from, to), text);
        }
    }
}
