//! Bytes to records: streams a capture frame by frame.
//!
//! Holds one frame in memory (twice, where it is packed), never panics, and reserves no memory on the word of a length. The first error
//! is the last item: what came before it stands.

use std::io::Read;

use crate::body::{self, Malformed};
use crate::frame::Content;
use crate::frames::Frames;
use crate::record::Record;
use crate::run::{Kind, Run};
use crate::{FormatError, varint};

/// Iterator over the records of a capture. A `&[u8]` reads as well as a file does; a file needs no buffering of its own.
///
/// ```
/// # use pytrace_format::{Decoder, Encoder, file_header, record::Record};
/// # let mut encoder = Encoder::new();
/// # encoder.push(&Record::String("main".into())).unwrap();
/// # let file = [&file_header()[..], encoder.finish()].concat();
/// for record in Decoder::new(file.as_slice()) {
///     match record {
///         Ok(record) => println!("{record:?}"),
///         Err(error) if error.is_truncation() => eprintln!("warning: {error}"),
///         Err(error) => return Err(error),
///     }
/// }
/// # Ok::<(), pytrace_format::FormatError>(())
/// ```
#[derive(Debug)]
pub struct Decoder<R> {
    frames: Frames<R>,
    /// Part of the current frame that was decoded.
    decoded: usize,
    /// The run whose rows are being decoded, and where in the payload it ends.
    run: Option<(Run, usize)>,
    ended: bool,
}

impl<R: Read> Decoder<R> {
    /// A decoder of the capture that `reader` gives from its first byte.
    pub fn new(reader: R) -> Decoder<R> {
        Decoder {
            frames: Frames::new(reader, Content::Records),
            decoded: 0,
            run: None,
            ended: false,
        }
    }

    /// Bytes of the file read so far.
    pub fn offset(&self) -> u64 {
        self.frames.offset()
    }

    fn next_record(&mut self) -> Result<Option<Record>, FormatError> {
        loop {
            while self.decoded < self.frames.payload().len() {
                let record = match self.run {
                    Some(_) => self.decode_row()?,
                    None => self.decode_record()?,
                };
                if let Some(record) = record {
                    return Ok(Some(record));
                }
            }
            self.decoded = 0;
            if !self.frames.advance()? {
                return Ok(None);
            }
        }
    }

    /// Decodes the next row of the open run.
    fn decode_row(&mut self) -> Result<Option<Record>, FormatError> {
        let Some((run, end)) = &mut self.run else {
            return Ok(None);
        };
        let row_at = self.decoded;
        let mut rest = &self.frames.payload()[row_at..*end];
        let (tag, row) = (run.kind.tag(), run.take(&mut rest));
        self.decoded = *end - rest.len();
        if rest.is_empty() {
            self.run = None;
        }
        row.map(Some)
            .map_err(|why| self.frames.malformed(row_at, tag, why))
    }

    /// Decodes the next record of the frame; `None` when it is a run, whose rows come next, or of a kind that this version does not know.
    fn decode_record(&mut self) -> Result<Option<Record>, FormatError> {
        let record_at = self.decoded;
        let payload = self.frames.payload();
        let tag = payload[record_at];
        let malformed = |why| self.frames.malformed(record_at, tag, why);
        let mut rest = &payload[record_at + 1..];
        let Some(length) = varint::take(&mut rest) else {
            return Err(malformed(Malformed {
                expected: "the length of the body as a varint",
                found: rest.len() as u64,
            }));
        };
        let body = usize::try_from(length)
            .ok()
            .and_then(|length| rest.split_at_checked(length));
        let Some((mut body, rest)) = body else {
            return Err(malformed(Malformed {
                expected: "a body within the frame",
                found: length,
            }));
        };
        let end = payload.len() - rest.len();
        let Some(kind) = Kind::of_tag(tag) else {
            let record = body::take(tag, body).map_err(malformed);
            self.decoded = end;
            return record;
        };
        let run = Run::take_beginning(kind, &mut body).map_err(malformed)?;
        self.run = (!body.is_empty()).then_some((run, end));
        self.decoded = end - body.len();
        Ok(None)
    }
}

impl<R: Read> Iterator for Decoder<R> {
    type Item = Result<Record, FormatError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let item = self.next_record().transpose();
        if !matches!(item, Some(Ok(_))) {
            self.ended = true;
            self.frames.forget();
        }
        item
    }
}
