//! Mode `events`: the events of the capture, played again, give the very numbers of the books.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::Path;

use pytrace_format::Decoder;
use pytrace_format::events::{Block, Change, Event, EventDecoder};
use pytrace_format::record::{Domain, Record};

use crate::support::interpreters::{few, usual};
use crate::support::{Traced, for_each};

/// Two threads that allocate in turn, large blocks that are told by their sizes, resizes through every API, a pause of 50 ms.
const PROGRAM: &str = "
import threading, time, json, mmap
kept = []
def work(size):
    for _ in range(300):
        kept.append(bytes(size))
        grown = []
        for number in range(200):
            grown.append(str(number))
    json.loads(json.dumps({'key': list(range(500))}))
threads = [threading.Thread(target=work, args=(size,)) for size in (7001, 7002)]
for thread in threads: thread.start()
for thread in threads: thread.join()
first = bytes(9001)
time.sleep(0.05)
second = bytes(9002)
";

fn events(capture: &Path) -> Vec<Event> {
    let file = File::open(capture).expect("the capture is there");
    EventDecoder::new(file)
        .map(|event| event.expect("a whole capture"))
        .collect()
}

/// The domains of the sites, in their order.
fn domains(capture: &Path) -> Vec<Domain> {
    let records = Decoder::new(File::open(capture).expect("the capture is there"));
    records
        .filter_map(|record| match record.expect("a whole capture") {
            Record::Site(site) => Some(site.domain),
            _ => None,
        })
        .collect()
}

/// What the events of one domain add up to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sum {
    allocations: u64,
    reallocations: u64,
    requested_bytes: u64,
    live_blocks: u64,
    live_bytes: u64,
}

/// Plays events as the shim's books are defined: see docs/REPORT.md.
fn play(domains: &[Domain], events: &[Event]) -> BTreeMap<&'static str, Sum> {
    let mut sums: BTreeMap<&'static str, Sum> = BTreeMap::new();
    let mut live: HashMap<u64, (Domain, u64)> = HashMap::new();
    let mut pending: HashMap<u32, (u64, Option<(Domain, u64)>)> = HashMap::new();
    let domain_of = |block: &Block| domains[block.site.0 as usize - 1];
    for event in events {
        match &event.change {
            Change::Allocated(block) if domain_of(block) != Domain::Mmap => {
                let sum = sums.entry(domain_of(block).name()).or_default();
                sum.allocations += 1;
                sum.requested_bytes += block.size_bytes;
                live.insert(block.address, (domain_of(block), block.size_bytes));
            }
            Change::Freed(freed) if freed.domain != Domain::Mmap => {
                live.remove(&freed.address);
            }
            Change::ResizeBegun(freed) if freed.domain != Domain::Mmap => {
                let taken = live.remove(&freed.address);
                pending.insert(event.thread, (freed.address, taken));
            }
            Change::ResizeFailed => {
                if let Some((address, Some(block))) = pending.remove(&event.thread) {
                    live.insert(address, block);
                }
            }
            Change::Resized(block) if domain_of(block) != Domain::Mmap => {
                let taken = pending.remove(&event.thread).and_then(|(_, taken)| taken);
                let sum = sums.entry(domain_of(block).name()).or_default();
                sum.requested_bytes += block.size_bytes;
                let crossed = taken.is_some_and(|(domain, _)| domain != domain_of(block));
                sum.allocations += u64::from(crossed);
                sum.reallocations += u64::from(!crossed);
                if taken.is_some() {
                    live.insert(block.address, (domain_of(block), block.size_bytes));
                }
            }
            _ => {}
        }
    }
    for (domain, size_bytes) in live.into_values() {
        let sum = sums.entry(domain.name()).or_default();
        sum.live_blocks += 1;
        sum.live_bytes += size_bytes;
    }
    sums
}

#[test]
fn played_again_they_give_the_numbers_of_the_books() {
    for_each(
        few(),
        |interpreter| interpreter.name.clone(),
        |interpreter| {
            let outcome = Traced::python(interpreter)
                .arguments(["-c", PROGRAM])
                .set("PYTRACE_MODE", "events")
                .run()
                .success();
            let report = outcome.report();
            report.assert_exact();
            let capture = outcome.capture();
            let domains = domains(&capture);
            let events = events(&capture);
            let counted = events.iter().filter(|event| {
                use Change::{Allocated, Freed, ResizeBegun, ResizeFailed, Resized};
                let change = event.change;
                matches!(
                    change,
                    Allocated(_) | Freed(_) | ResizeBegun(_) | Resized(_) | ResizeFailed
                )
            });
            assert_eq!(counted.count() as u64, report.quality.events);
            let mut played = play(&domains, &events);
            for (name, domain) in &report.domains {
                if name == "mmap" {
                    continue;
                }
                let domain = &domain.counters;
                let expected = Sum {
                    allocations: domain.allocations,
                    reallocations: domain.reallocations,
                    requested_bytes: domain.requested_bytes,
                    live_blocks: domain.live_blocks,
                    live_bytes: domain.live_bytes.unwrap_or_default(),
                };
                let sum = played.remove(name.as_str()).unwrap_or_default();
                assert_eq!(sum, expected, "{name}");
            }
            check_threads_and_times(&events);
        },
    );
}

/// The events of the known blocks are of the threads that made them, and at their times.
fn check_threads_and_times(events: &[Event]) {
    let born = |size: u64| -> Vec<&Event> {
        let is_it = |event: &&Event| matches!(event.change, Change::Allocated(block) if block.size_bytes == size + 33);
        events.iter().filter(is_it).collect()
    };
    let threads = [7001, 7002].map(|size| {
        let born = born(size);
        assert_eq!(born.len(), 300);
        assert!(born.is_sorted_by_key(|event| event.at_ns));
        assert!(born.iter().all(|event| event.thread == born[0].thread));
        born[0].thread
    });
    let (before, after) = (born(9001)[0], born(9002)[0]);
    assert!(!threads.contains(&before.thread) && threads[0] != threads[1]);
    let between_ns = after.at_ns - before.at_ns;
    assert!(between_ns >= 50_000_000, "{between_ns} ns");
}

#[test]
fn an_event_of_a_storm_takes_at_most_six_bytes() {
    let storm = concat!(env!("CARGO_MANIFEST_DIR"), "/benchmarks/programs/storm.py");
    let outcome = Traced::python(usual())
        .arguments([storm, "100000", "20"])
        .set("PYTRACE_MODE", "events")
        .run()
        .success();
    let events = outcome.report().quality.events;
    let bytes = std::fs::metadata(outcome.capture())
        .expect("the capture is there")
        .len();
    assert!(events >= 1_600_000);
    assert!(bytes <= 6 * events, "{bytes} bytes for {events} events");
}

/// A process and its forked child are killed before their second flush and their first: all events are of sites that are there.
#[test]
fn who_is_killed_between_two_flushes_leaves_no_event_without_its_site() {
    let code = "
import ctypes, os, signal
killed = ctypes.CDLL(None).syscall
names = {}
exec('def work(kept):\\n' + ''.join(f' kept.append(bytes({3000 + line}))\\n' for line in range(2000)), names)
child = os.fork()
for _ in range(2000):
    names['work']([])
if child:
    os.waitpid(child, 0)
killed(62, os.getpid(), signal.SIGKILL)
";
    let outcome = Traced::python(usual())
        .arguments(["-c", code])
        .set("PYTRACE_MODE", "events")
        .set("PYTRACE_INTERVAL_MS", "60000")
        .run();
    let captures = outcome.captures();
    assert_eq!(captures.len(), 2, "{}", outcome.stderr);
    for capture in captures {
        let sites = domains(&capture).len();
        let events = events(&capture);
        assert!(events.len() > 100_000, "{}", events.len());
        let unknown = events.iter().filter(|event| match event.change {
            Change::Allocated(block) | Change::Resized(block) => block.site.0 as usize > sites,
            _ => false,
        });
        assert_eq!(unknown.count(), 0, "of {} events", events.len());
        assert!(!crate::support::Report::of(&capture).quality.complete);
    }
}
