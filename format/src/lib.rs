//! The capture format of pytrace: what is in a `.pytrace` file, byte by byte.
//!
//! One traced process writes one file, front to back, and never goes back to change it. A reader needs one frame in
//! memory at a time. Whatever was written whole can be read, whether the process ended well, was killed, or still runs.
//!
//! [`record`] says what the records mean, this page how they are laid out; [`Encoder`] and [`Decoder`] do it.
//!
//! # File
//!
//! A header, then frames until the end of the file. Numbers of fixed width are little-endian. Checksums are CRC-32
//! (IEEE 802.3, as in gzip and PNG).
//!
//! | offset | bytes | file header |
//! |---|---|---|
//! | 0 | 8 | magic: `89 70 79 74 72 61 63 65` (`\x89pytrace`) |
//! | 8 | 2 | major version: 1 |
//! | 10 | 2 | minor version: 0 |
//! | 12 | 4 | checksum of the 12 bytes before |
//!
//! | offset | bytes | frame |
//! |---|---|---|
//! | 0 | 1 | codec: how the payload is packed; 0 = as it is, no other is defined |
//! | 1 | 3 | 0; a reader ignores them |
//! | 4 | 4 | length of the payload, at most 16 MiB |
//! | 8 | 4 | checksum of the payload |
//! | 12 | 4 | checksum of the 12 bytes before |
//! | 16 | length | payload: whole records, one after another |
//!
//! A frame is appended by a single write. A file that ends inside a frame was cut short there; its whole frames are a complete
//! capture of an earlier moment. A checksum that does not match is damage, and ends the reading too: rows are
//! numbered by counting, so nothing after a gap can be trusted.
//!
//! # Records
//!
//! | bytes | record |
//! |---|---|
//! | 1 | tag |
//! | varint | length of the body |
//! | length | body |
//!
//! A body is its fields, in the order below, without names or padding:
//!
//! | field | layout |
//! |---|---|
//! | number, handle | varint: LEB128, seven bits a byte, low bits first, high bit set on all bytes but the last |
//! | yes or no | 0 or 1 |
//! | string | length in bytes, then UTF-8 (at most 1 MiB: a longer one was cut) |
//! | bytes | length, then the bytes |
//! | list | number of items, then the items |
//!
//! | tag | record | fields |
//! |---|---|---|
//! | 1 | Process | pid, parent_pid, started_at_unix_ns, argv0 (string), program (string), executable (string), python_version (string), free_threaded (yes or no), tree (string), allocator, no_stacks_reason (string) |
//! | 2 | Settings | mode, native, depth, domains (list), interval_ms |
//! | 3 | String | string |
//! | 4 | Module | path (string handle), build_id (bytes) |
//! | 5 | Frame | 0, function (string handle), file (string handle), line; or 1, module (handle), address |
//! | 6 | Stack | parent (stack handle), frame (handle) |
//! | 7 | Site | domain, stack (handle) |
//! | 8 | NativeName | frame (handle), function (string handle), file (string handle), line |
//! | 9 | SiteCounters | site (handle), counters |
//! | 10 | ScopeCounters | scope, counters, max_live_bytes, max_live_at_ns, max_size_bytes |
//! | 11 | Sizes | domain, buckets (list of: from, to, allocations, requested_bytes, live_blocks) |
//! | 12 | Pymalloc | moment, arena_bytes, pool_bytes, arenas, arenas_peak, arenas_allocated_total, arenas_freed_total, pools_total, pools_free, pools_partial, pools_full, classes (list of: size, pools, blocks_in_use, blocks_free), arena_bytes_in_use (list) |
//! | 13 | Quality | events, lost_events, unmatched_frees, missed_frees, inherited_frees, unmatched_while_paused, truncated_stacks, peak_error_bytes, own_cpu_ns, own_memory_bytes |
//! | 14 | Timeline | at_ns, live_bytes, rss_bytes, arenas, allocations |
//! | 15 | Mark | at_ns, name (string) |
//! | 16 | Shutdown | allocations, frees, requested_bytes |
//! | 17 | End | ended, at_ns |
//!
//! | choice | numbers |
//! |---|---|
//! | counters | allocations, reallocations, frees, requested_bytes, served_bytes, live_blocks, live_bytes, peak_bytes, temporary_allocations |
//! | allocator | 0 unknown, 1 pymalloc, 2 pymalloc_debug, 3 malloc, 4 malloc_debug, 5 mimalloc, 6 mimalloc_debug |
//! | mode | 0 sites, 1 counts, 2 events |
//! | native | 0 caller, 1 full, 2 off |
//! | domain | 0 raw, 1 mem, 2 object, 3 malloc, 4 mmap |
//! | scope | the domain's number, or 5 for the total |
//! | moment | 0 exit, 1 exit by events, 2 peak |
//! | ended | 0 exit, 1 exec, 2 signal, 3 running |
//!
//! # Versions
//!
//! A reader skips records whose tag it does not know and bytes that follow the last field it knows. So new kinds of records and new
//! fields at the end of a body raise the minor version ([`VERSION_MINOR`]) and old readers go on reading. Anything else, such as a new
//! number of a choice, a new codec, or a field that moves, raises the major version ([`VERSION_MAJOR`]), and old readers refuse the file.
//!
//! # Worked example
//!
//! A capture in which line 7 of `a.py`, in `f`, allocated 300 bytes once through `PyObject_Malloc`:
//!
//! ```
//! use pytrace_format::ids::{FrameId, SiteId, StackId, StringId};
//! use pytrace_format::record::{Counters, Domain, Frame, Record, Site, SiteCounters, Stack};
//! use pytrace_format::{Decoder, Encoder, file_header};
//!
//! let records = [
//!     Record::String("f".into()),    // string 1
//!     Record::String("a.py".into()), // string 2
//!     Record::Frame(Frame::Python { function: StringId(1), file: StringId(2), line: 7 }),
//!     Record::Stack(Stack { parent: StackId(0), frame: FrameId(1) }),
//!     Record::Site(Site { domain: Domain::Object, stack: StackId(1) }),
//!     Record::SiteCounters(SiteCounters {
//!         site: SiteId(1),
//!         counters: Counters {
//!             allocations: 1,
//!             requested_bytes: 300,
//!             served_bytes: 304,
//!             live_blocks: 1,
//!             live_bytes: 300,
//!             peak_bytes: 300,
//!             ..Counters::default()
//!         },
//!     }),
//! ];
//! let mut encoder = Encoder::new();
//! for record in &records {
//!     encoder.push(record)?;
//! }
//! let file = [&file_header()[..], encoder.finish()].concat();
//!
//! #[rustfmt::skip]
//! let expected = [
//!     // file header: magic, version 1.0, checksum
//!     0x89, b'p', b'y', b't', b'r', b'a', b'c', b'e', 1, 0, 0, 0, 0x76, 0xce, 0x30, 0x7b,
//!     // frame header: codec 0, 41 bytes of payload, their checksum, the header's checksum
//!     0, 0, 0, 0, 41, 0, 0, 0, 0x19, 0x17, 1, 0x4f, 0xb2, 0x7f, 0xec, 0x56,
//!     3, 2, 1, b'f',                      // String of 1 byte
//!     3, 5, 4, b'a', b'.', b'p', b'y',    // String of 4 bytes
//!     5, 4, 0, 1, 2, 7,                   // Frame: Python, function 1, file 2, line 7
//!     6, 2, 0, 1,                         // Stack: no parent, frame 1
//!     7, 2, 2, 1,                         // Site: object, stack 1
//!     9, 14, 1,                           // SiteCounters of site 1 …
//!     1, 0, 0,                            // allocations, reallocations, frees
//!     0xac, 2, 0xb0, 2,                   // requested_bytes = 0x2c + (2 << 7) = 300, served_bytes
//!     1, 0xac, 2, 0xac, 2, 0,             // live_blocks, live_bytes, peak_bytes, temporary_allocations
//! ];
//! assert_eq!(file, expected);
//! assert!(Decoder::new(&expected[..]).map(Result::unwrap).eq(records));
//! # Ok::<(), pytrace_format::RecordTooLarge>(())
//! ```
#![forbid(unsafe_code)]

mod body;
mod decode;
mod encode;
mod error;
mod frame;
pub mod ids;
pub mod record;
#[cfg(feature = "synth")]
pub mod synth;
mod varint;

pub use body::MAX_STRING_BYTES;
pub use decode::Decoder;
pub use encode::{Encoder, RecordTooLarge};
pub use error::FormatError;
pub use frame::{
    FILE_HEADER_BYTES, FRAME_HEADER_BYTES, MAGIC, MAX_FRAME_BYTES, VERSION_MAJOR, VERSION_MINOR,
    file_header,
};
