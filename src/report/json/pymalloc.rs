//! `pymalloc`: arenas, pools and size classes at the end of the program, and at the peak.

use pytrace_model::Model;
use pytrace_model::record::{Moment, Pymalloc};
use serde::Serialize;

use super::moment_of_end;

#[derive(Serialize)]
pub(super) struct PymallocFields<'a> {
    #[serde(flatten)]
    at_end: StateFields<'a>,
    /// How the state was found: by walking the pools in memory, or from the events alone.
    source: &'static str,
    at_peak: Option<StateFields<'a>>,
    by_events: Option<StateFields<'a>>,
}

impl PymallocFields<'_> {
    /// `None` when nothing was served by pymalloc.
    pub(super) fn of(model: &Model) -> Option<PymallocFields<'_>> {
        let moment = moment_of_end(model)?;
        let state = |moment| model.pymalloc.get(&moment).map(StateFields::of);
        Some(PymallocFields {
            at_end: state(moment)?,
            source: match moment {
                Moment::Exit => "memory",
                Moment::ExitByEvents | Moment::Peak => "events",
            },
            at_peak: state(Moment::Peak),
            by_events: state(Moment::ExitByEvents),
        })
    }
}

#[derive(Serialize)]
struct StateFields<'a> {
    arena_bytes: u64,
    pool_bytes: u64,
    arenas: u64,
    arenas_peak: u64,
    arenas_allocated_total: u64,
    arenas_freed_total: u64,
    pools_total: u64,
    pools_free: u64,
    pools_partial: u64,
    pools_full: u64,
    bytes_in_use: u64,
    bytes_free: u64,
    bytes_overhead: u64,
    size_classes: Vec<SizeClassFields>,
    arena_bytes_in_use: &'a [u64],
}

#[derive(Serialize)]
struct SizeClassFields {
    size: u32,
    pools: u64,
    blocks_in_use: u64,
    blocks_free: u64,
}

impl StateFields<'_> {
    fn of(state: &Pymalloc) -> StateFields<'_> {
        let bytes = Bytes::of(state);
        let classes = state.classes.iter().map(|class| SizeClassFields {
            size: class.size,
            pools: class.pools,
            blocks_in_use: class.blocks_in_use,
            blocks_free: class.blocks_free,
        });
        StateFields {
            arena_bytes: state.arena_bytes,
            pool_bytes: state.pool_bytes,
            arenas: state.arenas,
            arenas_peak: state.arenas_peak,
            arenas_allocated_total: state.arenas_allocated_total,
            arenas_freed_total: state.arenas_freed_total,
            pools_total: state.pools_total,
            pools_free: state.pools_free,
            pools_partial: state.pools_partial,
            pools_full: state.pools_full,
            bytes_in_use: bytes.in_use,
            bytes_free: bytes.free,
            bytes_overhead: bytes.overhead,
            size_classes: classes.collect(),
            arena_bytes_in_use: &state.arena_bytes_in_use,
        }
    }
}

/// Where the bytes of the mapped arenas are: `in_use + free + overhead = arenas × arena_bytes`.
struct Bytes {
    /// In blocks that are in use.
    in_use: u64,
    /// In blocks that are free, and in pools without a block in use.
    free: u64,
    /// In pool headers, in the rest of a pool that holds no whole block, and lost to alignment.
    overhead: u64,
}

impl Bytes {
    fn of(state: &Pymalloc) -> Bytes {
        let sum = |blocks: fn(&pytrace_model::record::SizeClass) -> u64| {
            state.classes.iter().fold(0u64, |sum, class| {
                sum.saturating_add(u64::from(class.size).saturating_mul(blocks(class)))
            })
        };
        let in_use = sum(|class| class.blocks_in_use);
        let free = sum(|class| class.blocks_free)
            .saturating_add(state.pools_free.saturating_mul(state.pool_bytes));
        let held = state.arenas.saturating_mul(state.arena_bytes);
        Bytes {
            in_use,
            free,
            overhead: held.saturating_sub(in_use).saturating_sub(free),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pytrace_model::record::SizeClass;

    #[test]
    fn bytes_add_up_to_the_arenas() {
        let class = |size, pools, blocks_in_use, blocks_free| SizeClass {
            size,
            pools,
            blocks_in_use,
            blocks_free,
        };
        let state = Pymalloc {
            moment: Moment::Exit,
            arena_bytes: 65536,
            pool_bytes: 4096,
            arenas: 1,
            arenas_peak: 2,
            arenas_allocated_total: 3,
            arenas_freed_total: 2,
            pools_total: 16,
            pools_free: 13,
            pools_partial: 2,
            pools_full: 1,
            classes: vec![class(32, 2, 130, 124), class(512, 1, 7, 0)],
            arena_bytes_in_use: Vec::new(),
        };
        let bytes = Bytes::of(&state);
        assert_eq!(bytes.in_use, 130 * 32 + 7 * 512);
        assert_eq!(bytes.free, 124 * 32 + 13 * 4096);
        assert_eq!(bytes.in_use + bytes.free + bytes.overhead, 65536);
    }
}
