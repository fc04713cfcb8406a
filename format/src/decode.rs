//! Bytes to records: streams a capture frame by frame.
//!
//! Holds one frame in memory (twice, where it is packed), never panics, and reserves no memory on the word of a length. The first error is the last
//! item: what came before it stands.

use std::io::{self, Read};

use crate::frame::{
    self, Codec, FILE_HEADER_BYTES, FRAME_HEADER_BYTES, check_file_header, read_frame_header,
    unpack,
};
use crate::record::Record;
use crate::run::{Kind, Run};
use crate::{FormatError, MAGIC, body, varint};

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
    reader: R,
    state: State,
    /// Bytes of the file read so far.
    offset: u64,
    /// Where the current frame begins.
    frame_offset: u64,
    /// Payload of the current frame.
    payload: Vec<u8>,
    /// The same as it is stored, when it is packed.
    stored: Vec<u8>,
    /// Part of it that was decoded.
    decoded: usize,
    /// The run whose rows are being decoded, and where in the payload it ends.
    run: Option<(Run, usize)>,
}

/// ```text
/// Header ──► Frames ──► Ended
///    └────────────────────▲     (any error)
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Header,
    Frames,
    Ended,
}

impl<R: Read> Decoder<R> {
    /// A decoder of the capture that `reader` gives from its first byte.
    pub fn new(reader: R) -> Decoder<R> {
        Decoder {
            reader,
            state: State::Header,
            offset: 0,
            frame_offset: 0,
            payload: Vec::new(),
            stored: Vec::new(),
            decoded: 0,
            run: None,
        }
    }

    /// Bytes of the file read so far.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    fn next_record(&mut self) -> Result<Option<Record>, FormatError> {
        if self.state == State::Header {
            self.read_file_header()?;
            self.state = State::Frames;
        }
        loop {
            while self.decoded < self.payload.len() {
                if let Some(record) = self.decode_record()? {
                    return Ok(Some(record));
                }
            }
            if !self.read_frame()? {
                return Ok(None);
            }
        }
    }

    fn read_file_header(&mut self) -> Result<(), FormatError> {
        let mut header = [0; FILE_HEADER_BYTES];
        let found_bytes = self.fill(&mut header)?;
        if found_bytes == 0 {
            return Err(FormatError::Empty);
        }
        if found_bytes < FILE_HEADER_BYTES {
            let shared = found_bytes.min(MAGIC.len());
            if header[..shared] != MAGIC[..shared] {
                return Err(FormatError::NotACapture {
                    found: header[..shared].to_vec(),
                });
            }
            return Err(truncated(0, FILE_HEADER_BYTES, found_bytes));
        }
        check_file_header(&header)
    }

    /// Reads the next frame; `false` at the end of the file.
    fn read_frame(&mut self) -> Result<bool, FormatError> {
        let frame_offset = self.offset;
        let mut header = [0; FRAME_HEADER_BYTES];
        let found_bytes = self.fill(&mut header)?;
        if found_bytes == 0 {
            return Ok(false);
        }
        if found_bytes < FRAME_HEADER_BYTES {
            return Err(truncated(frame_offset, FRAME_HEADER_BYTES, found_bytes));
        }
        let expected = read_frame_header(frame_offset, &header)?;

        self.frame_offset = frame_offset;
        self.payload.clear();
        self.stored.clear();
        self.decoded = 0;
        let stored = match expected.codec {
            Codec::None => &mut self.payload,
            Codec::Lz4 => &mut self.stored,
        };
        // Grows with the bytes that arrive, whatever the header claims.
        let result = (&mut self.reader)
            .take(expected.length_bytes as u64)
            .read_to_end(stored);
        let found_bytes = stored.len();
        self.offset += found_bytes as u64;
        if let Err(error) = result {
            return Err(FormatError::Io {
                offset: self.offset,
                error,
            });
        }
        if found_bytes < expected.length_bytes {
            return Err(truncated(
                frame_offset,
                FRAME_HEADER_BYTES + expected.length_bytes,
                FRAME_HEADER_BYTES + found_bytes,
            ));
        }
        frame::check_payload(frame_offset, expected.checksum, stored)?;
        if expected.codec == Codec::Lz4 {
            unpack(frame_offset, &self.stored, &mut self.payload)?;
        }
        Ok(true)
    }

    /// Decodes the next record of the frame; `None` when it is of a kind that this version does not know.
    fn decode_record(&mut self) -> Result<Option<Record>, FormatError> {
        if let Some((run, end)) = &mut self.run {
            let mut rest = &self.payload[self.decoded..*end];
            let row_at = self.decoded;
            let (kind, taken) = (run.kind, run.take(&mut rest));
            self.decoded = *end - rest.len();
            if rest.is_empty() {
                self.run = None;
            }
            return match taken {
                Ok(row) => Ok(Some(row)),
                Err(why) => Err(self.malformed(row_at, kind.tag(), why)),
            };
        }
        let record_at = self.decoded;
        let tag = self.payload[record_at];
        let mut rest = &self.payload[record_at + 1..];
        let Some(length) = varint::take(&mut rest) else {
            let found = rest.len() as u64;
            let expected = "the length of the body as a varint";
            return Err(self.malformed(record_at, tag, body::Malformed { expected, found }));
        };
        let body = usize::try_from(length)
            .ok()
            .and_then(|length| rest.split_at_checked(length));
        let Some((mut body, rest)) = body else {
            let expected = "a body within the frame";
            let found = length;
            return Err(self.malformed(record_at, tag, body::Malformed { expected, found }));
        };
        let end = self.payload.len() - rest.len();
        let Some(kind) = Kind::of_tag(tag) else {
            self.decoded = end;
            return body::take(tag, body).map_err(|why| self.malformed(record_at, tag, why));
        };
        match Run::take_beginning(kind, &mut body) {
            Ok(run) => self.run = (!body.is_empty()).then_some((run, end)),
            Err(why) => return Err(self.malformed(record_at, tag, why)),
        }
        self.decoded = end - body.len();
        Ok(None)
    }

    /// The error about a record that begins `at` in the payload.
    fn malformed(&self, at: usize, tag: u8, why: body::Malformed) -> FormatError {
        FormatError::Record {
            offset: self.frame_offset + (FRAME_HEADER_BYTES + at) as u64,
            tag,
            expected: why.expected,
            found: why.found,
        }
    }

    /// Reads until `into` is full or the file ends, and returns the bytes read.
    fn fill(&mut self, into: &mut [u8]) -> Result<usize, FormatError> {
        let mut filled = 0;
        while filled < into.len() {
            match self.reader.read(&mut into[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    return Err(FormatError::Io {
                        offset: self.offset + filled as u64,
                        error,
                    });
                }
            }
        }
        self.offset += filled as u64;
        Ok(filled)
    }
}

impl<R: Read> Iterator for Decoder<R> {
    type Item = Result<Record, FormatError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state == State::Ended {
            return None;
        }
        let item = self.next_record().transpose();
        if !matches!(item, Some(Ok(_))) {
            self.state = State::Ended;
            self.payload = Vec::new();
        }
        item
    }
}

fn truncated(offset: u64, expected_bytes: usize, found_bytes: usize) -> FormatError {
    FormatError::Truncated {
        offset,
        expected_bytes: expected_bytes as u64,
        found_bytes: found_bytes as u64,
    }
}
