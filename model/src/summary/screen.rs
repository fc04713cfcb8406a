//! Lines on a screen of limited width.
//!
//! Invariant: every way of writing a line cuts or wraps it at the width; colour goes around texts that are cut already.

use core::fmt;

use crate::text::{columns, cut_end};

/// What a piece of a line is, and so how it is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    /// Headings and totals.
    Strong,
    /// What matters less.
    Dim,
    /// Bars.
    Bar,
    /// What makes the numbers doubtful.
    Warning,
}

impl Tone {
    /// Parameters of the terminal's "select graphic rendition".
    fn code(self) -> Option<&'static str> {
        match self {
            Tone::Plain => None,
            Tone::Strong => Some("1"),
            Tone::Dim => Some("2"),
            Tone::Bar => Some("36"),
            Tone::Warning => Some("33"),
        }
    }
}

/// Indent of lines that continue the one before.
const CONTINUED: &str = "  ";

pub(super) struct Screen<'out, W> {
    out: &'out mut W,
    width: usize,
    colour: bool,
}

impl<'out, W: fmt::Write> Screen<'out, W> {
    pub(super) fn new(out: &'out mut W, width: usize, colour: bool) -> Screen<'out, W> {
        Screen { out, width, colour }
    }

    pub(super) fn width(&self) -> usize {
        self.width
    }

    pub(super) fn blank(&mut self) -> fmt::Result {
        self.out.write_char('\n')
    }

    /// A line of pieces; what does not fit is cut off.
    pub(super) fn line(&mut self, pieces: &[(Tone, &str)]) -> fmt::Result {
        let last = pieces
            .iter()
            .rposition(|(_, text)| !text.trim_end().is_empty());
        let pieces = &pieces[..last.map_or(0, |last| last + 1)];
        let mut room = self.width;
        for (index, &(tone, text)) in pieces.iter().enumerate() {
            let text = if index + 1 == pieces.len() {
                text.trim_end()
            } else {
                text
            };
            let text = cut_end(text, room);
            room -= columns(&text);
            match tone.code() {
                Some(code) if self.colour && !text.trim().is_empty() => {
                    write!(self.out, "\x1b[{code}m{text}\x1b[0m")?;
                }
                _ => self.out.write_str(&text)?,
            }
        }
        self.blank()
    }

    /// A heading after an empty line.
    pub(super) fn heading(&mut self, text: &str) -> fmt::Result {
        self.blank()?;
        self.flow(Tone::Strong, "", &[text.to_owned()])
    }

    /// Pieces with a space between them, on as many lines as they need; a piece is broken at its spaces only when it
    /// does not fit a line of its own. Lines begin with `indent`, and deeper from the second on.
    pub(super) fn flow(&mut self, tone: Tone, indent: &str, pieces: &[String]) -> fmt::Result {
        let mut line = indent.to_owned();
        let mut is_begun = false;
        for piece in pieces {
            let room = self.width - indent.len() - CONTINUED.len();
            let words: Vec<&str> = if columns(piece) > room {
                piece.split(' ').collect()
            } else {
                vec![piece]
            };
            for word in words {
                if is_begun && columns(&line) + 1 + columns(word) > self.width {
                    self.line(&[(tone, &line)])?;
                    line = format!("{indent}{CONTINUED}");
                } else if is_begun {
                    line.push(' ');
                }
                line.push_str(word);
                is_begun = true;
            }
        }
        self.line(&[(tone, &line)])
    }

    /// A text that must stay whole to be of use, broken wherever a line ends.
    pub(super) fn hard_wrap(&mut self, tone: Tone, text: &str) -> fmt::Result {
        let mut line = String::new();
        let mut used = 0;
        for character in text.chars() {
            let width = columns(character.encode_utf8(&mut [0; 4]));
            if used + width > self.width {
                self.line(&[(tone, &line)])?;
                line.clear();
                used = 0;
            }
            line.push(character);
            used += width;
        }
        self.line(&[(tone, &line)])
    }
}

/// A bar of `part` out of `whole` that is at most `width` columns wide, in eighths of a column. Something is never nothing.
pub(super) fn bar(part: u64, whole: u64, width: usize) -> String {
    const EIGHTHS: [char; 7] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    if part == 0 || whole == 0 {
        return String::new();
    }
    let share = (part as f64 / whole as f64).min(1.0);
    let eighths = ((share * (width * 8) as f64).round() as usize).clamp(1, (width * 8).max(1));
    let mut bar: String = core::iter::repeat_n('█', eighths / 8).collect();
    if let Some(rest) = (eighths % 8).checked_sub(1) {
        bar.push(EIGHTHS[rest]);
    }
    bar
}

/// The text followed by spaces up to `width` columns.
pub(super) fn padded(text: &str, width: usize) -> String {
    let padding = width.saturating_sub(columns(text));
    text.chars()
        .chain(core::iter::repeat_n(' ', padding))
        .collect()
}

/// The text preceded by spaces up to `width` columns.
pub(super) fn right(text: &str, width: usize) -> String {
    let padding = width.saturating_sub(columns(text));
    core::iter::repeat_n(' ', padding)
        .chain(text.chars())
        .collect()
}
