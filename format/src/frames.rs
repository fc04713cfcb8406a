//! A capture, frame by frame: the payloads of one content, unpacked and checked. Frames of other contents are skipped.
//!
//! Holds one frame in memory (twice, where it is packed), and reserves no memory on the word of a length.

use std::io::{self, Read};

use crate::body::Malformed;
use crate::frame::{
    self, Codec, Content, FILE_HEADER_BYTES, FRAME_HEADER_BYTES, check_file_header,
    read_frame_header, unpack,
};
use crate::{FormatError, MAGIC};

/// The frames of a capture.
#[derive(Debug)]
pub(crate) struct Frames<R> {
    reader: R,
    wanted: Content,
    began: bool,
    /// Bytes of the file read so far.
    offset: u64,
    /// Where the current frame begins.
    frame_offset: u64,
    /// Payload of the current frame.
    payload: Vec<u8>,
    /// The same as it is stored, when it is packed.
    stored: Vec<u8>,
}

impl<R: Read> Frames<R> {
    /// The frames of that content in the capture that `reader` gives from its first byte.
    pub(crate) fn new(reader: R, wanted: Content) -> Frames<R> {
        Frames {
            reader,
            wanted,
            began: false,
            offset: 0,
            frame_offset: 0,
            payload: Vec::new(),
            stored: Vec::new(),
        }
    }

    /// Bytes of the file read so far.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Payload of the current frame; empty before the first.
    pub(crate) fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// Gives the memory of the current frame back.
    pub(crate) fn forget(&mut self) {
        self.payload = Vec::new();
        self.stored = Vec::new();
    }

    /// The error about what begins `at` in the payload.
    pub(crate) fn malformed(&self, at: usize, tag: u8, why: Malformed) -> FormatError {
        FormatError::Record {
            offset: self.frame_offset + (FRAME_HEADER_BYTES + at) as u64,
            tag,
            expected: why.expected,
            found: why.found,
        }
    }

    /// Reads the next frame of the content wanted; `false` at the end of the file.
    ///
    /// # Errors
    /// All of [`FormatError`] but those of records.
    pub(crate) fn advance(&mut self) -> Result<bool, FormatError> {
        if !self.began {
            self.read_file_header()?;
            self.began = true;
        }
        while let Some(content) = self.read_frame()? {
            if content == Some(self.wanted) {
                return Ok(true);
            }
        }
        self.payload.clear();
        Ok(false)
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

    /// Reads the next frame, and says what it holds (`None`: something that this version does not know). Unpacks it if that is wanted.
    #[expect(clippy::option_option, reason = "no frame; a frame of unknown content")]
    fn read_frame(&mut self) -> Result<Option<Option<Content>>, FormatError> {
        let frame_offset = self.offset;
        let mut header = [0; FRAME_HEADER_BYTES];
        let found_bytes = self.fill(&mut header)?;
        if found_bytes == 0 {
            return Ok(None);
        }
        if found_bytes < FRAME_HEADER_BYTES {
            return Err(truncated(frame_offset, FRAME_HEADER_BYTES, found_bytes));
        }
        let expected = read_frame_header(frame_offset, &header)?;

        self.frame_offset = frame_offset;
        self.payload.clear();
        self.stored.clear();
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
        if expected.content == Some(self.wanted) && expected.codec == Codec::Lz4 {
            unpack(frame_offset, &self.stored, &mut self.payload)?;
        }
        Ok(Some(expected.content))
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

fn truncated(offset: u64, expected_bytes: usize, found_bytes: usize) -> FormatError {
    FormatError::Truncated {
        offset,
        expected_bytes: expected_bytes as u64,
        found_bytes: found_bytes as u64,
    }
}
