//! Records to bytes: batches them into frames that are ready for a single write.

use core::fmt;

use crate::frame::{FRAME_HEADER_BYTES, MAX_FRAME_BYTES, frame_header};
use crate::record::Record;
use crate::varint::MAX_VARINT_BYTES;
use crate::{body, varint};

/// A frame is closed when its payload reaches this size.
const FRAME_TARGET_BYTES: usize = 256 << 10;

/// Longest body: with a full target before it and its own tag and length, it still fits a frame.
const MAX_BODY_BYTES: usize = MAX_FRAME_BYTES - FRAME_TARGET_BYTES - 1 - MAX_VARINT_BYTES;

/// A record whose body no frame can hold. Strings are cut to [`MAX_STRING_BYTES`](crate::MAX_STRING_BYTES) instead, so
/// this takes lists of hundreds of thousands of items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordTooLarge {
    /// Length of the body.
    pub body_bytes: usize,
}

impl fmt::Display for RecordTooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a record of {} bytes does not fit a frame",
            self.body_bytes
        )
    }
}

impl core::error::Error for RecordTooLarge {}

/// Writes records into whole frames.
///
/// ```
/// # use pytrace_format::{Encoder, file_header, record::Record};
/// let mut file = file_header().to_vec();
/// let mut encoder = Encoder::new();
/// encoder.push(&Record::String("main".into()))?;
/// file.extend_from_slice(encoder.finish()); // one write
/// encoder.clear();
/// # assert_eq!(file.len(), 16 + 16 + 7);
/// # Ok::<(), pytrace_format::RecordTooLarge>(())
/// ```
#[derive(Debug, Default)]
pub struct Encoder {
    /// Whole frames, then the open one: room for its header, and its payload so far.
    bytes: Vec<u8>,
    /// Where the open frame begins; at the end of `bytes` when none is open.
    open: usize,
    /// The body of the record at hand: its length goes before it.
    body: Vec<u8>,
}

impl Encoder {
    /// An encoder without frames.
    pub fn new() -> Encoder {
        Encoder::default()
    }

    /// Adds a record.
    ///
    /// # Errors
    /// A record that no frame can hold; nothing is added then.
    pub fn push(&mut self, record: &Record) -> Result<(), RecordTooLarge> {
        self.body.clear();
        let tag = body::put(record, &mut self.body);
        if self.body.len() > MAX_BODY_BYTES {
            let body_bytes = self.body.len();
            self.body = Vec::new();
            return Err(RecordTooLarge { body_bytes });
        }
        if self.open == self.bytes.len() {
            self.bytes.resize(self.open + FRAME_HEADER_BYTES, 0);
        }
        self.bytes.push(tag);
        varint::put(self.body.len() as u64, &mut self.bytes);
        self.bytes.extend_from_slice(&self.body);
        if self.bytes.len() - self.open >= FRAME_TARGET_BYTES {
            self.close();
        }
        Ok(())
    }

    /// Bytes gathered since the last [`clear`](Encoder::clear).
    pub fn pending_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Closes the open frame and returns all frames since the last [`clear`](Encoder::clear), ready to be appended to
    /// the file; empty when there was no record.
    pub fn finish(&mut self) -> &[u8] {
        self.close();
        &self.bytes
    }

    /// Forgets all frames; their memory is kept for the next ones.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.open = 0;
    }

    fn close(&mut self) {
        if let Some((header, payload)) = self.bytes[self.open..].split_first_chunk_mut() {
            *header = frame_header(payload);
            self.open = self.bytes.len();
        }
    }
}
