//! Comma-separated values (RFC 4180, but for lines that end with a line feed alone): a heading, then a line for each row.
//!
//! Invariant: a line of the file is a row of the table, and no cell is a formula to a spreadsheet. Control characters are
//! written as Python escapes; a text that a spreadsheet would calculate gets a `'` in front.

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
    for row in rows {
        for (at, cell) in row.iter().enumerate() {
            if at > 0 {
                out.write_all(b",")?;
            }
            match cell {
                Cell::Text(text) => out.write_all(field(text).as_bytes())?,
                Cell::Number(number) => write!(out, "{number}")?,
                Cell::Nothing => {}
            }
        }
        writeln!(out)?;
    }
    Ok(())
}

/// A text as a field.
fn field(text: &str) -> String {
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
            (" +1", "\"' +1\""),
            ("＝1", "'＝1"),
            ("\t=1\r\n2", "\\t=1\\r\\n2"),
            ("\u{202e}x", "\\u202ex"),
        ] {
            assert_eq!(field(text), expected);
        }
    }
}
