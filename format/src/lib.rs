//! The capture format of pytrace: what is in a `.pytrace` file, byte by byte.
//!
//! One traced process writes one file, front to back, and never goes back to change it; a file that has outgrown what it says is
//! replaced by a new one, whole. A reader needs one frame in memory at a time. Whatever was written whole can be read, whether the
//! process ended well, was killed, or still runs.
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
//! | 8 | 2 | major version: 2 |
//! | 10 | 2 | minor version: 0 |
//! | 12 | 4 | checksum of the 12 bytes before |
//!
//! | offset | bytes | frame |
//! |---|---|---|
//! | 0 | 1 | codec: how the payload is packed; 0 = as it is, 1 = LZ4 |
//! | 1 | 1 | content: 0 = records, 1 = [`events`]; a reader skips others |
//! | 2 | 2 | 0; a reader ignores them |
//! | 4 | 4 | length of the payload as it is stored, at most 16 MiB |
//! | 8 | 4 | checksum of the payload |
//! | 12 | 4 | checksum of the 12 bytes before |
//! | 16 | length | payload: whole records, one after another; or whole steps of events |
//!
//! A payload packed by codec 1 is its unpacked length (4 bytes, at most 16 MiB and at most 16 times the packed bytes) and one block of the [LZ4
//! format]. What would pack better than 16-fold is stored as it is: so the memory that a reader needs is bounded by the length of the file.
//!
//! [LZ4 format]: https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md
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
//! | 5¹ | Frame | 0, function (string handle), file (string handle), line; or 1, module (handle), address |
//! | 6¹ | Stack | parent (stack handle), frame (handle) |
//! | 7¹ | Site | domain, stack (handle) |
//! | 8 | NativeName | frame (handle), function (string handle), file (string handle), line |
//! | 9¹ | SiteCounters | site (handle), counters |
//! | 10 | ScopeCounters | scope, counters, max_live_bytes, max_live_at_ns, max_size_bytes |
//! | 11 | Sizes | domain, buckets (list of: from, to, allocations, requested_bytes, live_blocks) |
//! | 12 | Pymalloc | moment, arena_bytes, pool_bytes, arenas, arenas_peak, arenas_allocated_total, arenas_freed_total, pools_total, pools_free, pools_partial, pools_full, classes (list of: size, pools, blocks_in_use, blocks_free), arena_bytes_in_use (list) |
//! | 13 | Quality | events, lost_events, unmatched_frees, missed_frees, inherited_frees, unmatched_while_paused, truncated_stacks, peak_error_bytes, own_cpu_ns, own_memory_bytes |
//! | 14 | Timeline | at_ns, live_bytes, rss_bytes, arenas, allocations |
//! | 15 | Mark | at_ns, name (string) |
//! | 16 | Shutdown | allocations, frees, requested_bytes |
//! | 17 | End | ended, at_ns |
//! | 18 | run of Frames | rows to the end of the body |
//! | 19 | run of Stacks | number of the first row, then rows to the end of the body |
//! | 20 | run of Sites | rows to the end of the body |
//! | 21 | run of SiteCounters | rows to the end of the body |
//!
//! ¹ in files of major version 1; later ones have runs.
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
//! # Runs
//!
//! In a run a row is told by its difference from the row before; before the first one all fields are 0. *Signed* is a difference that wraps, zigzag-coded: 0, −1, 1,
//! −2 … are 0, 1, 2, 3 …
//!
//! | row | numbers |
//! |---|---|
//! | Frame, Python | 2 × signed function, signed file, signed line |
//! | Frame, native | 2 × module + 1, signed address |
//! | Stack | row − parent (the first row's number is at the beginning; 1 = the row before; it wraps at 32 bits), signed frame |
//! | Site | 8 × signed stack + domain |
//! | SiteCounters | a byte of flags, requested_bytes, signed (served_bytes − requested_bytes), then, in the order of the flags, the numbers flagged |
//!
//! | flag | number, when it is not 0 |
//! |---|---|
//! | 1 | signed (site − the last row's site − 1) |
//! | 2 | signed (allocations − 1) |
//! | 4 | reallocations |
//! | 8 | live_blocks |
//! | 16 | signed (frees − (allocations − live_blocks)) |
//! | 32 | signed (live_bytes − (requested_bytes where allocations = live_blocks, otherwise 0)) |
//! | 64 | signed (peak_bytes − live_bytes) |
//! | 128 | temporary_allocations |
//!
//! # Versions
//!
//! A reader skips records whose tag it does not know and bytes that follow the last field it knows. So new kinds of records and new
//! fields at the end of a body raise the minor version ([`VERSION_MINOR`]) and old readers go on reading. Anything else, such as a new
//! number of a choice, a new codec, a run of another shape, or a field that moves, raises the major version ([`VERSION_MAJOR`]), and old readers
//! refuse the file. Readers read every earlier version; `tests/golden/` has a file of each.
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
//!     // file header: magic, version 2.0, checksum
//!     0x89, b'p', b'y', b't', b'r', b'a', b'c', b'e', 2, 0, 0, 0, 0x98, 0x61, 0x85, 0x69,
//!     // frame header: codec 0, 31 bytes of payload, their checksum, the header's checksum
//!     0, 0, 0, 0, 31, 0, 0, 0, 0x19, 0x63, 0, 0x7a, 0xa6, 0x10, 0x1e, 9,
//!     3, 2, 1, b'f',                      // String of 1 byte
//!     3, 5, 4, b'a', b'.', b'p', b'y',    // String of 4 bytes
//!     18, 3, 4, 4, 14,                    // Frames: Python, function 0 + 1, file 0 + 2, line 0 + 7
//!     19, 3, 1, 1, 2,                     // Stacks from row 1: parent 1 − 1 = 0, frame 0 + 1
//!     20, 1, 2 * 8 + 2,                   // Sites: stack 0 + 1, object
//!     21, 5, 8,                           // SiteCounters of site 0 + 1; of the flags only live_blocks
//!     0xac, 2, 8,                         // requested_bytes = 0x2c + (2 << 7) = 300, served_bytes 300 + 4
//!     1,                                  // live_blocks; the rest follows: live_bytes = peak_bytes = requested_bytes
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
pub mod events;
pub mod fast_map;
mod frame;
mod frames;
pub mod ids;
mod pack;
pub mod record;
mod run;
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
