//! Payloads to frames: packed, where that makes them smaller.

use lz4_flex::block::{CompressTable, compress_into_with_table, get_maximum_output_size};

use crate::frame::{Codec, Content, FRAME_HEADER_BYTES, MOST_UNPACKED_TIMES, frame_header};

/// A smaller payload is not worth packing.
const FEWEST_PACKED_BYTES: usize = 64;

/// Appends a frame with that payload.
pub(crate) fn push_frame(
    content: Content,
    payload: &[u8],
    table: &mut CompressTable,
    frames: &mut Vec<u8>,
) {
    let begin = frames.len();
    let stored = begin + FRAME_HEADER_BYTES;
    let codec = 'packed: {
        if payload.len() < FEWEST_PACKED_BYTES {
            break 'packed Codec::None;
        }
        let length = (payload.len() as u32).to_le_bytes();
        let room = length.len() + get_maximum_output_size(payload.len());
        frames.resize(stored + room, 0);
        let (prefix, packed) = frames[stored..].split_at_mut(length.len());
        prefix.copy_from_slice(&length);
        match compress_into_with_table(payload, packed, table) {
            Ok(bytes)
                if length.len() + bytes < payload.len()
                    && bytes * MOST_UNPACKED_TIMES >= payload.len() =>
            {
                frames.truncate(stored + length.len() + bytes);
                Codec::Lz4
            }
            _ => Codec::None,
        }
    };
    if codec == Codec::None {
        frames.truncate(begin);
        frames.resize(stored, 0);
        frames.extend_from_slice(payload);
    }
    if let Some((header, payload)) = frames[begin..].split_first_chunk_mut() {
        *header = frame_header(codec, content, payload);
    }
}
