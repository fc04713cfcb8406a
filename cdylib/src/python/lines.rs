//! Line numbers of instructions, decoded from the three encodings that CPython has used.
//!
//! Sources: `Objects/lnotab_notes.txt` (3.8–3.10) and `Objects/locations.md`, `Objects/codeobject.c` (3.11+).

use super::layout::LineTable;

/// The line of the instruction at byte offset `offset`; `None` when the code has none there. `first_line` is
/// `co_firstlineno`, which also stands for an offset before the first instruction.
pub(crate) fn line_of(
    encoding: LineTable,
    table: &[u8],
    first_line: i32,
    offset: i32,
) -> Option<u32> {
    if offset < 0 {
        return u32::try_from(first_line).ok();
    }
    let line = match encoding {
        LineTable::Lnotab => lnotab(table, first_line, offset),
        LineTable::Pairs => pairs(table, first_line, offset)?,
        LineTable::Locations => locations(table, first_line, offset)?,
    };
    u32::try_from(line).ok()
}

/// `co_lnotab`: (address delta, signed line delta) pairs; an entry applies from its address on.
fn lnotab(table: &[u8], first_line: i32, offset: i32) -> i32 {
    let mut address = 0;
    let mut line = first_line;
    for pair in table.chunks_exact(2) {
        address += i32::from(pair[0]);
        if address > offset {
            break;
        }
        line = line.wrapping_add(i32::from(pair[1] as i8));
    }
    line
}

/// PEP 626 pairs: (length of the range, signed line delta or −128 for "no line").
fn pairs(table: &[u8], first_line: i32, offset: i32) -> Option<i32> {
    let mut end = 0;
    let mut line = first_line;
    for pair in table.chunks_exact(2) {
        let delta = pair[1] as i8;
        if delta != i8::MIN {
            line = line.wrapping_add(i32::from(delta));
        }
        end += i32::from(pair[0]);
        if offset < end {
            return (delta != i8::MIN).then_some(line);
        }
    }
    None
}

/// The location table: entries that begin with a byte whose top bit is set.
fn locations(table: &[u8], first_line: i32, offset: i32) -> Option<i32> {
    let unit = offset / 2;
    let mut end = 0;
    let mut line = first_line;
    let mut at = 0;
    while let Some(&head) = table.get(at) {
        let code = (head >> 3) & 15;
        let length = i32::from(head & 7) + 1;
        match code {
            13 | 14 => line = line.wrapping_add(signed_varint(table, at + 1)),
            10..=12 => line = line.wrapping_add(i32::from(code) - 10),
            _ => {}
        }
        end += length;
        if unit < end {
            return (code != 15).then_some(line);
        }
        at += 1;
        while table.get(at).is_some_and(|byte| byte & 0x80 == 0) {
            at += 1;
        }
    }
    None
}

/// A signed varint of the location table: six bits a byte, the lowest bit of the value is the sign.
fn signed_varint(table: &[u8], mut at: usize) -> i32 {
    let mut value: u32 = 0;
    let mut shift = 0;
    while let Some(&byte) = table.get(at) {
        value |= u32::from(byte & 63).checked_shl(shift).unwrap_or(0);
        if byte & 64 == 0 {
            break;
        }
        shift += 6;
        at += 1;
    }
    let magnitude = (value >> 1) as i32;
    if value & 1 == 1 {
        -magnitude
    } else {
        magnitude
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lnotab_steps_forward_and_back() {
        // 0: line 10; 4: line 12; 8: line 9.
        let table = [4, 2, 4, 0xfd];
        let line = |offset| line_of(LineTable::Lnotab, &table, 10, offset);
        assert_eq!(
            [line(-1), line(0), line(3), line(4), line(8), line(99)],
            [10, 10, 10, 12, 9, 9].map(Some)
        );
    }

    #[test]
    fn pairs_have_ranges_and_holes() {
        let table = [4, 0, 2, 0x80, 6, 3];
        let line = |offset| line_of(LineTable::Pairs, &table, 10, offset);
        assert_eq!(line(0), Some(10));
        assert_eq!(line(4), None);
        assert_eq!(line(6), Some(13));
        assert_eq!(line(12), None);
    }

    #[test]
    fn locations_know_every_entry_kind() {
        let table = [
            0x80 | (11 << 3) | 1,
            0,
            0, // one line on: units 0–1 at first + 1
            0x80,
            0,                // short: unit 2, the same line
            0x80 | (15 << 3), // none: unit 3
            0x80 | (13 << 3) | 7,
            0x40 | 8,
            2, // no columns, +68: units 4–11
            0x80 | (14 << 3),
            3,
            0,
            1,
            1, // long, −1: unit 12
        ];
        let line = |unit: i32| line_of(LineTable::Locations, &table, 10, unit * 2);
        assert_eq!(line(0), Some(11));
        assert_eq!(line(2), Some(11));
        assert_eq!(line(3), None);
        assert_eq!(line(4), Some(11 + 68));
        assert_eq!(line(12), Some(11 + 68 - 1));
        assert_eq!(line(13), None);
        assert_eq!(line(-1), Some(10));
    }

    #[test]
    fn garbage_ends_without_harm() {
        for seed in 0u32..2000 {
            let table: Vec<u8> = (0..seed % 40)
                .map(|at| (seed.wrapping_mul(2_654_435_761).rotate_left(at) & 255) as u8)
                .collect();
            for encoding in [LineTable::Lnotab, LineTable::Pairs, LineTable::Locations] {
                line_of(encoding, &table, i32::MAX, i32::MAX);
            }
        }
    }
}
