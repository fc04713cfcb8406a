//! The top call sites: numbers in columns, and below them the useful part of the stack.
//!
//! Only the innermost frames are shown, so sites that differ further out are one here; `pytrace report` tells them
//! apart.

use core::cmp::Reverse;
use core::fmt;

use pytrace_format::ids::StackId;
use pytrace_format::record::{Counters, Frame};

use super::screen::{Screen, Tone};
use crate::Model;
use crate::group::{self, SiteGroup};
use crate::label;
use crate::text::{
    Column, Table, columns, compact_count, count, cut_end, cut_start, escape_name, percent, size,
};

/// Python frames shown of a stack.
const PYTHON_FRAMES: usize = 3;

/// Frames looked at in search of them.
const MAX_FRAMES_SEARCHED: usize = 200;

const COLUMNS: [Column; 8] = [
    Column::right("share", 0),
    Column::right("requested", 0),
    Column::right("count", 0),
    Column::right("mean", 5),
    Column::right("live", 2),
    Column::right("peak", 1),
    Column::right("temp", 4),
    Column::left("domain", 3),
];

const INDENT: &str = "       ";

pub(super) fn draw<W: fmt::Write>(
    model: &Model,
    top: usize,
    screen: &mut Screen<'_, W>,
) -> fmt::Result {
    if top == 0 || !super::has_live_bytes(model) || model.sites.is_empty() {
        return Ok(());
    }
    let identities = group::frame_identities(model);
    let mut groups = group::by_key(model, |stack| {
        ShownStack::find(model, stack).key(&identities)
    });
    groups.sort_by_key(|group| {
        let counters = &group.counters;
        (
            Reverse(counters.requested_bytes),
            Reverse(counters.allocations),
            group.stack,
        )
    });
    let all_bytes = groups.iter().fold(0u64, |sum, group| {
        sum.saturating_add(group.counters.requested_bytes)
    });
    let listed = &groups[..groups.len().min(top)];

    screen.heading(&match groups.len() {
        all if all > listed.len() => {
            format!(
                "top call sites by bytes requested ({} of {})",
                listed.len(),
                count(all as u64)
            )
        }
        _ => "call sites by bytes requested".to_owned(),
    })?;
    let lines = table(listed, all_bytes, screen.width()).lines(screen.width());
    let (headings, rows) = lines
        .split_first()
        .map_or(("", &[][..]), |(first, rest)| (first, rest));
    let table_width = lines.iter().map(|line| columns(line)).max().unwrap_or(0);
    screen.line(&[(Tone::Dim, headings)])?;
    for (row, group) in rows.iter().zip(listed) {
        draw_site(model, row, table_width, group, screen)?;
    }
    Ok(())
}

fn table(listed: &[SiteGroup], all_bytes: u64, width: usize) -> Table {
    let table_with = |format_count: fn(u64) -> String| {
        let mut table = Table::new(&COLUMNS);
        listed
            .iter()
            .for_each(|group| table.row(cells(group, all_bytes, format_count)));
        table
    };
    let exact = table_with(count);
    if exact.fits(width) {
        exact
    } else {
        table_with(compact_count)
    }
}

fn cells(group: &SiteGroup, all_bytes: u64, format_count: fn(u64) -> String) -> Vec<String> {
    let Counters {
        allocations,
        reallocations,
        requested_bytes,
        live_bytes,
        peak_bytes,
        temporary_allocations,
        ..
    } = group.counters;
    let calls = allocations.saturating_add(reallocations);
    vec![
        percent(requested_bytes, all_bytes),
        size(requested_bytes),
        format_count(calls),
        requested_bytes
            .checked_div(calls)
            .map_or("-".to_owned(), size),
        size(live_bytes),
        size(peak_bytes),
        percent(temporary_allocations, allocations),
        group.domain.name().to_owned(),
    ]
}

fn draw_site<W: fmt::Write>(
    model: &Model,
    row: &str,
    table_width: usize,
    group: &SiteGroup,
    screen: &mut Screen<'_, W>,
) -> fmt::Result {
    let stack = ShownStack::find(model, group.stack);
    let width = screen.width();
    let native = stack.native_text(model);
    // Behind the numbers where it fits, on a line of its own otherwise.
    let beside = width.saturating_sub(table_width + 2);
    if !native.is_empty() && columns(&native) <= beside {
        let padding = " ".repeat(table_width + 2 - columns(row));
        screen.line(&[
            (Tone::Plain, row),
            (Tone::Plain, &padding),
            (Tone::Plain, &native),
        ])?;
    } else {
        screen.line(&[(Tone::Plain, row)])?;
        if !native.is_empty() {
            let text = cut_end(&native, width - INDENT.len());
            screen.line(&[(Tone::Plain, INDENT), (Tone::Plain, &text)])?;
        }
    }
    if stack.python.is_empty() {
        return Ok(());
    }
    let (innermost, callers) = stack.python_text(model, width - INDENT.len());
    screen.line(&[
        (Tone::Plain, INDENT),
        (Tone::Strong, &innermost),
        (Tone::Dim, &callers),
    ])
}

/// The part of a stack that is shown.
struct ShownStack<'model> {
    native: Option<Shown<'model>>,
    /// Innermost first.
    python: Vec<Shown<'model>>,
}

#[derive(Clone, Copy)]
struct Shown<'model> {
    id: pytrace_format::ids::FrameId,
    frame: &'model Frame,
    /// One of a run of frames of the import machinery, which are shown as one.
    imports: bool,
}

impl<'model> ShownStack<'model> {
    fn find(model: &'model Model, stack: StackId) -> ShownStack<'model> {
        let mut native: Option<(Shown<'model>, bool)> = None;
        let mut python: Vec<Shown<'model>> = Vec::new();
        for (id, frame) in model.stack_frames(stack).take(MAX_FRAMES_SEARCHED) {
            match frame {
                Frame::Native { .. } if python.is_empty() => {
                    // The first that is not the allocator itself, or the allocator if there is nothing else.
                    let shown = Shown {
                        id,
                        frame,
                        imports: false,
                    };
                    let name = model.native_names.get(&id);
                    let allocator =
                        name.is_some_and(|name| label::is_allocator(model.string(name.function)));
                    if native.is_none_or(|(_, is_allocator)| is_allocator && !allocator) {
                        native = Some((shown, allocator));
                    }
                }
                Frame::Native { .. } => {}
                Frame::Python { file, .. } => {
                    let imports = label::is_import_machinery(model.string(*file));
                    if imports && python.last().is_some_and(|shown| shown.imports) {
                        continue;
                    }
                    if python.len() == PYTHON_FRAMES {
                        break;
                    }
                    python.push(Shown { id, frame, imports });
                }
            }
        }
        ShownStack {
            native: native.map(|(shown, _)| shown),
            python,
        }
    }

    /// Equal for stacks that are shown alike.
    fn key(&self, identities: &[u32]) -> [u32; PYTHON_FRAMES + 1] {
        const NONE: u32 = u32::MAX;
        const IMPORTS: u32 = u32::MAX - 1;
        let identity = |shown: &Shown<'_>| match shown.imports {
            true => IMPORTS,
            false => shown
                .id
                .index()
                .and_then(|row| identities.get(row))
                .copied()
                .unwrap_or(NONE),
        };
        let mut key = [NONE; PYTHON_FRAMES + 1];
        key[0] = self.native.as_ref().map_or(NONE, identity);
        for (part, shown) in key[1..].iter_mut().zip(&self.python) {
            *part = identity(shown);
        }
        key
    }

    /// `PyLong_New (libpython3.11.so)`; empty without a native frame.
    fn native_text(&self, model: &Model) -> String {
        let named = self
            .native
            .and_then(|shown| label::native(model, shown.id, shown.frame));
        match named {
            None => String::new(),
            Some((function, module)) if module.is_empty() => function,
            Some((function, module)) => format!("{function} ({module})"),
        }
    }

    /// The innermost frame, and as many of its callers as fit behind it.
    fn python_text(&self, model: &Model, width: usize) -> (String, String) {
        let Some((first, outer)) = self.python.split_first() else {
            return (String::new(), String::new());
        };
        let innermost = frame_text(model, first, width, false);
        let mut room = width - columns(&innermost);
        let mut callers = String::new();
        for shown in outer {
            let text = format!(" <- {}", frame_text(model, shown, usize::MAX, true));
            match room.checked_sub(columns(&text)) {
                Some(left) => {
                    callers.push_str(&text);
                    room = left;
                }
                None => break,
            }
        }
        (innermost, callers)
    }
}

/// `function  path:line`, shortened to `width`: the path from its start, then the function from its end.
fn frame_text(model: &Model, shown: &Shown<'_>, width: usize, file_only: bool) -> String {
    let Frame::Python {
        function,
        file,
        line,
    } = *shown.frame
    else {
        return String::new();
    };
    if shown.imports {
        return cut_end("(import)", width);
    }
    let function = escape_name(model.string(function));
    let mut path = label::source_path(model.string(file));
    if file_only && !path.starts_with('<') {
        path = path.rsplit('/').next().unwrap_or_default().to_owned();
    }
    let place = if line == 0 {
        path
    } else {
        format!("{path}:{line}")
    };
    let gap = if file_only { " " } else { "  " };
    let (function_width, place_width) = (columns(&function), columns(&place));
    if function_width + gap.len() + place_width <= width {
        return format!("{function}{gap}{place}");
    }
    // Each may use what the other leaves, and at least half.
    let room = width - gap.len();
    let function = cut_end(&function, (room / 2).max(room.saturating_sub(place_width)));
    let place = cut_start(&place, room - columns(&function));
    format!("{function}{gap}{place}")
}
