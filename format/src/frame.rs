//! The file header and the header of a frame: magic, version, lengths and checksums.
//!
//! Both carry a checksum of themselves, so that a damaged length is told from a file that ends early.

use crate::FormatError;

/// First bytes of a capture. The first one is no text in any encoding that Python programs write.
pub const MAGIC: [u8; 8] = *b"\x89pytrace";

/// A reader refuses a file of a later major version. Bump it when old readers would misread a new file.
pub const VERSION_MAJOR: u16 = 2;

/// Bump it when records are added or bodies grow at their end.
pub const VERSION_MINOR: u16 = 0;

/// Length of the file header.
pub const FILE_HEADER_BYTES: usize = 16;

/// Length of a frame's header.
pub const FRAME_HEADER_BYTES: usize = 16;

/// Longest payload of a frame, packed or not: what a reader holds in memory at once.
pub const MAX_FRAME_BYTES: usize = 16 << 20;

/// How many times as long as its packed form a payload is at most. What packs better is stored as it is: so a small file
/// cannot unpack to much.
pub(crate) const MOST_UNPACKED_TIMES: usize = 16;

/// What a payload is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Content {
    /// Records.
    Records = 0,
    /// Steps of events.
    Events = 1,
}

/// How a payload is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Codec {
    /// As it is.
    None = 0,
    /// Its length, 4 bytes, and an LZ4 block.
    Lz4 = 1,
}

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
    if !(1..=VERSION_MAJOR).contains(&major) {
        return Err(FormatError::UnsupportedVersion { found: major });
    }
    Ok(())
}

/// The header of a frame whose payload is stored so.
pub(crate) fn frame_header(
    codec: Codec,
    content: Content,
    payload: &[u8],
) -> [u8; FRAME_HEADER_BYTES] {
    debug_assert!(payload.len() <= MAX_FRAME_BYTES);
    let mut header = [0; FRAME_HEADER_BYTES];
    header[0] = codec as u8;
    header[1] = content as u8;
    header[4..8].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    header[8..12].copy_from_slice(&crc32fast::hash(payload).to_le_bytes());
    seal(&mut header);
    header
}

/// What the header of a frame says of its payload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Payload {
    pub(crate) codec: Codec,
    /// `None`: what this version does not know.
    pub(crate) content: Option<Content>,
    pub(crate) length_bytes: usize,
    pub(crate) checksum: u32,
}

/// Reads the header of the frame at `offset`.
pub(crate) fn read_frame_header(
    offset: u64,
    header: &[u8; FRAME_HEADER_BYTES],
) -> Result<Payload, FormatError> {
    check_seal("frame header", offset, header)?;
    let codec = match header[0] {
        0 => Codec::None,
        1 => Codec::Lz4,
        found => return Err(FormatError::UnknownCodec { offset, found }),
    };
    let length_bytes = u32_at(header, 4) as usize;
    if length_bytes > MAX_FRAME_BYTES {
        return Err(FormatError::FrameTooLong {
            offset,
            found_bytes: length_bytes as u64,
        });
    }
    let content = match header[1] {
        0 => Some(Content::Records),
        1 => Some(Content::Events),
        _ => None,
    };
    Ok(Payload {
        codec,
        content,
        length_bytes,
        checksum: u32_at(header, 8),
    })
}

/// Checks the payload of the frame at `offset`.
pub(crate) fn check_payload(offset: u64, expected: u32, payload: &[u8]) -> Result<(), FormatError> {
    check("frame", offset, expected, crc32fast::hash(payload))
}

/// Unpacks the payload of the frame at `offset`.
pub(crate) fn unpack(offset: u64, stored: &[u8], payload: &mut Vec<u8>) -> Result<(), FormatError> {
    let unpackable = |found_bytes| FormatError::Unpackable {
        offset,
        found_bytes,
    };
    let (length, packed) = stored.split_first_chunk().ok_or(unpackable(0))?;
    let length = u32::from_le_bytes(*length) as usize;
    let most = MAX_FRAME_BYTES.min(packed.len().saturating_mul(MOST_UNPACKED_TIMES));
    if length > most {
        return Err(unpackable(length as u64));
    }
    payload.resize(length, 0);
    match lz4_flex::block::decompress_into(packed, payload) {
        Ok(unpacked) if unpacked == length => Ok(()),
        Ok(unpacked) => Err(unpackable(unpacked as u64)),
        Err(_) => Err(unpackable(length as u64)),
    }
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
