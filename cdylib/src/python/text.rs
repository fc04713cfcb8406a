//! Python strings, read as memory.

use super::layout::Layout;

/// Longest name that is copied, characters. Longer ones (generated code) are cut.
const LONGEST: usize = 4096;

/// Reads a `str` object; `None` when it is not a compact string of a known kind.
///
/// # Safety
/// `string` points to an object that lives and is not being written; at least 64 bytes of it are readable.
pub(crate) unsafe fn read(layout: &Layout, string: *const u8) -> Option<String> {
    if string.is_null() {
        return None;
    }
    // SAFETY: the caller's promise; the data is read only after state and length were found plausible.
    unsafe {
        let state = string.add(layout.string_state).cast::<u32>().read();
        let length = string.add(layout.string_length).cast::<isize>().read();
        let length = usize::try_from(length).ok()?.min(LONGEST);
        let shift = layout.string_kind_shift;
        let kind = (state >> shift) & 7;
        let compact = state >> (shift + 3) & 1 == 1;
        let ascii = state >> (shift + 4) & 1 == 1;
        if !compact {
            return None;
        }
        let data = string.add(if ascii {
            layout.ascii_data
        } else {
            layout.compact_data
        });
        let character = |code: u32| char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
        match kind {
            1 => Some(
                (0..length)
                    .map(|at| char::from(data.add(at).read()))
                    .collect(),
            ),
            2 => Some(
                (0..length)
                    .map(|at| character(u32::from(data.cast::<u16>().add(at).read())))
                    .collect(),
            ),
            4 => Some(
                (0..length)
                    .map(|at| character(data.cast::<u32>().add(at).read()))
                    .collect(),
            ),
            _ => None,
        }
    }
}

/// How many bytes [`read`] reads of a string at most.
///
/// # Safety
/// 64 bytes can be read at `string`.
pub(crate) unsafe fn extent(layout: &Layout, string: *const u8) -> usize {
    // SAFETY: the caller's promise.
    let length = unsafe { string.add(layout.string_length).cast::<isize>().read() };
    let length = usize::try_from(length).unwrap_or(0).min(LONGEST);
    layout.compact_data + length * size_of::<u32>()
}

#[cfg(test)]
mod tests {
    use super::super::layout;
    use super::*;

    /// A string object of 3.11's shape.
    fn object(kind: u32, ascii: bool, data: &[u8], length: usize) -> Vec<u64> {
        let start = if ascii { 48 } else { 72 };
        let mut bytes = vec![0u8; (start + data.len() + 8).next_multiple_of(8).max(80)];
        bytes[16..24].copy_from_slice(&(length as u64).to_le_bytes());
        let state = kind << 2 | 1 << 5 | u32::from(ascii) << 6;
        bytes[32..36].copy_from_slice(&state.to_le_bytes());
        bytes[start..start + data.len()].copy_from_slice(data);
        bytes
            .chunks_exact(8)
            .map(|word| u64::from_le_bytes(word.try_into().expect("eight")))
            .collect()
    }

    fn read_object(object: &[u64]) -> Option<String> {
        let layout = layout::of_version(3, 11).expect("known");
        // SAFETY: a buffer of a string object's shape.
        unsafe { read(&layout, object.as_ptr().cast()) }
    }

    #[test]
    fn every_kind_is_transcoded() {
        assert_eq!(
            read_object(&object(1, true, b"name", 4)).as_deref(),
            Some("name")
        );
        assert_eq!(
            read_object(&object(1, false, &[0xe9], 1)).as_deref(),
            Some("é")
        );
        let two: Vec<u8> = [0x4e2du16, 0xd800]
            .iter()
            .flat_map(|unit| unit.to_le_bytes())
            .collect();
        assert_eq!(
            read_object(&object(2, false, &two, 2)).as_deref(),
            Some("中\u{fffd}")
        );
        let four: Vec<u8> = [0x1f40du32]
            .iter()
            .flat_map(|unit| unit.to_le_bytes())
            .collect();
        assert_eq!(
            read_object(&object(4, false, &four, 1)).as_deref(),
            Some("🐍")
        );
    }

    #[test]
    fn what_is_no_compact_string_is_refused() {
        assert!(read_object(&object(0, true, b"", 0)).is_none());
        assert!(read_object(&object(3, true, b"abc", 3)).is_none());
        assert!(read_object(&[0; 16]).is_none());
        assert!(
            read_object(&object(1, true, b"", usize::MAX)).is_none(),
            "negative length"
        );
    }
}
