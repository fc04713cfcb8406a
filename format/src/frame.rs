//! The file header and the header of a frame: magic, version, lengths and checksums.
//!
//! Both carry a checksum of themselves, so that a damaged length is told from a file that ends early.

use crate::FormatError;

/// First bytes of a capture. The first one is no text in any encoding that Python programs write.
pub const MAGIC: [u8; 8] = *b"\x89pytrace";

/// A reader refuses a file of a later major version. Bump it when old readers would misread a new file.
pub const VERSION_MAJOR: u16 = 1;

/// Bump it when records are added or bodies grow at their end.
pub const VERSION_MINOR: u16 = 0;

/// Length of the file header.
pub const FILE_HEADER_BYTES: usize = 16;

/// Length of a frame's header.
pub const FRAME_HEADER_BYTES: usize = 16;

/// Longest payload of a frame: what a reader holds in memory at once.
pub const MAX_FRAME_BYTES: usize = 16 << 20;

/// The payload is stored as it is.
const CODEC_NONE: u8 = 0;

/// The first bytes of every capture.
pub fn file_header() -> [u8; FILE_HEADER_BYTES] {
    let mut header = [0; FILE_HEADER_BYTES];
    header[..8].copy_from_slice(&MAGIC);
    header[8..10].copy_from_slice(&VERSION_MAJOR.to_le_bytes());
    header[10..12].copy_from_slice(&VERSION_MINOR.to_le_bytes());
    seal(&mut header);
    header
}

/// Checks the magic and the version.
pub(crate) fn check_file_header(header: &[u8; FILE_HEADER_BYTES]) -> Result<(), FormatError> {
    if header[..8] != MAGIC {
        return Err(FormatError::NotACapture {
            found: header[..8].to_vec(),
        });
    }
    check_seal("file header", 0, header)?;
    let major = u16::from_le_bytes([header[8], header[9]]);
    if major != VERSION_MAJOR {
        return Err(FormatError::UnsupportedVersion { found: major });
    }
    Ok(())
}

/// The header of a frame with that payload.
pub(crate) fn frame_header(payload: &[u8]) -> [u8; FRAME_HEADER_BYTES] {
    debug_assert!(payload.len() <= MAX_FRAME_BYTES);
    let mut header = [0; FRAME_HEADER_BYTES];
    header[0] = CODEC_NONE;
    header[4..8].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    header[8..12].copy_from_slice(&crc32fast::hash(payload).to_le_bytes());
    seal(&mut header);
    header
}

/// What the header of a frame says of its payload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Payload {
    pub(crate) length_bytes: usize,
    pub(crate) checksum: u32,
}

/// Reads the header of the frame at `offset`.
pub(crate) fn read_frame_header(
    offset: u64,
    header: &[u8; FRAME_HEADER_BYTES],
) -> Result<Payload, FormatError> {
    check_seal("frame header", offset, header)?;
    if header[0] != CODEC_NONE {
        return Err(FormatError::UnknownCodec {
            offset,
            found: header[0],
        });
    }
    let length_bytes = u32_at(header, 4) as usize;
    if length_bytes > MAX_FRAME_BYTES {
        return Err(FormatError::FrameTooLong {
            offset,
            found_bytes: length_bytes as u64,
        });
    }
    Ok(Payload {
        length_bytes,
        checksum: u32_at(header, 8),
    })
}

/// Checks the payload of the frame at `offset`.
pub(crate) fn check_payload(offset: u64, expected: u32, payload: &[u8]) -> Result<(), FormatError> {
    check("frame", offset, expected, crc32fast::hash(payload))
}

fn seal(header: &mut [u8; 16]) {
    let checksum = crc32fast::hash(&header[..12]);
    header[12..].copy_from_slice(&checksum.to_le_bytes());
}

fn check_seal(part: &'static str, offset: u64, header: &[u8; 16]) -> Result<(), FormatError> {
    check(
        part,
        offset,
        u32_at(header, 12),
        crc32fast::hash(&header[..12]),
    )
}

fn check(part: &'static str, offset: u64, expected: u32, found: u32) -> Result<(), FormatError> {
    if expected == found {
        Ok(())
    } else {
        Err(FormatError::Checksum {
            part,
            offset,
            expected,
            found,
        })
    }
}

fn u32_at(header: &[u8; 16], at: usize) -> u32 {
    u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
}
