//! The format as its users see it.
//!
//! - `round_trip`: what is written is read back, for every kind of record and for random ones
//! - `damage`: files that are cut short, flipped, hostile or of another version
//! - `golden`: captures of earlier versions
//! - `arbitrary`: random records from a seed

mod arbitrary;
mod damage;
mod golden;
mod round_trip;

use pytrace_format::record::Record;
use pytrace_format::{Decoder, Encoder, FormatError, file_header};

/// A whole capture file, one frame.
fn file(records: &[Record]) -> Vec<u8> {
    let mut encoder = Encoder::new();
    for record in records {
        encoder.push(record).unwrap();
    }
    [&file_header()[..], encoder.finish()].concat()
}

/// A file with one frame of that payload, whose checksums are right.
fn file_with_payload(payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap();
    file_with_frame(0, length, payload)
}

/// The same with a codec and a length of choice.
fn file_with_frame(codec: u8, length: u32, payload: &[u8]) -> Vec<u8> {
    let mut header = vec![codec, 0, 0, 0];
    header.extend_from_slice(&length.to_le_bytes());
    header.extend_from_slice(&crc32fast::hash(payload).to_le_bytes());
    header.extend_from_slice(&crc32fast::hash(&header).to_le_bytes());
    [&file_header()[..], &header, payload].concat()
}

/// The records that can be read, and what ended the reading.
fn decode(file: &[u8]) -> (Vec<Record>, Option<FormatError>) {
    let mut records = Vec::new();
    for item in Decoder::new(file) {
        match item {
            Ok(record) => records.push(record),
            Err(error) => return (records, Some(error)),
        }
    }
    (records, None)
}
