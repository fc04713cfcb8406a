//! Records to bytes: batches them into frames that are ready for a single write.

use core::fmt;

use lz4_flex::block::CompressTable;

use crate::frame::{Content, MAX_FRAME_BYTES};
use crate::pack::push_frame;
use crate::record::Record;
use crate::run::{Kind, Run};
use crate::varint::MAX_VARINT_BYTES;
use crate::{body, varint};

/// A frame is closed when its payload reaches this size.
const FRAME_TARGET_BYTES: usize = 256 << 10;

/// A run is closed when its body reaches this size.
const RUN_TARGET_BYTES: usize = 64 << 10;

/// Longest body: with a full target and a run before it and its own tag and length, it still fits a frame.
const MAX_BODY_BYTES: usize =
    MAX_FRAME_BYTES - FRAME_TARGET_BYTES - 2 * RUN_TARGET_BYTES - 2 * (1 + MAX_VARINT_BYTES);

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
#[derive(Default)]
pub struct Encoder {
    /// Whole frames.
    frames: Vec<u8>,
    /// Payload of the open frame, but for the open run.
    payload: Vec<u8>,
    /// The run that the last records belong to.
    run: Option<Run>,
    /// The body of the open run, or of the record at hand: its length goes before it.
    body: Vec<u8>,
    /// Stack rows so far.
    stack_rows: u32,
    /// The packer's memory of one frame.
    table: CompressTable,
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder")
            .field("pending_bytes", &self.pending_bytes())
            .finish_non_exhaustive()
    }
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
        let Some(kind) = Kind::of(record) else {
            self.close_run();
            return self.push_alone(record);
        };
        if self.run.is_none_or(|run| run.kind != kind) {
            self.close_run();
            let run = Run::new(kind, self.stack_rows.wrapping_add(1));
            run.begin(&mut self.body);
            self.run = Some(run);
        }
        if let Some(run) = &mut self.run {
            run.put(record, &mut self.body);
        }
        if kind == Kind::Stacks {
            self.stack_rows = self.stack_rows.wrapping_add(1);
        }
        if self.body.len() >= RUN_TARGET_BYTES {
            self.close_run();
        }
        Ok(())
    }

    fn push_alone(&mut self, record: &Record) -> Result<(), RecordTooLarge> {
        let tag = body::put(record, &mut self.body);
        if self.body.len() > MAX_BODY_BYTES {
            let body_bytes = self.body.len();
            self.body = Vec::new();
            return Err(RecordTooLarge { body_bytes });
        }
        self.end_record(tag);
        Ok(())
    }

    fn close_run(&mut self) {
        if let Some(run) = self.run.take() {
            self.end_record(run.kind.tag());
        }
    }

    /// Moves the body at hand into the open frame.
    fn end_record(&mut self, tag: u8) {
        self.payload.push(tag);
        varint::put(self.body.len() as u64, &mut self.payload);
        self.payload.append(&mut self.body);
        if self.payload.len() >= FRAME_TARGET_BYTES {
            self.close_frame();
        }
    }

    /// Bytes gathered since the last [`clear`](Encoder::clear); those of the open frame are not packed yet.
    pub fn pending_bytes(&self) -> usize {
        self.frames.len() + self.payload.len() + self.body.len()
    }

    /// Closes the open frame and returns all frames since the last [`clear`](Encoder::clear), ready to be appended to
    /// the file; empty when there was no record.
    pub fn finish(&mut self) -> &[u8] {
        self.close_run();
        self.close_frame();
        &self.frames
    }

    /// Forgets all frames; their memory is kept for the next ones.
    pub fn clear(&mut self) {
        self.frames.clear();
        self.payload.clear();
        self.body.clear();
        self.run = None;
    }

    fn close_frame(&mut self) {
        if self.payload.is_empty() {
            return;
        }
        push_frame(
            Content::Records,
            &self.payload,
            &mut self.table,
            &mut self.frames,
        );
        self.payload.clear();
    }
}
