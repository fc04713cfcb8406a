//! Unsigned integers as LEB128: seven bits a byte, low bits first, the high bit set on all bytes but the last.

/// Longest varint: 64 bits in groups of seven.
pub(crate) const MAX_VARINT_BYTES: usize = 10;

/// Appends `value`.
pub(crate) fn put(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Takes a varint off the front of `bytes`; `None` when it is cut short or does not fit 64 bits.
pub(crate) fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for (index, &byte) in bytes.iter().take(MAX_VARINT_BYTES).enumerate() {
        let group = u64::from(byte & 0x7f);
        let shift = 7 * index as u32;
        if (group << shift) >> shift != group {
            return None;
        }
        value |= group << shift;
        if byte & 0x80 == 0 {
            *bytes = &bytes[index + 1..];
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_at_every_width() {
        for bits in 0..64 {
            for value in [1u64 << bits, (1u64 << bits) - 1, u64::MAX >> (63 - bits)] {
                let mut bytes = Vec::new();
                put(value, &mut bytes);
                assert!(bytes.len() <= MAX_VARINT_BYTES);
                let mut rest = bytes.as_slice();
                assert_eq!(take(&mut rest), Some(value));
                assert!(rest.is_empty());
            }
        }
    }

    #[test]
    fn cut_short_or_too_wide_is_none() {
        for bytes in [
            &[][..],
            &[0x80],
            &[0xff; 9],
            &[0xff; 10],
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02],
        ] {
            let mut rest = bytes;
            assert_eq!(take(&mut rest), None, "{bytes:x?}");
            assert_eq!(rest, bytes);
        }
    }
}
