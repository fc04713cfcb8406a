//! How wide a text is on a terminal, and texts cut to a width.

use unicode_width::UnicodeWidthChar;

/// What stands for the part that was cut off.
const CUT: &str = "...";

/// Columns that the text takes. Characters are counted one by one, so it is never less than what a terminal takes.
pub fn columns(text: &str) -> usize {
    text.chars().map(width).sum()
}

/// The text with its end cut off, if it has to be.
pub fn cut_end(text: &str, limit: usize) -> String {
    if columns(text) <= limit {
        return text.to_owned();
    }
    let mark = mark(limit);
    let mut kept = String::new();
    let mut room = limit - mark.len();
    for character in text.chars() {
        let Some(left) = room.checked_sub(width(character)) else {
            break;
        };
        room = left;
        kept.push(character);
    }
    kept + mark
}

/// The text with its beginning cut off, if it has to be: for paths, whose end says most. A path loses whole folders
/// where that leaves something to read.
pub fn cut_start(text: &str, limit: usize) -> String {
    if columns(text) <= limit {
        return text.to_owned();
    }
    let mark = mark(limit);
    let mut room = limit - mark.len();
    let mut start = text.len();
    for (index, character) in text.char_indices().rev() {
        let Some(left) = room.checked_sub(width(character)) else {
            break;
        };
        room = left;
        start = index;
    }
    let kept = &text[start..];
    // The last component holds the name and often a line number: it is kept rather than a piece of a folder's name.
    let whole = kept.find('/').map_or(kept, |slash| &kept[slash..]);
    format!("{mark}{whole}")
}

fn mark(limit: usize) -> &'static str {
    &CUT[..CUT.len().min(limit)]
}

fn width(character: char) -> usize {
    character.width().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cut_texts_fit_and_say_that_they_are_cut() {
        for text in [
            "plain text",
            "漢字漢字漢字漢字",
            "a/b/c/d/e/f/g",
            "/home/ann/app.py:12",
        ] {
            for limit in 0..30 {
                for cut in [cut_end(text, limit), cut_start(text, limit)] {
                    assert!(columns(&cut) <= limit, "{cut:?} in {limit}");
                    assert_eq!(cut != text, columns(text) > limit);
                }
            }
        }
    }

    #[test]
    fn ends_of_paths_are_kept() {
        assert_eq!(cut_start("/home/ann/orders/app.py:12", 17), ".../app.py:12");
        assert_eq!(cut_start("averyveryverylongname.py:12", 10), "...e.py:12");
        assert_eq!(cut_end("Pipeline.normalise.<locals>.f", 12), "Pipeline....");
        assert_eq!(cut_end("漢字漢字", 6), "漢...");
    }
}
