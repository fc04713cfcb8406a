//! Names as they may be printed: a name of the traced program must not move the cursor, colour the terminal or turn
//! the direction of the text.

use core::fmt::Write;

/// The name with control characters, invisible ones and those that steer the direction of text written as Python
/// escapes (`\x1b`, `\u202e`).
pub fn escape_name(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len());
    for character in name.chars() {
        if is_printed(character) {
            escaped.push(character);
        } else {
            push_escape(character, &mut escaped);
        }
    }
    escaped
}

/// The path or argument as one word of a shell's command line, free of control characters.
pub fn shell_word(word: &str) -> String {
    let is_plain =
        |character: char| character.is_ascii_alphanumeric() || "/._-+=:,@%".contains(character);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    if word.chars().all(is_printed) {
        return format!("'{}'", word.replace('\'', r"'\''"));
    }
    let mut quoted = String::from("$'");
    for character in word.chars() {
        match character {
            '\'' | '\\' => quoted.extend(['\\', character]),
            _ if is_printed(character) => quoted.push(character),
            _ => push_escape(character, &mut quoted),
        }
    }
    quoted.push('\'');
    quoted
}

fn push_escape(character: char, out: &mut String) {
    let result = match u32::from(character) {
        0x0a => write!(out, "\\n"),
        0x0d => write!(out, "\\r"),
        0x09 => write!(out, "\\t"),
        // A shell takes \x80 for a byte, \u0080 for the character; Python reads both alike.
        code @ 0..0x80 => write!(out, "\\x{code:02x}"),
        code @ 0x80..0x1_0000 => write!(out, "\\u{code:04x}"),
        code => write!(out, "\\U{code:08x}"),
    };
    result.expect("writing to a String succeeds");
}

/// Whether a character is printed as it is: it is seen, controls nothing and leaves the direction of the text alone.
pub fn is_printed(character: char) -> bool {
    let steers_or_hides = matches!(
        u32::from(character),
        0x00ad // soft hyphen
            | 0x034f
            | 0x061c
            | 0x115f..=0x1160
            | 0x17b4..=0x17b5
            | 0x180b..=0x180f
            | 0x200b..=0x200f // zero width, direction marks
            | 0x2028..=0x202e // line and paragraph separators, direction
            | 0x2060..=0x206f
            | 0x3164
            | 0xfe00..=0xfe0f
            | 0xfeff
            | 0xffa0
            | 0xfff0..=0xffff
            | 0x1_d173..=0x1_d17a
            | 0xe_0000..=0xe_0fff // tags, variation selectors
    );
    let is_none = u32::from(character) & 0xfffe == 0xfffe;
    !character.is_control() && !steers_or_hides && !is_none
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_escaped() {
        for (name, escaped) in [
            ("plain-é漢🐍", "plain-é漢🐍"),
            ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
            ("two\r\nlines\t", r"two\r\nlines\t"),
            ("\u{9b}31m\u{7f}", r"\u009b31m\x7f"),
            ("a\u{202e}b\u{2066}c", r"a\u202eb\u2066c"),
            ("\u{200b}\u{feff}\u{e0041}", r"\u200b\ufeff\U000e0041"),
        ] {
            assert_eq!(escape_name(name), escaped);
        }
    }

    #[test]
    fn shell_words_mean_the_path() {
        for (word, quoted) in [
            ("pytrace-app.py-12.pytrace", "pytrace-app.py-12.pytrace"),
            ("/tmp/a b", "'/tmp/a b'"),
            ("it's", r"'it'\''s'"),
            ("", "''"),
            ("$(rm)", "'$(rm)'"),
            ("a\nb'c\\", r"$'a\nb\'c\\'"),
        ] {
            assert_eq!(shell_word(word), quoted);
        }
    }
}
