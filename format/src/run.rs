//! Runs: many rows of one kind in one record, each told by how it differs from the row before.
//!
//! Tables and counters are most of a capture, and their rows resemble their neighbours: a frame calls the one that was made
//! before it, a site has the next stack, a counter is 1 or what another one is. So a row takes a few bytes of small
//! numbers, which the packing of frames then finds alike.
//!
//! Invariant: reading a run gives the rows that were put into it, whatever they hold; differences wrap.

use crate::body::{Field, Malformed};
use crate::ids::{FrameId, ModuleId, SiteId, StackId, StringId};
use crate::record::{Counters, Domain, Frame, Record, Site, SiteCounters, Stack};
use crate::varint;

/// The kinds of rows that come in runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Frames,
    Stacks,
    Sites,
    SiteCounters,
}

impl Kind {
    /// The kind of run that a record belongs to.
    pub(crate) fn of(record: &Record) -> Option<Kind> {
        match record {
            Record::Frame(_) => Some(Kind::Frames),
            Record::Stack(_) => Some(Kind::Stacks),
            Record::Site(_) => Some(Kind::Sites),
            Record::SiteCounters(_) => Some(Kind::SiteCounters),
            _ => None,
        }
    }

    /// The kind of run that a record of this tag is.
    pub(crate) fn of_tag(tag: u8) -> Option<Kind> {
        match tag {
            18 => Some(Kind::Frames),
            19 => Some(Kind::Stacks),
            20 => Some(Kind::Sites),
            21 => Some(Kind::SiteCounters),
            _ => None,
        }
    }

    /// The tag of a record that is such a run.
    pub(crate) fn tag(self) -> u8 {
        match self {
            Kind::Frames => 18,
            Kind::Stacks => 19,
            Kind::Sites => 20,
            Kind::SiteCounters => 21,
        }
    }
}

/// A run, as far as it was written or read: its kind, and what the next row is compared with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) kind: Kind,
    /// Number of the next stack row, as its writer counts.
    row: u32,
    function: u32,
    file: u32,
    line: u32,
    address: u64,
    frame: u32,
    stack: u32,
    site: u32,
}

/// Which counters of a row are not what is likely, one bit each; those follow.
mod unlikely {
    pub(super) const SITE: u8 = 1 << 0;
    pub(super) const ALLOCATIONS: u8 = 1 << 1;
    pub(super) const REALLOCATIONS: u8 = 1 << 2;
    pub(super) const LIVE_BLOCKS: u8 = 1 << 3;
    pub(super) const FREES: u8 = 1 << 4;
    pub(super) const LIVE_BYTES: u8 = 1 << 5;
    pub(super) const PEAK_BYTES: u8 = 1 << 6;
    pub(super) const TEMPORARY: u8 = 1 << 7;
}

impl Run {
    /// A run without rows. `row` is the number of its first row, where it is one of stacks.
    pub(crate) fn new(kind: Kind, row: u32) -> Run {
        Run {
            kind,
            row,
            function: 0,
            file: 0,
            line: 0,
            address: 0,
            frame: 0,
            stack: 0,
            site: 0,
        }
    }

    /// Begins a run's body.
    pub(crate) fn begin(&self, out: &mut Vec<u8>) {
        if self.kind == Kind::Stacks {
            varint::put(u64::from(self.row), out);
        }
    }

    /// Reads the beginning of a run's body.
    pub(crate) fn take_beginning(kind: Kind, body: &mut &[u8]) -> Result<Run, Malformed> {
        let row = match kind {
            Kind::Stacks => u32::take(body)?,
            _ => 0,
        };
        Ok(Run::new(kind, row))
    }

    /// Appends a row; false: the record is of another kind.
    pub(crate) fn put(&mut self, record: &Record, out: &mut Vec<u8>) -> bool {
        match (self.kind, record) {
            (Kind::Frames, Record::Frame(frame)) => self.put_frame(frame, out),
            (Kind::Stacks, Record::Stack(stack)) => {
                varint::put(u64::from(self.row.wrapping_sub(stack.parent.0)), out);
                put_difference(&mut self.frame, stack.frame.0, out);
                self.row = self.row.wrapping_add(1);
            }
            (Kind::Sites, Record::Site(site)) => {
                let difference = difference(&mut self.stack, site.stack.0);
                varint::put(u64::from(difference) << 3 | site.domain as u64, out);
            }
            (Kind::SiteCounters, Record::SiteCounters(counters)) => {
                self.put_counters(counters, out);
            }
            _ => return false,
        }
        true
    }

    /// Reads the next row of a run whose body is not at its end.
    pub(crate) fn take(&mut self, body: &mut &[u8]) -> Result<Record, Malformed> {
        Ok(match self.kind {
            Kind::Frames => Record::Frame(self.take_frame(body)?),
            Kind::Stacks => {
                let parent = StackId(self.row.wrapping_sub(u32::take(body)?));
                let frame = FrameId(take_difference(&mut self.frame, body)?);
                self.row = self.row.wrapping_add(1);
                Record::Stack(Stack { parent, frame })
            }
            Kind::Sites => {
                let number = u64::take(body)?;
                let domain = domain_of(number & 7)?;
                let difference = narrow(number >> 3)?;
                Record::Site(Site {
                    domain,
                    stack: StackId(apply(&mut self.stack, difference)),
                })
            }
            Kind::SiteCounters => Record::SiteCounters(self.take_counters(body)?),
        })
    }

    fn put_frame(&mut self, frame: &Frame, out: &mut Vec<u8>) {
        match *frame {
            Frame::Python {
                function,
                file,
                line,
            } => {
                let difference = difference(&mut self.function, function.0);
                varint::put(u64::from(difference) << 1, out);
                put_difference(&mut self.file, file.0, out);
                put_difference(&mut self.line, line, out);
            }
            Frame::Native { module, address } => {
                varint::put(u64::from(module.0) << 1 | 1, out);
                varint::put(zigzag(address.wrapping_sub(self.address)), out);
                self.address = address;
            }
        }
    }

    fn take_frame(&mut self, body: &mut &[u8]) -> Result<Frame, Malformed> {
        let number = u64::take(body)?;
        let upper = narrow(number >> 1)?;
        Ok(if number & 1 == 0 {
            Frame::Python {
                function: StringId(apply(&mut self.function, upper)),
                file: StringId(take_difference(&mut self.file, body)?),
                line: take_difference(&mut self.line, body)?,
            }
        } else {
            let difference = unzigzag(u64::take(body)?);
            self.address = self.address.wrapping_add(difference);
            Frame::Native {
                module: ModuleId(upper),
                address: self.address,
            }
        })
    }

    fn put_counters(&mut self, row: &SiteCounters, out: &mut Vec<u8>) {
        let SiteCounters { site, counters } = row;
        let next_site = self.site.wrapping_add(1);
        self.site = site.0;
        let likely = Likely::new(counters.allocations, counters.live_blocks);
        let live_bytes = likely.live_bytes(counters.requested_bytes);
        let parts = [
            (
                unlikely::SITE,
                u64::from(zigzag_32(site.0.wrapping_sub(next_site))),
            ),
            (
                unlikely::ALLOCATIONS,
                zigzag(counters.allocations.wrapping_sub(1)),
            ),
            (unlikely::REALLOCATIONS, counters.reallocations),
            (unlikely::LIVE_BLOCKS, counters.live_blocks),
            (
                unlikely::FREES,
                zigzag(counters.frees.wrapping_sub(likely.frees)),
            ),
            (
                unlikely::LIVE_BYTES,
                zigzag(counters.live_bytes.wrapping_sub(live_bytes)),
            ),
            (
                unlikely::PEAK_BYTES,
                zigzag(counters.peak_bytes.wrapping_sub(counters.live_bytes)),
            ),
            (unlikely::TEMPORARY, counters.temporary_allocations),
        ];
        let flagged = |(flag, number): &(u8, u64)| if *number == 0 { 0 } else { *flag };
        out.push(parts.iter().map(flagged).sum());
        varint::put(counters.requested_bytes, out);
        let slack = counters.served_bytes.wrapping_sub(counters.requested_bytes);
        varint::put(zigzag(slack), out);
        for (_, number) in parts.iter().filter(|(_, number)| *number != 0) {
            varint::put(*number, out);
        }
    }

    fn take_counters(&mut self, body: &mut &[u8]) -> Result<SiteCounters, Malformed> {
        let Some((&flags, rest)) = body.split_first() else {
            return Err(Malformed {
                expected: "the counters of a site",
                found: 0,
            });
        };
        *body = rest;
        let requested_bytes = u64::take(body)?;
        let slack = unzigzag(u64::take(body)?);
        let mut part = |flag| match flags & flag {
            0 => Ok(0),
            _ => u64::take(body),
        };
        let site_difference = unzigzag_32(narrow(part(unlikely::SITE)?)?);
        let allocations = unzigzag(part(unlikely::ALLOCATIONS)?).wrapping_add(1);
        let reallocations = part(unlikely::REALLOCATIONS)?;
        let live_blocks = part(unlikely::LIVE_BLOCKS)?;
        let likely = Likely::new(allocations, live_blocks);
        let frees = unzigzag(part(unlikely::FREES)?).wrapping_add(likely.frees);
        let live_bytes =
            unzigzag(part(unlikely::LIVE_BYTES)?).wrapping_add(likely.live_bytes(requested_bytes));
        let peak_bytes = unzigzag(part(unlikely::PEAK_BYTES)?).wrapping_add(live_bytes);
        let temporary_allocations = part(unlikely::TEMPORARY)?;
        self.site = self.site.wrapping_add(1).wrapping_add(site_difference);
        Ok(SiteCounters {
            site: SiteId(self.site),
            counters: Counters {
                allocations,
                reallocations,
                frees,
                requested_bytes,
                served_bytes: requested_bytes.wrapping_add(slack),
                live_blocks,
                live_bytes,
                peak_bytes,
                temporary_allocations,
            },
        })
    }
}

/// What follows from a site's blocks, born and live, when none was resized.
struct Likely {
    frees: u64,
    all_live: bool,
}

impl Likely {
    fn new(allocations: u64, live_blocks: u64) -> Likely {
        Likely {
            frees: allocations.wrapping_sub(live_blocks),
            all_live: allocations == live_blocks,
        }
    }

    fn live_bytes(&self, requested_bytes: u64) -> u64 {
        if self.all_live { requested_bytes } else { 0 }
    }
}

/// A signed difference as an unsigned number, small where the difference is: 0, −1, 1, −2 … are 0, 1, 2, 3 …
pub(crate) fn zigzag(difference: u64) -> u64 {
    (difference << 1) ^ ((difference as i64 >> 63) as u64)
}

/// The difference of a number that [`zigzag`] made.
pub(crate) fn unzigzag(number: u64) -> u64 {
    (number >> 1) ^ (number & 1).wrapping_neg()
}

fn zigzag_32(difference: u32) -> u32 {
    (difference << 1) ^ ((difference as i32 >> 31) as u32)
}

fn unzigzag_32(number: u32) -> u32 {
    (number >> 1) ^ (number & 1).wrapping_neg()
}

/// How `value` differs from the last one, whose place it takes.
fn difference(last: &mut u32, value: u32) -> u32 {
    zigzag_32(value.wrapping_sub(std::mem::replace(last, value)))
}

/// The value that differs so from the last one, whose place it takes.
fn apply(last: &mut u32, difference: u32) -> u32 {
    *last = last.wrapping_add(unzigzag_32(difference));
    *last
}

fn put_difference(last: &mut u32, value: u32, out: &mut Vec<u8>) {
    varint::put(u64::from(difference(last, value)), out);
}

fn take_difference(last: &mut u32, body: &mut &[u8]) -> Result<u32, Malformed> {
    Ok(apply(last, u32::take(body)?))
}

fn domain_of(number: u64) -> Result<Domain, Malformed> {
    let domain = Domain::ALL.get(number as usize);
    domain.copied().ok_or(Malformed {
        expected: "a domain (0 to 4)",
        found: number,
    })
}

fn narrow(number: u64) -> Result<u32, Malformed> {
    u32::try_from(number).map_err(|_| Malformed {
        expected: "a number of at most 32 bits",
        found: number,
    })
}
