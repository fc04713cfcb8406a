//! Files with payloads of choice, whose checksums are right: what damage and fuzzers cannot reach by chance.

use lz4_flex::block::CompressTable;

use crate::file_header;
use crate::frame::Content;
use crate::pack::push_frame;

/// A capture whose frames have these payloads: the bytes are cut where two bytes `ff fe` stand, and the byte after them says what the
/// frame holds (odd: events).
pub fn file_of(bytes: &[u8]) -> Vec<u8> {
    let mut file = file_header().to_vec();
    let mut table = CompressTable::default();
    let (mut rest, mut content) = (bytes, Content::Records);
    loop {
        let cut = rest.windows(2).position(|pair| pair == [0xff, 0xfe]);
        let payload = &rest[..cut.unwrap_or(rest.len())];
        if !payload.is_empty() {
            push_frame(content, payload, &mut table, &mut file);
        }
        let Some(after) = cut.map(|at| &rest[at + 2..]) else {
            return file;
        };
        let Some((kind, after)) = after.split_first() else {
            return file;
        };
        content = if kind & 1 == 1 {
            Content::Events
        } else {
            Content::Records
        };
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Record;
    use crate::{Decoder, events};

    #[test]
    fn payloads_become_frames_of_their_content() {
        let bytes = [3, 2, 1, b'x', 0xff, 0xfe, 1, 4, 0xff, 0xfe, 0, 3, 1, 0];
        let file = file_of(&bytes);
        let records: Result<Vec<_>, _> = Decoder::new(&file[..]).collect();
        let strings = ["x", ""].map(|text| Record::String(text.to_string()));
        assert_eq!(records.unwrap(), strings);
        let events: Result<Vec<_>, _> = events::EventDecoder::new(&file[..]).collect();
        assert_eq!(events.unwrap()[0].change, events::Change::ResizeFailed);
    }
}
