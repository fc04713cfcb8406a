//! Ten thousand random call shapes: the recorded stacks equal `traceback.extract_stack()`, frame by frame, on every
//! interpreter. `programs/shapes/` says what they are made of.

use crate::support::interpreters::one_per_version;
use crate::support::report::{Frame, Report};
use crate::support::{Interpreter, Traced, for_each};
use serde::Deserialize;
use std::collections::HashMap;

const SHAPES: usize = 10_000;
const SEED: u64 = 1;

/// Function, file, line.
type Place = (String, String, u32);

/// What the program prints.
#[derive(Deserialize)]
struct WrittenDown {
    frames: Vec<Place>,
    /// Requested bytes, and the stack as indices of `frames`, innermost first.
    blocks: Vec<(u64, Vec<usize>)>,
}

impl WrittenDown {
    /// Blocks and bytes of every stack. (A few shapes are alike.)
    fn stacks(&self) -> HashMap<Vec<&Place>, (u64, u64)> {
        let mut stacks: HashMap<_, (u64, u64)> = HashMap::new();
        for (size, frames) in &self.blocks {
            let stack: Vec<_> = frames.iter().map(|frame| &self.frames[*frame]).collect();
            let (blocks, bytes) = stacks.entry(stack).or_default();
            *blocks += 1;
            *bytes += size;
        }
        stacks
    }
}

fn place(frame: &Frame) -> Place {
    let text =
        |field: &Option<String>| field.clone().expect("a Python frame has a name and a file");
    (
        text(&frame.function),
        text(&frame.file),
        frame.line.unwrap_or(0),
    )
}

/// Every stack that was written down has one site, with exactly its blocks.
fn check(written: &WrittenDown, report: &Report) {
    let recorded: Vec<(Vec<Place>, (u64, u64))> = (report.sites().iter())
        .filter(|site| site.domain == "object")
        .map(|site| {
            let stack = site.python().map(place).collect();
            (stack, (site.allocations, site.requested_bytes))
        })
        .collect();
    let mut found: HashMap<Vec<&Place>, Vec<(u64, u64)>> = HashMap::new();
    for (stack, counts) in &recorded {
        let stack = stack.iter().collect();
        found.entry(stack).or_default().push(*counts);
    }
    let mut wrong = Vec::new();
    for (stack, counts) in written.stacks() {
        let of_stack = found.get(&stack).map_or(&[][..], Vec::as_slice);
        if of_stack.iter().filter(|one| **one == counts).count() != 1 {
            let instead = recorded.iter().find(|(_, recorded)| *recorded == counts);
            let instead = instead.map(|(stack, _)| stack);
            wrong.push(format!(
                "{counts:?}: expected {stack:?}\n  at this stack {of_stack:?}\n  these blocks at {instead:?}"
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} stacks differ:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(3)].join("\n")
    );
}

fn trace(interpreter: &Interpreter) {
    let outcome = Traced::script(interpreter, "shapes")
        .argument(SHAPES.to_string())
        .argument(SEED.to_string())
        .run()
        .success();
    let written: WrittenDown =
        serde_json::from_str(&outcome.stdout).expect("the program prints JSON");
    assert_eq!(written.blocks.len(), SHAPES, "shapes that got to their end");
    assert!(written.stacks().len() > SHAPES * 9 / 10, "most are unlike");
    // The blocks are alive, and larger than most others: their sites are among the first by live bytes.
    let report = Report::of_largest_live(&outcome.capture(), 2 * SHAPES);
    assert_eq!(report.quality.truncated_stacks, 0, "truncated_stacks");
    assert_eq!(report.quality.lost_events, 0, "lost_events");
    check(&written, &report);
}

#[test]
fn ten_thousand_shapes_have_the_stacks_of_traceback_on_every_interpreter() {
    for_each(
        one_per_version().filter(|one| one.has_stacks()),
        |one| one.name.clone(),
        |interpreter| trace(interpreter),
    );
}
