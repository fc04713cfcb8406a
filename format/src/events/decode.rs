//! Frames to events: streams a capture, and skips what is no event.

use std::io::Read;

use super::state::State;
use super::{Arena, Block, Change, Event, Freed, control, freed, given, step};
use crate::FormatError;
use crate::body::Malformed;
use crate::frame::Content;
use crate::frames::Frames;
use crate::ids::SiteId;
use crate::record::Domain;
use crate::run::unzigzag;
use crate::varint;

/// Iterator over the events of a capture, in their order. Holds one frame in memory and what is last of each site. The first error is the last item:
/// what came before it stands.
#[derive(Debug)]
pub struct EventDecoder<R> {
    frames: Frames<R>,
    /// Part of the current frame that was decoded.
    decoded: usize,
    state: State,
    ended: bool,
}

impl<R: Read> EventDecoder<R> {
    /// A decoder of the capture that `reader` gives from its first byte.
    pub fn new(reader: R) -> EventDecoder<R> {
        EventDecoder {
            frames: Frames::new(reader, Content::Events),
            decoded: 0,
            state: State::default(),
            ended: false,
        }
    }

    /// Bytes of the file read so far.
    pub fn offset(&self) -> u64 {
        self.frames.offset()
    }

    fn next_event(&mut self) -> Result<Option<Event>, FormatError> {
        loop {
            while self.decoded < self.frames.payload().len() {
                let at = self.decoded;
                let mut rest = &self.frames.payload()[at..];
                let kind = rest[0];
                let change = take_step(&mut self.state, &mut rest);
                self.decoded = self.frames.payload().len() - rest.len();
                match change {
                    Ok(None) => {}
                    Ok(Some(change)) => {
                        return Ok(Some(Event {
                            at_ns: self.state.at_ns,
                            thread: self.state.thread,
                            change,
                        }));
                    }
                    Err(why) => return Err(self.frames.malformed(at, kind, why)),
                }
            }
            self.decoded = 0;
            if !self.frames.advance()? {
                return Ok(None);
            }
        }
    }
}

impl<R: Read> Iterator for EventDecoder<R> {
    type Item = Result<Event, FormatError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let item = self.next_event().transpose();
        if !matches!(item, Some(Ok(_))) {
            self.ended = true;
        }
        item
    }
}

/// Takes a step off the front of `bytes`, which are not empty; `None` when it is no event.
fn take_step(state: &mut State, bytes: &mut &[u8]) -> Result<Option<Change>, Malformed> {
    let Some((&flags, rest)) = bytes.split_first() else {
        return Ok(None);
    };
    *bytes = rest;
    Ok(Some(match flags & step::KIND {
        step::ALLOCATED => Change::Allocated(take_block(state, flags, bytes)?),
        step::FREED => Change::Freed(take_freed(state, flags, bytes)?),
        step::RESIZE_BEGUN => Change::ResizeBegun(take_freed(state, flags, bytes)?),
        step::RESIZED => Change::Resized(take_block(state, flags, bytes)?),
        step::RESIZE_FAILED => Change::ResizeFailed,
        step::THREAD => {
            state.thread = state.thread.wrapping_add(take_signed(bytes)? as u32);
            return Ok(None);
        }
        step::CLOCK => {
            state.at_ns = state.at_ns.wrapping_add(take_signed(bytes)?);
            return Ok(None);
        }
        _ => match flags >> control::SHIFT {
            control::ARENA_MAPPED => Change::ArenaMapped(take_arena(state, bytes)?),
            control::ARENA_UNMAPPED => Change::ArenaUnmapped(take_arena(state, bytes)?),
            control::ENDED => Change::Ended,
            control::PAUSED => Change::Paused,
            control::RESUMED => Change::Resumed,
            other => {
                return Err(Malformed {
                    expected: "a control step (0 to 4)",
                    found: u64::from(other),
                });
            }
        },
    }))
}

fn take_block(state: &mut State, flags: u8, bytes: &mut &[u8]) -> Result<Block, Malformed> {
    let mut part = |flag| match flags & flag {
        0 => Ok(0),
        _ => take_signed(bytes),
    };
    let site_difference = part(given::SITE)?;
    let size_difference = part(given::SIZE)?;
    let slack_difference = part(given::SLACK)?;
    let address_difference = part(given::ADDRESS)?.wrapping_mul(8);
    let site = state.site.wrapping_add(site_difference as u32);
    let last_freed = state.freed;
    let last = state.site(site).ok_or(Malformed {
        expected: "memory for another site",
        found: u64::from(site),
    })?;
    last.size_bytes = last.size_bytes.wrapping_add(size_difference);
    last.slack_bytes = last.slack_bytes.wrapping_add(slack_difference);
    last.address = if flags & given::WHERE_LAST_FREED != 0 {
        last_freed
    } else {
        last.address.wrapping_add(address_difference)
    };
    let block = Block {
        site: SiteId(site),
        address: last.address,
        size_bytes: last.size_bytes,
        served_bytes: last.size_bytes.wrapping_add(last.slack_bytes),
    };
    state.site = site;
    state.given = block.address;
    Ok(block)
}

fn take_freed(state: &mut State, flags: u8, bytes: &mut &[u8]) -> Result<Freed, Malformed> {
    let number = usize::from(flags >> freed::DOMAIN_SHIFT & 7);
    let domain = *Domain::ALL.get(number).ok_or(Malformed {
        expected: "a domain (0 to 4)",
        found: number as u64,
    })?;
    state.freed = if flags & freed::WHERE_LAST_GIVEN != 0 {
        state.given
    } else {
        state
            .freed
            .wrapping_add(take_signed(bytes)?.wrapping_mul(8))
    };
    let unmapped_bytes = match domain {
        Domain::Mmap => take_number(bytes)?,
        _ => 0,
    };
    Ok(Freed {
        domain,
        address: state.freed,
        unmapped_bytes,
        is_inner: flags & freed::INNER != 0,
    })
}

fn take_arena(state: &mut State, bytes: &mut &[u8]) -> Result<Arena, Malformed> {
    let difference = take_signed(bytes)?.wrapping_mul(8);
    state.arena = state.arena.wrapping_add(difference);
    Ok(Arena {
        address: state.arena,
        bytes: take_number(bytes)?,
    })
}

fn take_number(bytes: &mut &[u8]) -> Result<u64, Malformed> {
    varint::take(bytes).ok_or(Malformed {
        expected: "a varint of at most 64 bits",
        found: bytes.len() as u64,
    })
}

fn take_signed(bytes: &mut &[u8]) -> Result<u64, Malformed> {
    take_number(bytes).map(unzigzag)
}
