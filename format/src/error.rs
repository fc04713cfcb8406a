//! Why a capture, or the rest of it, could not be read.

use core::fmt;
use std::io;

/// What was wrong, where, what was expected and what was found. Offsets count bytes from the start of the file.
#[derive(Debug)]
#[non_exhaustive]
pub enum FormatError {
    /// There is not a single byte.
    Empty,
    /// The file does not begin as a capture does.
    NotACapture {
        /// Its first bytes, at most eight.
        found: Vec<u8>,
    },
    /// The file ends inside the header or a frame: the writer was killed, still writes, or the disk was full. Everything before is
    /// good, and is a complete capture of an earlier moment.
    Truncated {
        /// Where the part that is cut short begins.
        offset: u64,
        /// Bytes that the part should have.
        expected_bytes: u64,
        /// Bytes that are there.
        found_bytes: u64,
    },
    /// Written by a later major version.
    UnsupportedVersion {
        /// Major version of the file.
        found: u16,
    },
    /// The bytes are not those that were written.
    Checksum {
        /// What does not check: `file header`, `frame header` or `frame`.
        part: &'static str,
        /// Where it begins.
        offset: u64,
        /// The checksum that the file states.
        expected: u32,
        /// The checksum of the bytes that are there.
        found: u32,
    },
    /// A frame is packed in a way that this version does not know.
    UnknownCodec {
        /// Where the frame begins.
        offset: u64,
        /// Its codec.
        found: u8,
    },
    /// A frame claims to be longer than any writer makes one.
    FrameTooLong {
        /// Where the frame begins.
        offset: u64,
        /// The length it claims.
        found_bytes: u64,
    },
    /// The payload of a frame does not unpack to what it claims.
    Unpackable {
        /// Where the frame begins.
        offset: u64,
        /// The length that it claims, or has.
        found_bytes: u64,
    },
    /// A record does not say what its kind says.
    Record {
        /// Where the record begins.
        offset: u64,
        /// Its tag.
        tag: u8,
        /// What was expected.
        expected: &'static str,
        /// The number found in its place.
        found: u64,
    },
    /// The file could not be read.
    Io {
        /// Where.
        offset: u64,
        /// Why.
        error: io::Error,
    },
}

impl FormatError {
    /// Whether the file is good as far as it goes, and merely ends early.
    pub fn is_truncation(&self) -> bool {
        matches!(self, FormatError::Truncated { .. })
    }
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FormatError::Empty => write!(f, "the file is empty: no capture was written to it"),
            FormatError::NotACapture { found } => {
                write!(f, "not a pytrace capture: expected it to begin with")?;
                hex(f, &crate::MAGIC)?;
                write!(f, ", found")?;
                hex(f, found)
            }
            FormatError::Truncated {
                offset,
                expected_bytes,
                found_bytes,
            } => write!(
                f,
                "the capture is cut short: at byte {offset} a part of {expected_bytes} bytes begins, {found_bytes} are there"
            ),
            FormatError::UnsupportedVersion { found } => write!(
                f,
                "the capture has format version {found}, this pytrace reads up to {}: use the pytrace that wrote it, or a later one",
                crate::VERSION_MAJOR
            ),
            FormatError::Checksum {
                part,
                offset,
                expected,
                found,
            } => write!(
                f,
                "the capture is damaged: the checksum of the {part} at byte {offset} should be {expected:08x}, is {found:08x}"
            ),
            FormatError::UnknownCodec { offset, found } => write!(
                f,
                "the frame at byte {offset} is packed with codec {found}, this pytrace knows 0 and 1: use a later one"
            ),
            FormatError::FrameTooLong {
                offset,
                found_bytes,
            } => write!(
                f,
                "the frame at byte {offset} claims {found_bytes} bytes, expected at most {}",
                crate::MAX_FRAME_BYTES
            ),
            FormatError::Unpackable {
                offset,
                found_bytes,
            } => write!(
                f,
                "the capture is damaged: the frame at byte {offset} does not unpack to {found_bytes} bytes"
            ),
            FormatError::Record {
                offset,
                tag,
                expected,
                found,
            } => write!(
                f,
                "the record at byte {offset} (tag {tag}) is malformed: expected {expected}, found {found}"
            ),
            FormatError::Io { offset, error } => {
                write!(f, "the capture cannot be read at byte {offset}: {error}")
            }
        }
    }
}

impl core::error::Error for FormatError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            FormatError::Io { error, .. } => Some(error),
            _ => None,
        }
    }
}

fn hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, " {byte:02x}"))
}
