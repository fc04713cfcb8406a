//! The event: 16 bytes, two words.
//!
//! ```text
//! head  63            20 19        7 6        5..3    2..0
//!       address >> 3     slack       pymalloc domain  kind
//! body  63            32 31        0
//!       site             size
//! ```
//! Slack (served − requested) beyond 13 bits and sizes beyond 32 bits are carried by a `Wide` event in front.

use pytrace_format::record::Domain;

/// What an event says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// A block was born.
    Birth = 0,
    /// A block is about to be freed.
    Death = 1,
    /// A block is about to be resized: it is taken out of the table.
    ResizeOut = 2,
    /// The resize succeeded: the block taken out lives on at this address, with this size.
    ResizeIn = 3,
    /// The resize failed: the block taken out goes back.
    ResizeFailed = 4,
    /// The next event's size has these upper 32 bits (head) and it was served these bytes (body).
    Wide = 5,
    /// The thread's next events belong to the segment numbered in the body.
    Segment = 6,
    /// Something other than a block; see [`Control`].
    Control = 7,
}

/// What a control event says, in the place of the domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Control {
    /// pymalloc mapped an arena: address, size.
    ArenaMapped = 0,
    /// pymalloc returned one.
    ArenaUnmapped = 1,
    /// The program ended; what follows is the interpreter's tear-down.
    Freeze = 2,
    /// Recording was paused: blocks may be born unseen from here on.
    Paused = 3,
    /// Recording was resumed.
    Resumed = 4,
    /// The thread's next events happened about now: the body is the monotonic clock, nanoseconds (mode `events`).
    Clock = 5,
}

/// An event as it lies in a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(16))]
pub(crate) struct Event {
    head: u64,
    body: u64,
}

const _: () = assert!(size_of::<Event>() == 16);

const SLACK_BITS: u32 = 13;
const SLACK_LIMIT: u64 = (1 << SLACK_BITS) - 1;
const ADDRESS_SHIFT: u32 = 20;
const PYMALLOC_BIT: u64 = 1 << 6;

/// Most events that one call writes: a segment mark, a clock, a wide prefix, the event.
pub(crate) const MOST_PER_CALL: usize = 4;

/// Whether an address can be carried: below 2^47 (user space) and a multiple of 8.
#[inline(always)]
pub(crate) fn is_representable(address: usize) -> bool {
    (address >> 47) | (address & 7) == 0
}

impl Event {
    /// An event about a block. The size is its low 32 bits; see [`Event::is_narrow`].
    #[inline(always)]
    pub(crate) fn block(
        kind: Kind,
        domain: Domain,
        address: usize,
        size: u64,
        served: u64,
        pymalloc: bool,
        site: u32,
    ) -> Event {
        let slack = served.wrapping_sub(size) & SLACK_LIMIT;
        Event {
            head: kind as u64
                | (domain as u64) << 3
                | u64::from(pymalloc) << 6
                | slack << 7
                | ((address as u64) >> 3) << ADDRESS_SHIFT,
            body: u64::from(size as u32) | u64::from(site) << 32,
        }
    }

    /// An event about a block of one of pymalloc's pools: small, and aligned to 16.
    #[inline(always)]
    pub(crate) fn pooled(
        kind: Kind,
        domain: Domain,
        address: usize,
        size: usize,
        served: usize,
        site: u32,
    ) -> Event {
        let slack = served.wrapping_sub(size) as u64;
        Event {
            head: (kind as u64 | (domain as u64) << 3 | PYMALLOC_BIT)
                + (slack << 7)
                + ((address as u64) << (ADDRESS_SHIFT - 3)),
            body: size as u64 | u64::from(site) << 32,
        }
    }

    /// Writes the event, word by word: put together on the stack and copied as a whole, it would have to wait there for both
    /// halves (a load that spans two stores is not forwarded).
    ///
    /// # Safety
    /// `to` is the caller's to write.
    #[inline(always)]
    pub(crate) unsafe fn write_to(self, to: *mut Event) {
        // SAFETY: the caller's promise.
        unsafe {
            (&raw mut (*to).head).write(self.head);
            (&raw mut (*to).body).write(self.body);
        }
    }

    /// The death of a block that was freed from within the allocator. The bit that says "pymalloc" in a birth says that.
    pub(crate) fn inner_death(domain: Domain, address: usize) -> Event {
        Event::block(Kind::Death, domain, address, 0, 0, true, 0)
    }

    /// Whether a death came from within the allocator.
    #[inline(always)]
    pub(crate) fn is_inner(self) -> bool {
        self.head & PYMALLOC_BIT != 0
    }

    /// Whether a block's event holds its size and slack itself.
    #[inline(always)]
    pub(crate) fn is_narrow(size: u64, served: u64) -> bool {
        size >> 32 == 0 && served.wrapping_sub(size) <= SLACK_LIMIT
    }

    /// The event that stands in front of a block's when that is not narrow.
    pub(crate) fn wide_prefix(size: u64, served: u64) -> Event {
        Event {
            head: Kind::Wide as u64 | (size >> 32) << 32,
            body: served,
        }
    }

    /// The start of a segment.
    pub(crate) fn segment(number: u64) -> Event {
        Event {
            head: Kind::Segment as u64,
            body: number,
        }
    }

    /// A control event about an address and a size.
    pub(crate) fn control(control: Control, address: usize, size: u64) -> Event {
        Event {
            head: Kind::Control as u64
                | (control as u64) << 3
                | ((address as u64) >> 3) << ADDRESS_SHIFT,
            body: size,
        }
    }

    #[inline(always)]
    pub(crate) fn kind(self) -> Kind {
        match self.head & 7 {
            0 => Kind::Birth,
            1 => Kind::Death,
            2 => Kind::ResizeOut,
            3 => Kind::ResizeIn,
            4 => Kind::ResizeFailed,
            5 => Kind::Wide,
            6 => Kind::Segment,
            _ => Kind::Control,
        }
    }

    /// The domain of a block's event.
    #[inline(always)]
    pub(crate) fn domain(self) -> Domain {
        match (self.head >> 3) & 7 {
            0 => Domain::Raw,
            1 => Domain::Mem,
            2 => Domain::Object,
            3 => Domain::Malloc,
            _ => Domain::Mmap,
        }
    }

    /// Whether a block's event is about a mapping.
    #[inline(always)]
    pub(crate) fn is_mapping(self) -> bool {
        // Of the domains' numbers only that of `Mmap` has the highest bit.
        const { assert!(Domain::Mmap as u64 == 4) };
        self.head & 4 << 3 != 0
    }

    /// What a control event says.
    pub(crate) fn control_kind(self) -> Control {
        match (self.head >> 3) & 7 {
            0 => Control::ArenaMapped,
            1 => Control::ArenaUnmapped,
            2 => Control::Freeze,
            3 => Control::Paused,
            4 => Control::Resumed,
            _ => Control::Clock,
        }
    }

    #[inline(always)]
    pub(crate) fn address(self) -> u64 {
        (self.head >> ADDRESS_SHIFT) << 3
    }

    /// Whether pymalloc served the block from a pool.
    #[inline(always)]
    pub(crate) fn is_pymalloc(self) -> bool {
        self.head & PYMALLOC_BIT != 0
    }

    /// Served − requested, as far as the event itself holds it.
    #[inline(always)]
    pub(crate) fn slack(self) -> u64 {
        (self.head >> 7) & SLACK_LIMIT
    }

    /// The low 32 bits of the size.
    #[inline(always)]
    pub(crate) fn size_low(self) -> u64 {
        self.body & 0xffff_ffff
    }

    #[inline(always)]
    pub(crate) fn site(self) -> u32 {
        (self.body >> 32) as u32
    }

    /// The whole body: a segment's number, a control event's size, a wide prefix's served bytes.
    #[inline(always)]
    pub(crate) fn body(self) -> u64 {
        self.body
    }

    /// A wide prefix's upper half of the size, in place.
    #[inline(always)]
    pub(crate) fn size_high(self) -> u64 {
        self.head & 0xffff_ffff_0000_0000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_comes_back_as_it_went_in() {
        let address = 0x7fff_1234_5678;
        for (kind, domain) in [(Kind::Birth, Domain::Object), (Kind::ResizeIn, Domain::Raw)] {
            let event = Event::block(kind, domain, address, 500, 512, true, u32::MAX);
            assert_eq!(event.kind(), kind);
            assert_eq!(event.domain(), domain);
            assert_eq!(event.address(), address as u64);
            assert_eq!(
                (event.size_low(), event.slack(), event.site()),
                (500, 12, u32::MAX)
            );
            assert!(event.is_pymalloc());
        }
        assert!(Event::is_narrow(500, 512));
        let kind = Kind::Birth;
        let pooled = Event::pooled(kind, Domain::Mem, 0x7fff_1234_5670, 33, 48, 7);
        let plain = Event::block(kind, Domain::Mem, 0x7fff_1234_5670, 33, 48, true, 7);
        assert_eq!(pooled, plain);
    }

    #[test]
    fn large_sizes_and_slacks_take_a_prefix() {
        let size = (5 << 32) | 7;
        assert!(!Event::is_narrow(size, size + 9));
        let prefix = Event::wide_prefix(size, size + 9);
        let event = Event::block(Kind::Birth, Domain::Mmap, 0x1000, size, size + 9, false, 1);
        assert_eq!(prefix.kind(), Kind::Wide);
        assert_eq!(prefix.size_high() | event.size_low(), size);
        assert_eq!(prefix.body(), size + 9);
        assert!(Event::is_narrow(1, 1 + 8191));
        assert!(!Event::is_narrow(1, 1 + 8192));
        assert!(!Event::is_narrow(10, 9), "less served than asked");
    }

    #[test]
    fn addresses_outside_user_space_are_refused() {
        assert!(is_representable(0x7fff_ffff_fff8));
        assert!(!is_representable(1 << 47));
        assert!(!is_representable(0x1004));
    }
}
