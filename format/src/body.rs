//! Bodies of records: the fields of a type in the order of its declaration.
//!
//! Each type's layout is stated once, as a list of fields or numbers, and both directions follow from it; so what is
//! written is what is read. Changing a list changes the format: see "Versions" in the crate documentation.
//! Reading never trusts a length: nothing is reserved ahead of the bytes that carry it.

use crate::ids::{FrameId, ModuleId, SiteId, StackId, StringId};
use crate::record::{
    Allocator, Counters, Domain, End, Ended, Frame, Mark, Mode, Module, Moment, Native, NativeName,
    Process, Pymalloc, Quality, Record, Scope, ScopeCounters, Settings, Shutdown, Site,
    SiteCounters, SizeBucket, SizeClass, Sizes, Stack, TimelinePoint,
};
use crate::varint;

/// Longest string that is written; a longer one is cut at a character boundary.
pub const MAX_STRING_BYTES: usize = 1 << 20;

/// Why a body could not be read: what was expected, and the number found in its place (or bytes left).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed {
    pub(crate) expected: &'static str,
    pub(crate) found: u64,
}

/// A field: how it is written and read.
pub(crate) trait Field: Sized {
    fn put(&self, out: &mut Vec<u8>);
    fn take(bytes: &mut &[u8]) -> Result<Self, Malformed>;
}

impl Field for u64 {
    fn put(&self, out: &mut Vec<u8>) {
        varint::put(*self, out);
    }

    fn take(bytes: &mut &[u8]) -> Result<Self, Malformed> {
        varint::take(bytes).ok_or(Malformed {
            expected: "a varint of at most 64 bits",
            found: bytes.len() as u64,
        })
    }
}

impl Field for u32 {
    fn put(&self, out: &mut Vec<u8>) {
        varint::put(u64::from(*self), out);
    }

    fn take(bytes: &mut &[u8]) -> Result<Self, Malformed> {
        let number = u64::take(bytes)?;
        u32::try_from(number).map_err(|_| Malformed {
            expected: "a number of at most 32 bits",
            found: number,
        })
    }
}

impl Field for Vec<u8> {
    fn put(&self, out: &mut Vec<u8>) {
        put_bytes(self, out);
    }

    fn take(bytes: &mut &[u8]) -> Result<Self, Malformed> {
        take_bytes(bytes).map(<[u8]>::to_vec)
    }
}

impl Field for String {
    fn put(&self, out: &mut Vec<u8>) {
        let kept = self.floor_char_boundary(MAX_STRING_BYTES);
        put_bytes(&self.as_bytes()[..kept], out);
    }

    fn take(bytes: &mut &[u8]) -> Result<Self, Malformed> {
        let text = take_bytes(bytes)?;
        match core::str::from_utf8(text) {
            Ok(text) => Ok(text.to_owned()),
            Err(error) => Err(Malformed {
                expected: "UTF-8",
                found: u64::from(text[error.valid_up_to()]),
            }),
        }
    }
}

impl<T: Field> Field for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        varint::put(self.len() as u64, out);
        for item in self {
            item.put(out);
        }
    }

    fn take(bytes: &mut &[u8]) -> Result<Self, Malformed> {
        let count = u64::take(bytes)?;
        if count > bytes.len() as u64 {
            return Err(Malformed {
                expected: "a count of items that the record can hold",
                found: count,
            });
        }
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(T::take(bytes)?);
        }
        Ok(items)
    }
}

fn put_bytes(content: &[u8], out: &mut Vec<u8>) {
    varint::put(content.len() as u64, out);
    out.extend_from_slice(content);
}

fn take_bytes<'body>(bytes: &mut &'body [u8]) -> Result<&'body [u8], Malformed> {
    let length = u64::take(bytes)?;
    let too_long = Malformed {
        expected: "a length within the record",
        found: length,
    };
    let length = usize::try_from(length).map_err(|_| too_long)?;
    let (content, rest) = bytes.split_at_checked(length).ok_or(too_long)?;
    *bytes = rest;
    Ok(content)
}

/// Handles: the number.
macro_rules! handle_fields {
    ($($name:ident)*) => {$(
        impl Field for $name {
            fn put(&self, out: &mut Vec<u8>) {
                self.0.put(out);
            }

            fn take(bytes: &mut &[u8]) -> Result<Self, Malformed> {
                Ok($name(u32::take(bytes)?))
            }
        }
    )*};
}

handle_fields! { StringId ModuleId FrameId StackId SiteId }

/// Choices without content: the number stated here.
macro_rules! choice_fields {
    ($($name:ty, $expected:literal: { $($number:literal = $value:pat => $made:expr),* $(,)? })*) => {$(
        impl Field for $name {
            fn put(&self, out: &mut Vec<u8>) {
                let number: u64 = match self { $($value => $number),* };
                varint::put(number, out);
            }

            fn take(bytes: &mut &[u8]) -> Result<Self, Malformed> {
                match u64::take(bytes)? {
                    $($number => Ok($made),)*
                    found => Err(Malformed { expected: $expected, found }),
                }
            }
        }
    )*};
}

/// The common case of a choice: each value is its own pattern.
macro_rules! enum_fields {
    ($($name:ident, $expected:literal: { $($number:literal = $value:ident),* $(,)? })*) => {
        choice_fields! { $($name, $expected: { $($number = $name::$value => $name::$value),* })* }
    };
}

choice_fields! {
    bool, "0 or 1": { 0 = false => false, 1 = true => true }
    Scope, "a scope (0 to 5)": {
        0 = Scope::Domain(Domain::Raw) => Scope::Domain(Domain::Raw),
        1 = Scope::Domain(Domain::Mem) => Scope::Domain(Domain::Mem),
        2 = Scope::Domain(Domain::Object) => Scope::Domain(Domain::Object),
        3 = Scope::Domain(Domain::Malloc) => Scope::Domain(Domain::Malloc),
        4 = Scope::Domain(Domain::Mmap) => Scope::Domain(Domain::Mmap),
        5 = Scope::Total => Scope::Total,
    }
}

enum_fields! {
    Domain, "a domain (0 to 4)": { 0 = Raw, 1 = Mem, 2 = Object, 3 = Malloc, 4 = Mmap }
    Mode, "a mode (0 to 2)": { 0 = Sites, 1 = Counts, 2 = Events }
    Native, "a kind of native stack (0 to 2)": { 0 = Caller, 1 = Full, 2 = Off }
    Allocator, "an allocator (0 to 6)": {
        0 = Unknown, 1 = Pymalloc, 2 = PymallocDebug, 3 = Malloc, 4 = MallocDebug,
        5 = Mimalloc, 6 = MimallocDebug,
    }
    Moment, "a moment (0 to 2)": { 0 = Exit, 1 = ExitByEvents, 2 = Peak }
    Ended, "an end (0 to 3)": { 0 = Exit, 1 = Exec, 2 = Signal, 3 = Running }
}

/// Structs: their fields in this order.
macro_rules! struct_fields {
    ($($name:ident { $($field:ident),* $(,)? })*) => {$(
        impl Field for $name {
            fn put(&self, out: &mut Vec<u8>) {
                let $name { $($field),* } = self;
                $($field.put(out);)*
            }

            fn take(bytes: &mut &[u8]) -> Result<Self, Malformed> {
                // A struct expression evaluates its fields in the order in which they are written.
                Ok($name { $($field: Field::take(bytes)?),* })
            }
        }
    )*};
}

struct_fields! {
    Process {
        pid, parent_pid, started_at_unix_ns, argv0, program, executable, python_version,
        free_threaded, tree, allocator, no_stacks_reason,
    }
    Settings { mode, native, depth, domains, interval_ms }
    Module { path, build_id }
    Stack { parent, frame }
    Site { domain, stack }
    NativeName { frame, function, file, line }
    Counters {
        allocations, reallocations, frees, requested_bytes, served_bytes, live_blocks, live_bytes,
        peak_bytes, temporary_allocations,
    }
    SiteCounters { site, counters }
    ScopeCounters { scope, counters, max_live_bytes, max_live_at_ns, max_size_bytes }
    SizeBucket { from, to, allocations, requested_bytes, live_blocks }
    Sizes { domain, buckets }
    SizeClass { size, pools, blocks_in_use, blocks_free }
    Pymalloc {
        moment, arena_bytes, pool_bytes, arenas, arenas_peak, arenas_allocated_total,
        arenas_freed_total, pools_total, pools_free, pools_partial, pools_full, classes,
        arena_bytes_in_use,
    }
    Quality {
        events, lost_events, unmatched_frees, missed_frees, inherited_frees,
        unmatched_while_paused, truncated_stacks, peak_error_bytes, own_cpu_ns, own_memory_bytes,
    }
    TimelinePoint { at_ns, live_bytes, rss_bytes, arenas, allocations }
    Mark { at_ns, name }
    Shutdown { allocations, frees, requested_bytes }
    End { ended, at_ns }
}

impl Field for Frame {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Frame::Python {
                function,
                file,
                line,
            } => {
                varint::put(0, out);
                function.put(out);
                file.put(out);
                line.put(out);
            }
            Frame::Native { module, address } => {
                varint::put(1, out);
                module.put(out);
                address.put(out);
            }
        }
    }

    fn take(bytes: &mut &[u8]) -> Result<Self, Malformed> {
        match u64::take(bytes)? {
            0 => Ok(Frame::Python {
                function: Field::take(bytes)?,
                file: Field::take(bytes)?,
                line: Field::take(bytes)?,
            }),
            1 => Ok(Frame::Native {
                module: Field::take(bytes)?,
                address: Field::take(bytes)?,
            }),
            found => Err(Malformed {
                expected: "a kind of frame (0 or 1)",
                found,
            }),
        }
    }
}

/// Records: their tags. 18 to 21 are runs of rows.
macro_rules! record_tags {
    ($($tag:literal = $kind:ident),* $(,)?) => {
        /// Appends the body of a record and returns its tag.
        pub(crate) fn put(record: &Record, out: &mut Vec<u8>) -> u8 {
            match record {
                $(Record::$kind(content) => { content.put(out); $tag })*
            }
        }

        /// Reads the body of a record of that tag; `None` when the tag is not known. Bytes beyond the known fields
        /// are a later version's, and are left alone.
        pub(crate) fn take(tag: u8, mut body: &[u8]) -> Result<Option<Record>, Malformed> {
            match tag {
                $($tag => Field::take(&mut body).map(|content| Some(Record::$kind(content))),)*
                _ => Ok(None),
            }
        }
    };
}

record_tags! {
    1 = Process, 2 = Settings, 3 = String, 4 = Module, 5 = Frame, 6 = Stack, 7 = Site,
    8 = NativeName, 9 = SiteCounters, 10 = ScopeCounters, 11 = Sizes, 12 = Pymalloc,
    13 = Quality, 14 = Timeline, 15 = Mark, 16 = Shutdown, 17 = End,
}
