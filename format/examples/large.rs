//! Writes a capture of a large program: `cargo run --release --example large -- FILE [SITES [DEPTH [NODES]]]`, by default 1 000 000 sites of
//! 50 frames in a tree of 10 000 000 nodes.

use std::fs::File;
use std::io::Write;

use pytrace_format::ids::{FrameId, SiteId, StackId, StringId};
use pytrace_format::record::{
    Counters, Domain, Frame, Process, Record, Settings, Site, SiteCounters, Stack,
};
use pytrace_format::{Encoder, file_header};

const FILES: u32 = 1_000;
const FUNCTIONS: u32 = 20_000;
const LINES: u32 = 100_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let path = words.next().ok_or("to which file?")?;
    let mut number = |default| words.next().map_or(Ok(default), |word| word.parse::<u32>());
    let (sites, depth, nodes) = (number(1_000_000)?, number(50)?, number(10_000_000)?);
    let mut file = File::create(path)?;
    file.write_all(&file_header())?;
    let mut encoder = Encoder::new();
    let mut push = |record: Record| -> Result<(), Box<dyn std::error::Error>> {
        encoder.push(&record)?;
        if encoder.pending_bytes() > 1 << 20 {
            file.write_all(encoder.finish())?;
            encoder.clear();
        }
        Ok(())
    };
    push(Record::Process(Process::default()))?;
    push(Record::Settings(Settings::default()))?;
    for row in 0..FILES {
        push(Record::String(format!(
            "/usr/lib/python3/package{row}/module.py"
        )))?;
    }
    for row in 0..FUNCTIONS {
        push(Record::String(format!("Class{}.method_{row}", row % 700)))?;
    }
    for row in 0..LINES {
        push(Record::Frame(Frame::Python {
            function: StringId(FILES + 1 + row % FUNCTIONS),
            file: StringId(1 + row % FILES),
            line: 1 + row / 7,
        }))?;
    }
    // A trunk that all share; each site is the end of a branch of its own, so that the branches make up the tree.
    let branch = (nodes / sites).clamp(1, depth);
    let trunk = depth - branch;
    for row in 1..=trunk {
        push(Record::Stack(Stack {
            parent: StackId(row - 1),
            frame: FrameId(row),
        }))?;
    }
    let mut row = trunk;
    let mut mixed: u32 = 1;
    for site in 1..=sites {
        for step in 0..branch {
            mixed = mixed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            push(Record::Stack(Stack {
                parent: StackId(if step == 0 { trunk } else { row }),
                frame: FrameId(1 + (mixed >> 8) % LINES),
            }))?;
            row += 1;
        }
        push(Record::Site(Site {
            domain: Domain::ALL[site as usize % 4],
            stack: StackId(row),
        }))?;
        let bytes = u64::from(mixed >> 20) + 1;
        push(Record::SiteCounters(SiteCounters {
            site: SiteId(site),
            counters: Counters {
                allocations: 1,
                requested_bytes: bytes,
                served_bytes: bytes.next_multiple_of(16),
                live_blocks: 1,
                live_bytes: bytes,
                peak_bytes: bytes,
                ..Counters::default()
            },
        }))?;
    }
    file.write_all(encoder.finish())?;
    println!("{sites} sites, {row} nodes");
    Ok(())
}
