//! Strings as they may be printed: JSON may hold any character above 0x1f as it is, but a report may end on a terminal.

use std::io::{self, Write};

use pytrace_model::text::is_printed;
use serde::Serialize;
use serde_json::ser::Formatter;

/// Writes a document on a line of its own.
pub(crate) fn write_line(document: &impl Serialize, mut out: impl Write) -> io::Result<()> {
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, PlainStrings);
    document
        .serialize(&mut serializer)
        .map_err(io::Error::from)?;
    out.write_all(b"\n")
}

/// Compact JSON in which characters that control a terminal, are not seen or turn the direction of the text are escaped.
struct PlainStrings;

impl Formatter for PlainStrings {
    fn write_string_fragment<W>(&mut self, out: &mut W, fragment: &str) -> io::Result<()>
    where
        W: ?Sized + Write,
    {
        let mut written = 0;
        for (at, character) in fragment.char_indices() {
            // A page that a report is pasted into must not end there.
            let is_markup = character == '<' && fragment[at + 1..].starts_with(['/', '!']);
            if is_printed(character) && !is_markup {
                continue;
            }
            out.write_all(&fragment.as_bytes()[written..at])?;
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}")?;
            }
            written = at + character.len_utf8();
        }
        out.write_all(&fragment.as_bytes()[written..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_plain_and_mean_the_same() {
        let hostile = "<b></script><!--a\u{9b}\u{7f}\u{202e}\"\n\u{e0041}é漢🐍";
        let mut out = Vec::new();
        let mut serializer = serde_json::Serializer::with_formatter(&mut out, PlainStrings);
        hostile
            .serialize(&mut serializer)
            .expect("a vector takes it");
        let text = String::from_utf8(out).expect("JSON is UTF-8");
        assert_eq!(
            text,
            r#""<b>\u003c/script>\u003c!--a\u009b\u007f\u202e\"\n\udb40\udc41é漢🐍""#
        );
        assert_eq!(
            serde_json::from_str::<String>(&text).expect("it is JSON"),
            hostile
        );
    }
}
