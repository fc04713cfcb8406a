//! Comma-separated values (RFC 4180, but for lines that end with a line feed alone): a heading, then a line for each row.
//!
//! Invariant: a line of the file is a row of the table, and no cell is a formula to a spreadsheet. Control characters are
//! written as Python escapes; a text that a spreadsheet would calculate gets a `'` in front.

use std::borrow::Cow;
use std::io::{self, Write};

use pytrace_model::text::escape_name;

use super::Report;
use super::events::{EVENT_COLUMNS, EventRows};
use super::flat::{self, COLUMNS, Cell, Header};
use super::stacks::Collapsed;

/// Writes the rows of a report.
pub fn write(report: &Report<'_>, out: impl Write) -> io::Result<()> {
    let model = &report.capture.model;
    let mut texts = Collapsed::of(model);
    let rows = flat::rows(report).into_iter();
    let cells = rows.map(|row| flat::cells(model, &mut texts, &row));
    table(&COLUMNS, cells, out)
}

/// Writes the events of a capture; see [`EventRows`].
pub fn write_events(rows: &mut EventRows<'_>, out: impl Write) -> io::Result<()> {
    table(&EVENT_COLUMNS, std::iter::from_fn(|| rows.next_row()), out)
}

fn table(
    columns: &[Header],
    rows: impl Iterator<Item = Vec<Cell>>,
    mut out: impl Write,
) -> io::Result<()> {
    let names: Vec<_> = columns.iter().map(|(name, _)| *name).collect();
    writeln!(out, "{}", names.join(","))?;
    let mut line = Vec::new();
    for row in rows {
        line.clear();
        for (at, cell) in row.iter().enumerate() {
            if at > 0 {
                line.push(b',');
            }
            match cell {
                Cell::Text(text) => line.extend_from_slice(field(text).as_bytes()),
                Cell::Number(number) => write!(line, "{number}")?,
                Cell::Nothing => {}
            }
        }
        line.push(b'\n');
        out.write_all(&line)?;
    }
    Ok(())
}

/// A text as a field. Nearly all are what they are in the table: of a billion events each copy would count.
fn field(text: &str) -> Cow<'_, str> {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-<>() ".contains(byte);
    let begins_plainly =
        text.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '/');
    if begins_plainly && text.as_bytes().iter().all(is_plain) && !text.ends_with(' ') {
        return Cow::Borrowed(text);
    }
    let text = escape_name(text);
    // Full-width signs begin formulas, too, where the language is Japanese.
    let is_formula = text
        .trim_start()
        .starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']);
    let guard = if is_formula { "'" } else { "" };
    if text.contains([',', '"']) || text.starts_with(' ') || text.ends_with(' ') {
        format!("\"{guard}{}\"", text.replace('"', "\"\""))
    } else {
        format!("{guard}{text}")
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_texts_on_one_line() {
        for (text, expected) in [
            ("plain", "plain"),
            ("f(a, b)", "\"f(a, b)\""),
            ("say \"no\"", "\"say \"\"no\"\"\""),
            (
                "=HYPERLINK(\"x\",\"y\")",
                "\"'=HYPERLINK(\"\"x\"\",\"\"y\"\")\"",
            ),
            ("@SUM", "'@SUM"),
            ("-1", "'-1"),
            ("/a b.py", "/a b.py"),
            ("a.py ", "\"a.py \""),
            (" +1", "\"' +1\""),
            ("＝1", "'＝1"),
            ("\t=1\r\n2", "\\t=1\\r\\n2"),
            ("\u{202e}x", "\\u202ex"),
        ] {
            assert_eq!(field(text), expected);
        }
    }
}
