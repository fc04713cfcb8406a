//! pymalloc: what its arenas hold, what of that is in use, and what keeps them from being returned.

use core::fmt;

use pytrace_format::record::{Allocator, Moment, Pymalloc, SizeClass};

use super::screen::{Screen, Tone, bar, padded};
use crate::Model;
use crate::text::{count, percent, size};

/// Size classes named as the most wasteful.
const CLASSES_NAMED: usize = 3;

/// Bins of the distribution of how full arenas are.
const FILL_BINS: usize = 10;

pub(super) fn draw<W: fmt::Write>(model: &Model, screen: &mut Screen<'_, W>) -> fmt::Result {
    let at_exit = model
        .pymalloc
        .get(&Moment::Exit)
        .or_else(|| model.pymalloc.get(&Moment::ExitByEvents));
    match (at_exit, instead(model.process.allocator)) {
        (Some(state), _) => draw_state(state, model.pymalloc.get(&Moment::Peak), screen),
        (None, Some(text)) => {
            screen.blank()?;
            screen.flow(Tone::Plain, &[text.to_owned()])
        }
        (None, None) => Ok(()),
    }
}

/// What there is where there are no arenas of pymalloc.
fn instead(allocator: Allocator) -> Option<&'static str> {
    match allocator {
        Allocator::Unknown => None,
        Allocator::Pymalloc | Allocator::PymallocDebug => {
            Some("pymalloc: the state of its arenas was not recorded")
        }
        Allocator::Malloc | Allocator::MallocDebug => {
            Some("no arenas of pymalloc: libc's malloc serves all blocks")
        }
        Allocator::Mimalloc | Allocator::MimallocDebug => {
            Some("no arenas of pymalloc: mimalloc serves the blocks of mem and object")
        }
    }
}

/// Bytes of blocks in use.
fn bytes_in_use(state: &Pymalloc) -> u64 {
    state.classes.iter().fold(0, |sum, class| {
        sum.saturating_add(bytes(class, class.blocks_in_use))
    })
}

fn bytes(class: &SizeClass, blocks: u64) -> u64 {
    u64::from(class.size).saturating_mul(blocks)
}

fn draw_state<W: fmt::Write>(
    state: &Pymalloc,
    at_peak: Option<&Pymalloc>,
    screen: &mut Screen<'_, W>,
) -> fmt::Result {
    let held = state.arenas.saturating_mul(state.arena_bytes);
    let used = bytes_in_use(state);
    screen.blank()?;
    screen.flow(
        Tone::Strong,
        &[
            format!(
                "pymalloc: {} arenas of {},",
                count(state.arenas),
                size(state.arena_bytes)
            ),
            format!("at most {},", count(state.arenas_peak)),
            format!("{} mapped in all,", count(state.arenas_allocated_total)),
            format!("{} returned", count(state.arenas_freed_total)),
        ],
    )?;

    let at_peak_text = at_peak.map_or_else(String::new, |peak| {
        let peak_held = peak.arenas.saturating_mul(peak.arena_bytes);
        let peak_used = bytes_in_use(peak);
        format!(" (at peak {} of {})", size(peak_used), size(peak_held))
    });
    let label = format!(
        "  in use {} of {}, {}{at_peak_text}",
        size(used),
        size(held),
        percent(used, held)
    );
    // On one line with its bar where that leaves the bar some length.
    let used_columns = crate::text::columns(&label) + 2;
    let beside = screen.width().saturating_sub(used_columns);
    let mut gauge = |width: usize, before: &str| {
        let filled = padded(&bar(used, held, width), width).replace(' ', "░");
        screen.line(&[(Tone::Plain, before), (Tone::Bar, &filled)])
    };
    if beside >= 20 {
        gauge(beside.min(40), &format!("{label}  "))?;
    } else {
        screen.flow(
            Tone::Plain,
            &label
                .split_inclusive(", ")
                .map(str::to_owned)
                .collect::<Vec<_>>(),
        )?;
    }

    draw_pools(state, at_peak, screen)?;
    draw_classes(state, screen)?;
    draw_fill(state, screen)
}

fn draw_pools<W: fmt::Write>(
    state: &Pymalloc,
    at_peak: Option<&Pymalloc>,
    screen: &mut Screen<'_, W>,
) -> fmt::Result {
    let mut said = vec![
        format!("  pools of {}:", size(state.pool_bytes)),
        format!("{} full,", count(state.pools_full)),
        format!("{} partial,", count(state.pools_partial)),
        format!("{} free", count(state.pools_free)),
    ];
    if let Some(peak) = at_peak {
        said.push(format!(
            "(at peak {}, {}, {})",
            count(peak.pools_full),
            count(peak.pools_partial),
            count(peak.pools_free)
        ));
    }
    screen.flow(Tone::Plain, &said)
}

fn draw_classes<W: fmt::Write>(state: &Pymalloc, screen: &mut Screen<'_, W>) -> fmt::Result {
    let mut wasteful: Vec<_> = state
        .classes
        .iter()
        .map(|class| (bytes(class, class.blocks_free), class))
        .filter(|&(free_bytes, _)| free_bytes > 0)
        .collect();
    if wasteful.is_empty() {
        return Ok(());
    }
    wasteful.sort_by_key(|&(free_bytes, class)| (core::cmp::Reverse(free_bytes), class.size));
    wasteful.truncate(CLASSES_NAMED);
    let mut said = vec!["  free in used pools, by block size:".to_owned()];
    let last = wasteful.len() - 1;
    for (index, (free_bytes, class)) in wasteful.into_iter().enumerate() {
        let blocks = class.blocks_in_use.saturating_add(class.blocks_free);
        let comma = if index < last { "," } else { "" };
        said.push(format!(
            "{} B {} ({} used){comma}",
            class.size,
            size(free_bytes),
            percent(class.blocks_in_use, blocks)
        ));
    }
    screen.flow(Tone::Plain, &said)
}

/// How full the arenas are: ten bins, and those that little keeps from being returned.
fn draw_fill<W: fmt::Write>(state: &Pymalloc, screen: &mut Screen<'_, W>) -> fmt::Result {
    const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    if state.arena_bytes_in_use.is_empty() || state.arena_bytes == 0 {
        return Ok(());
    }
    let mut bins = [0usize; FILL_BINS];
    for &in_use in &state.arena_bytes_in_use {
        let share = in_use as f64 / state.arena_bytes as f64;
        bins[((share * FILL_BINS as f64) as usize).min(FILL_BINS - 1)] += 1;
    }
    let highest = bins.iter().copied().max().unwrap_or(0).max(1);
    let chart: String = bins
        .iter()
        .map(|&arenas| match arenas {
            0 => '·',
            _ => LEVELS[(arenas * LEVELS.len()).div_ceil(highest) - 1],
        })
        .collect();
    let nearly_empty: Vec<u64> = state
        .arena_bytes_in_use
        .iter()
        .copied()
        .filter(|&in_use| in_use.saturating_mul(4) < state.arena_bytes)
        .collect();
    let mut said = vec![format!("  arenas by how full: empty |{chart}| full")];
    if !nearly_empty.is_empty() {
        let held = (nearly_empty.len() as u64).saturating_mul(state.arena_bytes);
        let used = nearly_empty
            .iter()
            .fold(0u64, |sum, &in_use| sum.saturating_add(in_use));
        said[0].push(',');
        said.push(format!(
            "{} less than a quarter:",
            count(nearly_empty.len() as u64)
        ));
        said.push(format!("{} in use hold {}", size(used), size(held)));
    }
    screen.flow(Tone::Plain, &said)
}
