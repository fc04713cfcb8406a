//! A capture of mode events of any length, written while it is made.
//!
//! Two in three blocks are gone before the next one is born, as in most programs. Of the others as many live at all times as was asked for:
//! one of them, any, is freed or resized for each that is born. Addresses are used again, but not at once.

use std::io::{self, Write};

use pytrace_format::events::{Block, Change, Event, EventEncoder, Freed};
use pytrace_format::ids::SiteId;
use pytrace_format::record::{
    Counters, Domain, End, Ended, Mode, Process, Quality, Record, Settings,
};
use pytrace_format::synth::Synth;

/// How much the capture holds.
pub(super) struct Size {
    pub(super) events: u64,
    pub(super) live_blocks: u64,
    pub(super) sites: u64,
}

/// Frames of a stack, each line of which calls four others.
const DEPTH: u32 = 12;

const THREADS: u64 = 8;

/// Bytes from an address to the next.
const STEP: u64 = 64;

/// Frames are written when there are this many bytes of them.
const PENDING_BYTES: usize = 4 << 20;

/// Writes the capture.
pub(super) fn write(size: &Size, out: &mut impl Write) -> io::Result<()> {
    out.write_all(&records(size).file())?;
    let mut stream = Stream::new(size, out);
    while stream.left > 0 {
        stream.step()?;
    }
    stream.write()
}

/// What is not events. Each site's stack is the number of the site in base 4, innermost first, so that stacks share their outer frames.
fn records(size: &Size) -> Synth {
    let mut synth = Synth::new();
    synth.record(Record::Process(Process {
        pid: 4_711,
        program: "long.py".into(),
        python_version: "3.11.7".into(),
        ..Process::default()
    }));
    synth.record(Record::Settings(Settings {
        mode: Mode::Events,
        domains: Domain::ALL.to_vec(),
        interval_ms: 100,
        ..Settings::default()
    }));
    for site in 0..size.sites {
        let frames: Vec<_> = (0..DEPTH)
            .map(|level| {
                let digits = (site >> (2 * level)) as u32;
                let file = format!("/home/ann/work/orders/stage_{level}.py");
                synth.python(&format!("Stage{level}.handle"), &file, 1 + digits % 997)
            })
            .collect();
        let stack = synth.stack(&frames);
        let counters = Counters {
            allocations: size.events / 2 / size.sites,
            requested_bytes: site,
            ..Counters::default()
        };
        synth.site(Domain::Object, stack, counters);
    }
    synth.scopes_from_sites();
    synth.record(Record::Quality(Quality {
        events: size.events,
        ..Quality::default()
    }));
    synth.record(Record::End(End {
        ended: Ended::Exit,
        at_ns: size.events * 20,
    }));
    synth
}

struct Stream<'a, W> {
    out: &'a mut W,
    encoder: EventEncoder,
    left: u64,
    at_ns: u64,
    thread: u32,
    sites: u64,
    live: Vec<u64>,
    /// Addresses that are free, as many as are live; each is used when all others were.
    free: Vec<u64>,
    next_free: usize,
    random: u64,
}

impl<'a, W: Write> Stream<'a, W> {
    fn new(size: &Size, out: &'a mut W) -> Stream<'a, W> {
        Stream {
            out,
            encoder: EventEncoder::new(),
            left: size.events,
            at_ns: 0,
            thread: 1,
            sites: size.sites,
            live: Vec::new(),
            free: (size.live_blocks..2 * size.live_blocks)
                .map(address)
                .collect(),
            next_free: 0,
            random: 0x2545_f491_4f6c_dd1d,
        }
    }

    /// One or several events.
    fn step(&mut self) -> io::Result<()> {
        let random = self.random();
        // A thread goes on for a while, and the clock stands still for 2 µs.
        if random.is_multiple_of(64) {
            self.thread = 4_711 + (random >> 32) as u32 % THREADS as u32;
        }
        if random.is_multiple_of(50) {
            self.at_ns += 2_000;
        }
        if self.live.len() < self.free.len() {
            let address = address(self.live.len() as u64);
            self.live.push(address);
            return self.push(Change::Allocated(self.block(address, random)));
        }
        let address = self.free[self.next_free];
        if !random.is_multiple_of(3) {
            self.push(Change::Allocated(self.block(address, random)))?;
            return self.push(Change::Freed(freed(address)));
        }
        let slot = (random >> 40) as usize % self.live.len();
        let old = core::mem::replace(&mut self.live[slot], address);
        self.free[self.next_free] = old;
        self.next_free = (self.next_free + 1) % self.free.len();
        if random.is_multiple_of(5) {
            self.push(Change::ResizeBegun(freed(old)))?;
            self.push(Change::Resized(self.block(address, random)))
        } else {
            self.push(Change::Freed(freed(old)))?;
            self.push(Change::Allocated(self.block(address, random)))
        }
    }

    fn block(&self, address: u64, random: u64) -> Block {
        let site = (random >> 20) % self.sites;
        // A site asks for sizes near to its own.
        let size_bytes = 17 + site % 400 + (random >> 60);
        Block {
            site: SiteId(site as u32 + 1),
            address,
            size_bytes,
            served_bytes: size_bytes.next_multiple_of(16),
        }
    }

    /// Adds an event, unless there are enough.
    fn push(&mut self, change: Change) -> io::Result<()> {
        if self.left == 0 {
            return Ok(());
        }
        self.left -= 1;
        let event = Event {
            at_ns: self.at_ns,
            thread: self.thread,
            change,
        };
        assert!(self.encoder.push(&event), "there is memory for an event");
        if self.encoder.pending_bytes() >= PENDING_BYTES {
            self.write()?;
        }
        Ok(())
    }

    fn write(&mut self) -> io::Result<()> {
        self.out.write_all(self.encoder.finish())?;
        self.encoder.clear();
        Ok(())
    }

    /// xorshift64
    fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}

/// The address of that number.
fn address(number: u64) -> u64 {
    0x7f00_0000_0000 + number * STEP
}

fn freed(address: u64) -> Freed {
    Freed {
        domain: Domain::Object,
        address,
        unmapped_bytes: 0,
        is_inner: false,
    }
}
