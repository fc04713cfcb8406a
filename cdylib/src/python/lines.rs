//! Line numbers of instructions, decoded from the three encodings that CPython has used.
//!
//! Sources: `Objects/lnotab_notes.txt` (3.8–3.10) and `Objects/locations.md`, `Objects/codeobject.c` (3.11+).

use super::layout::LineTable;

/// Where the reading of a line table has come to: what lies before it is not read again for instructions behind it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reached {
    /// Position in the table of the next entry.
    at: usize,
    /// Where that entry's range begins: bytes, or code units in a location table.
    start: i32,
    /// The line before it, as a difference from the first line.
    line: i32,
}

/// The line of the instruction at byte offset `offset`; `None` when the code has none there. `first_line` is
/// `co_firstlineno`, which also stands for an offset before the first instruction. `reached` is from an earlier call for the
/// same table, or new.
pub(crate) fn line_of(
    encoding: LineTable,
    table: &[u8],
    first_line: i32,
    offset: i32,
    reached: &mut Reached,
) -> Option<u32> {
    if offset < 0 {
        return u32::try_from(first_line).ok();
    }
    let wanted = match encoding {
        LineTable::Locations => offset / 2,
        _ => offset,
    };
    if wanted < reached.start {
        *reached = Reached::default();
    }
    let line = match encoding {
        LineTable::Lnotab => Some(lnotab(table, wanted, reached)),
        LineTable::Pairs => pairs(table, wanted, reached),
        LineTable::Locations => locations(table, wanted, reached),
    };
    u32::try_from(first_line.wrapping_add(line?)).ok()
}

/// `co_lnotab`: (address delta, signed line delta) pairs; an entry applies from its address on.
fn lnotab(table: &[u8], wanted: i32, reached: &mut Reached) -> i32 {
    while let Some(&[delta, lines]) = table.get(reached.at..reached.at + 2) {
        let address = reached.start + i32::from(delta);
        if address > wanted {
            break;
        }
        reached.start = address;
        reached.line = reached.line.wrapping_add(i32::from(lines as i8));
        reached.at += 2;
    }
    reached.line
}

/// PEP 626 pairs: (length of the range, signed line delta or −128 for "no line").
fn pairs(table: &[u8], wanted: i32, reached: &mut Reached) -> Option<i32> {
    while let Some(&[length, delta]) = table.get(reached.at..reached.at + 2) {
        let delta = delta as i8;
        let lines = match delta {
            i8::MIN => 0,
            delta => i32::from(delta),
        };
        let line = reached.line.wrapping_add(lines);
        let end = reached.start + i32::from(length);
        if wanted < end {
            return (delta != i8::MIN).then_some(line);
        }
        *reached = Reached {
            at: reached.at + 2,
            start: end,
            line,
        };
    }
    None
}

/// The location table: entries that begin with a byte whose top bit is set.
fn locations(table: &[u8], wanted: i32, reached: &mut Reached) -> Option<i32> {
    while let Some(&head) = table.get(reached.at) {
        let code = (head >> 3) & 15;
        let lines = match code {
            13 | 14 => signed_varint(table, reached.at + 1),
            10..=12 => i32::from(code) - 10,
            _ => 0,
        };
        let line = reached.line.wrapping_add(lines);
        let end = reached.start + i32::from(head & 7) + 1;
        if wanted < end {
            return (code != 15).then_some(line);
        }
        let mut at = reached.at + 1;
        while table.get(at).is_some_and(|byte| byte & 0x80 == 0) {
            at += 1;
        }
        *reached = Reached {
            at,
            start: end,
            line,
        };
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
        let line = |offset| {
            line_of(
                LineTable::Lnotab,
                &table,
                10,
                offset,
                &mut Reached::default(),
            )
        };
        assert_eq!(
            [line(-1), line(0), line(3), line(4), line(8), line(99)],
            [10, 10, 10, 12, 9, 9].map(Some)
        );
    }

    #[test]
    fn pairs_have_ranges_and_holes() {
        let table = [4, 0, 2, 0x80, 6, 3];
        let line = |offset| {
            line_of(
                LineTable::Pairs,
                &table,
                10,
                offset,
                &mut Reached::default(),
            )
        };
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
        let line = |unit: i32| {
            let reached = &mut Reached::default();
            line_of(LineTable::Locations, &table, 10, unit * 2, reached)
        };
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
                let reached = &mut Reached::default();
                line_of(encoding, &table, i32::MAX, i32::MAX, reached);
                // What was reached changes no answer, whichever was asked for before.
                let mut offset = seed as i32;
                for _ in 0..50 {
                    offset = offset.wrapping_mul(1_103_515_245).wrapping_add(12_345) & 127;
                    let anew = &mut Reached::default();
                    assert_eq!(
                        line_of(encoding, &table, 10, offset, reached),
                        line_of(encoding, &table, 10, offset, anew),
                    );
                }
            }
        }
    }
}
