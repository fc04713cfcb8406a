//! What mode counts leaves of a program: its totals, and nothing that a table of live blocks or stacks would tell.

use super::Synth;
use crate::ids::{SiteId, StackId};
use crate::record::{
    Counters, Domain, Mode, Moment, Record, Scope, ScopeCounters, Settings, Site, SiteCounters,
    SizeBucket, Sizes, TimelinePoint,
};

/// The capture of the same program in mode counts: one call site for each domain, without a stack.
pub fn counted(sites: &Synth) -> Synth {
    let mut synth = Synth::new();
    for (domain, number) in Domain::ALL.into_iter().zip(1..) {
        let stack = StackId(0);
        synth.record(Record::Site(Site { domain, stack }));
        let of_domain = sites.records.iter().rev().find_map(|record| match record {
            Record::ScopeCounters(of_scope) if of_scope.scope == Scope::Domain(domain) => {
                Some(without_live_bytes(of_scope.counters))
            }
            _ => None,
        });
        synth.record(Record::SiteCounters(SiteCounters {
            site: SiteId(number),
            counters: of_domain.unwrap_or_default(),
        }));
    }
    synth.records.extend(sites.records.iter().filter_map(left));
    synth
}

/// What is left of a record.
fn left(record: &Record) -> Option<Record> {
    Some(match record.clone() {
        Record::String(_)
        | Record::Module(_)
        | Record::Frame(_)
        | Record::Stack(_)
        | Record::Site(_)
        | Record::NativeName(_)
        | Record::SiteCounters(_) => return None,
        Record::Pymalloc(pymalloc) if pymalloc.moment != Moment::Exit => return None,
        Record::Settings(settings) => Record::Settings(Settings {
            mode: Mode::Counts,
            ..settings
        }),
        Record::ScopeCounters(of_scope) => Record::ScopeCounters(ScopeCounters {
            counters: without_live_bytes(of_scope.counters),
            max_live_bytes: 0,
            max_live_at_ns: 0,
            ..of_scope
        }),
        Record::Sizes(Sizes { domain, buckets }) => {
            let without_live_blocks = |bucket| SizeBucket {
                live_blocks: 0,
                ..bucket
            };
            let buckets = buckets.into_iter().map(without_live_blocks).collect();
            Record::Sizes(Sizes { domain, buckets })
        }
        Record::Timeline(point) => Record::Timeline(TimelinePoint {
            live_bytes: 0,
            ..point
        }),
        other => other,
    })
}

fn without_live_bytes(counters: Counters) -> Counters {
    Counters {
        live_bytes: 0,
        peak_bytes: 0,
        temporary_allocations: 0,
        ..counters
    }
}
