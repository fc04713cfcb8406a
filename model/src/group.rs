//! Call sites that a reader cannot tell apart, put together.
//!
//! A capture tells sites apart by instruction and address; a report shows lines and functions. Two stacks are the same
//! to a reader when their frames are, one by one: a Python frame by function, file and line, a native one by its
//! functions and module, or module and address while it has no name.

use std::collections::BTreeMap;

use pytrace_format::fast_map::FastMap;
use pytrace_format::ids::{FrameId, StackId};
use pytrace_format::record::{Counters, Domain, Frame, Site};

use crate::Model;

/// Sites of one domain with the same frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SiteGroup {
    /// The API that was asked.
    pub domain: Domain,
    /// The stack of one of them.
    pub stack: StackId,
    /// Their counters, added up.
    pub counters: Counters,
    /// How many they are.
    pub sites: usize,
}

/// Groups the sites of a model by domain and frames, in the order in which the groups first occur. Names added to
/// [`Model::native_names`] before it make more frames equal, those added to [`Model::inlined`] tell more apart.
pub fn by_frames(model: &Model) -> Vec<SiteGroup> {
    let identity_of = site_identities(model);
    let mut row_of_key = FastMap::default();
    let mut groups: Vec<SiteGroup> = Vec::new();
    for (site, counters) in model.sites_with_counters() {
        let row = *row_of_key.entry(identity_of(site)).or_insert_with(|| {
            groups.push(SiteGroup {
                domain: site.domain,
                stack: site.stack,
                counters: Counters::default(),
                sites: 0,
            });
            groups.len() - 1
        });
        add(&mut groups[row].counters, counters);
        groups[row].sites += 1;
    }
    groups
}

/// What says of a site which it is: a number that those have in common that a reader cannot tell apart, and no others.
pub fn site_identities(model: &Model) -> impl Fn(&Site) -> u64 {
    let stacks = stack_identities(model, &frame_identities(model));
    move |site| {
        let stack = site.stack.index().and_then(|row| stacks.get(row));
        let stack = stack.map_or(0, |row| u64::from(*row) + 1);
        stack << 3 | site.domain as u64
    }
}

/// For each stack, the first row of the stacks that a reader cannot tell from it, given the same for the frames.
///
/// Rows of the tree are distinct, so two of them are alike only if their frames are two that look alike, or their callers' are, and so on: the others, nearly all in
/// most captures, need not be looked up.
pub fn stack_identities(model: &Model, frames: &[u32]) -> Vec<u32> {
    let mut has_twin = vec![false; frames.len()];
    for (row, first) in frames.iter().enumerate() {
        if *first as usize != row {
            has_twin[row] = true;
            has_twin[*first as usize] = true;
        }
    }
    let index = |handle: Option<usize>| handle.map_or(0, |row| row as u64 + 1);
    let mut nodes = FastMap::default();
    let mut may_have_twin = vec![false; model.stacks.len()];
    // A parent comes before its children, so its own identity is known when theirs is asked for.
    let mut stacks: Vec<u32> = Vec::with_capacity(model.stacks.len());
    for (row, stack) in model.stacks.iter().enumerate() {
        let parent = stack.parent.index().filter(|parent| *parent < row);
        let frame = stack.frame.index().filter(|frame| *frame < frames.len());
        may_have_twin[row] = parent.is_some_and(|parent| may_have_twin[parent])
            || frame.is_none_or(|frame| has_twin[frame]);
        let own = row as u32;
        stacks.push(if may_have_twin[row] {
            let caller = index(parent.map(|parent| stacks[parent] as usize));
            let callee = index(frame.map(|frame| frames[frame] as usize));
            *nodes.entry(caller << 32 | callee).or_insert(own)
        } else {
            own
        });
    }
    stacks
}

/// For each frame, the first row of the frames that a reader cannot tell from it.
pub fn frame_identities(model: &Model) -> Vec<u32> {
    #[derive(PartialEq, Eq, PartialOrd, Ord)]
    enum Identity<'model> {
        Python {
            function: &'model str,
            file: &'model str,
            line: u32,
        },
        Named {
            function: &'model str,
            inlined: Vec<&'model str>,
            module: &'model str,
        },
        Address {
            module: &'model str,
            build_id: &'model [u8],
            address: u64,
        },
    }
    let names = named_rows(model);
    let mut first_rows = BTreeMap::new();
    let identity_of = |row: usize, frame: &Frame| match *frame {
        Frame::Python {
            function,
            file,
            line,
        } => Identity::Python {
            function: model.string(function),
            file: model.string(file),
            line,
        },
        Frame::Native { module, address } => {
            let path = model.module_path(module);
            match names.get(row).copied().unwrap_or_default() {
                // A file that was replaced is another one, whatever its path.
                "" => Identity::Address {
                    module: path,
                    build_id: model.module(module).map_or(&[], |module| &module.build_id),
                    address,
                },
                function => Identity::Named {
                    function,
                    inlined: inlined_functions(model, row),
                    module: path,
                },
            }
        }
    };
    let rows = model.frames.iter().enumerate();
    rows.map(|(row, frame)| {
        *first_rows
            .entry(identity_of(row, frame))
            .or_insert(row as u32)
    })
    .collect()
}

/// The functions inlined at a frame's address.
fn inlined_functions(model: &Model, row: usize) -> Vec<&str> {
    let frame = u32::try_from(row + 1).map_or(FrameId(0), FrameId);
    let inlined = model.inlined.get(&frame).into_iter().flatten();
    inlined.map(|name| model.string(name.function)).collect()
}

/// For each frame, its native name; empty when it has none.
fn named_rows(model: &Model) -> Vec<&str> {
    let mut names = vec![""; model.frames.len()];
    for (frame, name) in &model.native_names {
        if let Some(row) = frame.index().and_then(|row| names.get_mut(row)) {
            *row = model.string(name.function);
        }
    }
    names
}

/// Adds counters up. A damaged or hostile capture must not make a sum wrap.
pub fn add(sum: &mut Counters, counters: &Counters) {
    let Counters {
        allocations,
        reallocations,
        frees,
        requested_bytes,
        served_bytes,
        live_blocks,
        live_bytes,
        peak_bytes,
        temporary_allocations,
    } = *counters;
    for (sum, part) in [
        (&mut sum.allocations, allocations),
        (&mut sum.reallocations, reallocations),
        (&mut sum.frees, frees),
        (&mut sum.requested_bytes, requested_bytes),
        (&mut sum.served_bytes, served_bytes),
        (&mut sum.live_blocks, live_blocks),
        (&mut sum.live_bytes, live_bytes),
        (&mut sum.peak_bytes, peak_bytes),
        (&mut sum.temporary_allocations, temporary_allocations),
    ] {
        *sum = sum.saturating_add(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pytrace_format::record::Stack;
    use pytrace_format::synth::Synth;

    fn one(allocations: u64) -> Counters {
        Counters {
            allocations,
            ..Counters::default()
        }
    }

    fn model(synth: &Synth) -> Model {
        let mut model = Model::default();
        synth
            .records()
            .iter()
            .for_each(|record| model.apply(record.clone()).unwrap());
        model
    }

    #[test]
    fn identities_are_those_of_a_plain_search_through_all_pairs() {
        let mut random: u64 = 5;
        let mut below = |limit: u32| {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (random >> 33) as u32 % limit
        };
        for _ in 0..50 {
            let frames: Vec<u32> = (0..40)
                .map(|row| if below(3) == 0 { below(row + 1) } else { row })
                .collect();
            let first: Vec<u32> = frames.iter().map(|frame| frames[*frame as usize]).collect();
            let frames: Vec<u32> = first
                .iter()
                .map(|frame| first.iter().position(|other| other == frame).unwrap() as u32)
                .collect();
            let mut model = Model::default();
            for _ in 0..400 {
                let rows = model.stacks.len() as u32;
                let stack = Stack {
                    parent: StackId(below(rows.min(60) + 1)),
                    frame: FrameId(1 + below(40)),
                };
                if !model.stacks.contains(&stack) {
                    model.stacks.push(stack);
                }
            }
            let mut plain: Vec<u32> = Vec::new();
            let key = |plain: &[u32], stack: &Stack| {
                let parent = stack.parent.index().map(|row| plain[row]);
                (parent, frames[stack.frame.index().unwrap()])
            };
            for (row, stack) in model.stacks.iter().enumerate() {
                let same =
                    (0..row).find(|at| key(&plain, &model.stacks[*at]) == key(&plain, stack));
                plain.push(same.map_or(row, |at| plain[at] as usize) as u32);
            }
            assert_eq!(stack_identities(&model, &frames), plain);
            assert!(
                plain
                    .iter()
                    .enumerate()
                    .any(|(row, first)| row as u32 != *first)
            );
        }
    }

    #[test]
    fn equal_frames_at_different_addresses_are_one_group() {
        let mut synth = Synth::new();
        let outer = synth.python("main", "a.py", 1);
        let same_function = [synth.native("/l.so", 1, "f"), synth.native("/l.so", 2, "f")];
        for (born, caller) in [1, 2].into_iter().zip(same_function) {
            let stack = synth.stack(&[caller, outer]);
            synth.site(Domain::Object, stack, one(born));
            synth.site(Domain::Mem, stack, one(born * 10));
        }
        let born: Vec<_> = by_frames(&model(&synth))
            .iter()
            .map(|group| (group.domain, group.counters.allocations, group.sites))
            .collect();
        assert_eq!(born, [(Domain::Object, 3, 2), (Domain::Mem, 30, 2)]);
    }

    #[test]
    fn files_that_were_replaced_and_functions_that_were_inlined_stay_apart() {
        let mut synth = Synth::new();
        for build_id in [&b"before"[..], b"after"] {
            let module = synth.module("/l.so", build_id);
            let nameless = synth.native_in(module, 1, "");
            let stack = synth.stack(&[nameless]);
            synth.site(Domain::Mem, stack, one(1));
        }
        let calls = [2, 3, 4].map(|address| synth.native("/l.so", address, "outer"));
        for call in calls {
            let stack = synth.stack(&[call]);
            synth.site(Domain::Raw, stack, one(1));
        }
        let mut model = model(&synth);
        let sites = |model: &Model| -> Vec<_> {
            let groups = by_frames(model).into_iter();
            groups.map(|group| (group.domain, group.sites)).collect()
        };
        let nameless = [(Domain::Mem, 1), (Domain::Mem, 1)];
        assert_eq!(sites(&model), [&nameless[..], &[(Domain::Raw, 3)]].concat());
        let name = model.native_names[&calls[0]];
        model.inlined.insert(calls[1], vec![name]);
        model.inlined.insert(calls[2], vec![name, name]);
        let apart = [(Domain::Raw, 1); 3];
        assert_eq!(sites(&model), [&nameless[..], &apart].concat());
    }

    #[test]
    fn frames_that_differ_in_anything_shown_stay_apart() {
        let mut synth = Synth::new();
        let base = synth.python("main", "a.py", 1);
        let frames = [
            synth.python("f", "a.py", 1),
            synth.python("main", "b.py", 1),
            synth.python("main", "a.py", 2),
            synth.native("/l.so", 1, ""),
            synth.native("/l.so", 2, ""),
            synth.native("/m.so", 1, ""),
            synth.native("/m.so", 7, "f"),
            synth.native("/l.so", 7, "f"),
        ];
        for frame in frames {
            for stack in [&[frame, base][..], &[base, frame], &[frame]] {
                let stack = synth.stack(stack);
                synth.site(Domain::Raw, stack, one(1));
            }
        }
        let groups = by_frames(&model(&synth));
        assert_eq!(groups.len(), frames.len() * 3);
        assert!(groups.iter().all(|group| group.sites == 1));
    }
}
