//! pymalloc: what its arenas hold, what of that is in use, and what keeps them from being returned.

use core::fmt;

use pytrace_format::record::{Allocator, Moment, Pymalloc, SizeClass};

use super::screen::{Screen, Tone, bar, padded};
use crate::Model;
use crate::text::{columns, count, percent, size, whole_size};

/// Size classes named as the most wasteful.
const CLASSES_NAMED: usize = 3;

/// Longest bar, and the shortest that is drawn.
const BAR_WIDTH: usize = 40;
const MIN_BAR_WIDTH: usize = 8;

const INDENT: &str = "  ";

/// Bins of the distribution of how full arenas are.
const FILL_BINS: usize = 10;

pub(super) fn draw<W: fmt::Write>(model: &Model, screen: &mut Screen<'_, W>) -> fmt::Result {
    let at_exit = model
        .pymalloc
        .get(&Moment::Exit)
        .or_else(|| model.pymalloc.get(&Moment::ExitByEvents));
    match (at_exit, instead(model.process.allocator)) {
        (Some(state), _) => {
            // Without arenas there was no peak yet: tracing was paused.
            let at_peak = model.pymalloc.get(&Moment::Peak);
            draw_state(state, at_peak.filter(|peak| peak.arenas > 0), screen)
        }
        (None, Some(text)) => {
            screen.blank()?;
            screen.flow(Tone::Plain, "", &[text.to_owned()])
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
    screen.blank()?;
    screen.flow(
        Tone::Strong,
        "",
        &[
            "pymalloc:".to_owned(),
            format!(
                "{} arenas of {},",
                count(state.arenas),
                whole_size(state.arena_bytes)
            ),
            format!("at most {},", count(state.arenas_peak)),
            format!("{} mapped in all,", count(state.arenas_allocated_total)),
            format!("{} returned", count(state.arenas_freed_total)),
        ],
    )?;
    draw_gauge("at exit", state, screen)?;
    if let Some(peak) = at_peak {
        draw_gauge("at peak", peak, screen)?;
    }
    draw_pools(state, at_peak, screen)?;
    draw_classes(state, screen)?;
    let peak_fill = at_peak.map_or(&[][..], |peak| &peak.arena_bytes_in_use);
    draw_fill(
        "at exit",
        state.arena_bytes,
        &state.arena_bytes_in_use,
        screen,
    )?;
    draw_fill("at peak", state.arena_bytes, peak_fill, screen)
}

/// Bytes in use out of the bytes that the arenas hold, with a bar where there is room for one.
fn draw_gauge<W: fmt::Write>(
    when: &str,
    state: &Pymalloc,
    screen: &mut Screen<'_, W>,
) -> fmt::Result {
    let held = state.arenas.saturating_mul(state.arena_bytes);
    let used = bytes_in_use(state);
    let share = percent(used, held);
    let label = format!("{INDENT}{when}  {share:>5} in use  ");
    let text = format!("  {:>8} of {} held", size(used), size(held));
    let width = screen
        .width()
        .saturating_sub(columns(&label) + columns(&text))
        .min(BAR_WIDTH);
    if width < MIN_BAR_WIDTH {
        let text = format!("{INDENT}{when}  {} of {}, {share}", size(used), size(held));
        return screen.line(&[(Tone::Plain, &text)]);
    }
    let filled = padded(&bar(used, held, width), width).replace(' ', "░");
    screen.line(&[
        (Tone::Plain, &label),
        (Tone::Bar, &filled),
        (Tone::Plain, &text),
    ])
}

fn draw_pools<W: fmt::Write>(
    state: &Pymalloc,
    at_peak: Option<&Pymalloc>,
    screen: &mut Screen<'_, W>,
) -> fmt::Result {
    let mut said = vec![
        format!("pools of {}:", whole_size(state.pool_bytes)),
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
    screen.flow(Tone::Plain, INDENT, &said)
}

fn draw_classes<W: fmt::Write>(state: &Pymalloc, screen: &mut Screen<'_, W>) -> fmt::Result {
    let mut wasteful: Vec<_> = state
        .classes
        .iter()
        .map(|class| (bytes(class, class.blocks_free), class))
        .filter(|&(free_bytes, _)| free_bytes > 0)
        .collect();
    wasteful.sort_by_key(|&(free_bytes, class)| (core::cmp::Reverse(free_bytes), class.size));
    wasteful.truncate(CLASSES_NAMED);
    let Some(last) = wasteful.len().checked_sub(1) else {
        return Ok(());
    };
    let mut said = vec!["most free space by block size:".to_owned()];
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
    screen.flow(Tone::Plain, INDENT, &said)
}

/// How full the arenas are: ten bins, and those that little keeps from being returned.
fn draw_fill<W: fmt::Write>(
    when: &str,
    arena_bytes: u64,
    bytes_in_use: &[u64],
    screen: &mut Screen<'_, W>,
) -> fmt::Result {
    const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    if bytes_in_use.is_empty() || arena_bytes == 0 {
        return Ok(());
    }
    let mut bins = [0usize; FILL_BINS];
    for &in_use in bytes_in_use {
        let share = in_use as f64 / arena_bytes as f64;
        bins[((share * FILL_BINS as f64) as usize).min(FILL_BINS - 1)] += 1;
    }
    let highest = bins.iter().copied().max().unwrap_or(0).max(1);
    let level = |arenas: usize| match arenas {
        0 => ' ',
        _ => LEVELS[(arenas * LEVELS.len()).div_ceil(highest) - 1],
    };
    let chart: String = bins.into_iter().map(level).collect();
    let mut said = vec![format!("arenas {when}:"), format!("empty │{chart}│ full")];

    let nearly_empty = || {
        bytes_in_use
            .iter()
            .copied()
            .filter(|&in_use| in_use.saturating_mul(4) < arena_bytes)
    };
    let arenas = nearly_empty().count() as u64;
    if arenas > 0 {
        let used = nearly_empty().fold(0u64, u64::saturating_add);
        said[1].push(',');
        said.push(format!("{} under a quarter full:", count(arenas)));
        said.push(format!("{} in use", size(used)));
        said.push(format!("hold {}", size(arenas.saturating_mul(arena_bytes))));
    }
    screen.flow(Tone::Plain, INDENT, &said)
}
