//! The summary: one screen that says what was traced, how exact it is, and where the memory went.
//!
//! The traced process prints it at exit, `pytrace report` on demand, from the same model. Invariant: no line is wider
//! than [`Style::width`], and nothing of the traced program is printed unescaped.

mod arenas;
mod domains;
mod headline;
mod histogram;
mod lines;
mod screen;
mod shown;
mod sites;

use core::fmt;

use pytrace_format::record::Shutdown;

use crate::Model;
use crate::origin::Origins;
use crate::text::{count, escape_name, shell_word, size};
use screen::{Screen, Tone};

/// Narrowest width that is drawn for.
pub const MIN_WIDTH: usize = 40;

/// How the summary is drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Style {
    /// Columns; fewer than [`MIN_WIDTH`] count as that.
    pub width: usize,
    /// Whether the terminal's colours may be used.
    pub colour: bool,
    /// Call sites listed.
    pub top: usize,
    /// Path of the capture, for the last lines; without it there are none.
    pub footer: Option<String>,
}

impl Default for Style {
    fn default() -> Style {
        Style {
            width: 100,
            colour: false,
            top: 10,
            footer: None,
        }
    }
}

/// Writes the summary.
///
/// # Errors
/// Those of `out`.
pub fn render(model: &Model, style: &Style, out: &mut impl fmt::Write) -> fmt::Result {
    render_body(model, style, out)?;
    render_end(model, style, out)
}

/// Writes the summary but for its end: what is known when the program has ended.
///
/// # Errors
/// Those of `out`.
pub fn render_body(model: &Model, style: &Style, out: &mut impl fmt::Write) -> fmt::Result {
    let mut screen = Screen::new(out, style.width.max(MIN_WIDTH), style.colour);
    headline::draw(model, &mut screen)?;
    domains::draw(model, &mut screen)?;
    histogram::draw(model, &mut screen)?;
    arenas::draw(model, &mut screen)?;
    if !model.has_live_table() {
        screen.blank()?;
        let text =
            "mode counts does not tell where: mode sites has call sites, live bytes and peak";
        return screen.flow(Tone::Dim, "", &[text.to_owned()]);
    }
    let origins = Origins::of(model);
    lines::draw(model, &origins, style.top.div_ceil(2), &mut screen)?;
    sites::draw(model, &origins, style.top, &mut screen)
}

/// Writes the summary's end: what the interpreter's tear-down did (settings and `shutdown` of the model), and where the
/// capture is.
///
/// # Errors
/// Those of `out`.
pub fn render_end(model: &Model, style: &Style, out: &mut impl fmt::Write) -> fmt::Result {
    let mut screen = Screen::new(out, style.width.max(MIN_WIDTH), style.colour);
    draw_shutdown(model, &mut screen)?;
    if let Some(path) = &style.footer {
        draw_footer(path, &mut screen)?;
    }
    Ok(())
}

/// Writes what several captures add up to: how exact it is, the table by domain and the histogram.
///
/// # Errors
/// Those of `out`.
pub fn render_sums(model: &Model, style: &Style, out: &mut impl fmt::Write) -> fmt::Result {
    let mut screen = Screen::new(out, style.width.max(MIN_WIDTH), style.colour);
    headline::draw_quality(model, &mut screen)?;
    domains::draw(model, &mut screen)?;
    histogram::draw(model, &mut screen)
}

/// Writes the program's own lines, as the summary lists them, and nothing when there are none.
///
/// # Errors
/// Those of `out`.
pub fn render_lines(
    model: &Model,
    origins: &Origins,
    style: &Style,
    out: &mut impl fmt::Write,
) -> fmt::Result {
    let mut screen = Screen::new(out, style.width.max(MIN_WIDTH), style.colour);
    lines::draw(model, origins, style.top, &mut screen)
}

fn draw_shutdown<W: fmt::Write>(model: &Model, screen: &mut Screen<'_, W>) -> fmt::Result {
    let shutdown = &model.shutdown;
    if *shutdown == Shutdown::default() {
        return Ok(());
    }
    let not_counted = if model.hides_domains() {
        "not counted above, in all domains, while the interpreter tore down:"
    } else {
        "not counted above, while the interpreter tore down:"
    };
    screen.blank()?;
    screen.flow(
        Tone::Dim,
        "",
        &[
            not_counted.to_owned(),
            format!("{} allocations", count(shutdown.allocations)),
            format!("of {},", size(shutdown.requested_bytes)),
            format!("{} frees", count(shutdown.frees)),
        ],
    )
}

fn draw_footer<W: fmt::Write>(path: &str, screen: &mut Screen<'_, W>) -> fmt::Result {
    screen.blank()?;
    screen.hard_wrap(Tone::Plain, &format!("capture  {}", escape_name(path)))?;
    screen.hard_wrap(
        Tone::Strong,
        &format!("pytrace report {}", shell_word(path)),
    )
}
