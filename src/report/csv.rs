//! Comma-separated values (RFC 4180, but for lines that end with a line feed alone): a heading, then a line for each row.
//!
//! Invariant: a line of the file is a row of the table, and no cell is a formula to a spreadsheet. Control characters are
//! written as Python escapes; a text that a spreadsheet would calculate gets a `'` in front.

use std::io::{self, Write};

use pytrace_model::text::escape_name;

use super::Report;
use super::flat::{self, COLUMNS, Cell};
use super::stacks::Collapsed;

/// Writes the rows.
pub fn write(report: &Report<'_>, mut out: impl Write) -> io::Result<()> {
    let names: Vec<_> = COLUMNS.iter().map(|(name, _)| *name).collect();
    writeln!(out, "{}", names.join(","))?;
    let model = &report.capture.model;
    let mut texts = Collapsed::of(model);
    for row in flat::rows(report) {
        for (at, cell) in flat::cells(model, &mut texts, &row).iter().enumerate() {
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
