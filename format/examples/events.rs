//! Counts the events of a capture and the bytes they take: `cargo run --release --example events -- FILE`.

use std::collections::BTreeMap;
use std::fs::File;

use pytrace_format::events::{Change, EventDecoder};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("which capture?")?;
    let mut kinds = BTreeMap::new();
    let (mut events, mut last_ns, mut first) = (0_u64, 0, None);
    let mut backward_ns = 0;
    for event in EventDecoder::new(File::open(&path)?) {
        let event = event?;
        events += 1;
        let kind = match event.change {
            Change::Allocated(_) => "allocated",
            Change::Freed(_) => "freed",
            Change::ResizeBegun(_) => "resize begun",
            Change::Resized(_) => "resized",
            Change::ResizeFailed => "resize failed",
            _ => "other",
        };
        *kinds.entry(kind).or_insert(0_u64) += 1;
        backward_ns = backward_ns.max(u64::saturating_sub(last_ns, event.at_ns));
        last_ns = event.at_ns;
        first.get_or_insert(event);
    }
    println!("{events} events: {kinds:?}");
    println!("first {first:?}, last at {last_ns} ns, at most {backward_ns} ns backward");
    Ok(())
}
