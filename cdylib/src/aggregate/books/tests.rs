//! The books against known histories, and against a plain model over long random ones.

use std::collections::BTreeMap;

use pytrace_format::record::{Counters, Domain, Moment};

use super::{Books, ThreadState};
use crate::events::event::{Control, Event, Kind};

const BASE: usize = 0x5555_0000_0000;

fn event(kind: Kind, domain: Domain, address: usize, size: u64, site: u32) -> Event {
    Event::block(kind, domain, address, size, (size + 15) & !15, false, site)
}

struct Ledger {
    books: Books,
    thread: ThreadState,
}

impl Ledger {
    fn new() -> Self {
        Ledger {
            books: Books::new([true; 5], false),
            thread: ThreadState::default(),
        }
    }

    fn apply(&mut self, kind: Kind, domain: Domain, address: usize, size: u64, site: u32) {
        self.books
            .apply(&mut self.thread, event(kind, domain, address, size, site));
    }

    fn control(&mut self, control: Control) {
        self.books
            .apply(&mut self.thread, Event::control(control, 0, 0));
    }

    fn of(&self, domain: Domain) -> Counters {
        self.books.counters(Some(domain))
    }
}

#[test]
fn a_block_lives_from_birth_to_death() {
    let mut ledger = Ledger::new();
    ledger.apply(Kind::Birth, Domain::Object, BASE, 40, 7);
    let live = ledger.of(Domain::Object);
    assert_eq!(
        (
            live.allocations,
            live.live_blocks,
            live.live_bytes,
            live.served_bytes
        ),
        (1, 1, 40, 48)
    );
    ledger.apply(Kind::Death, Domain::Object, BASE, 0, 0);
    let dead = ledger.of(Domain::Object);
    assert_eq!(
        (
            dead.frees,
            dead.live_blocks,
            dead.live_bytes,
            dead.peak_bytes
        ),
        (1, 0, 0, 40)
    );
    assert_eq!(dead.temporary_allocations, 1);
    ledger.apply(Kind::Death, Domain::Object, BASE, 0, 0);
    assert_eq!(ledger.books.quality.unmatched_frees, 1);
}

#[test]
fn a_block_is_temporary_unless_its_thread_allocated_in_between() {
    let mut ledger = Ledger::new();
    ledger.apply(Kind::Birth, Domain::Mem, BASE, 40, 1);
    ledger.apply(Kind::Birth, Domain::Mem, BASE + 64, 40, 1);
    ledger.apply(Kind::Death, Domain::Mem, BASE, 0, 0);
    ledger.apply(Kind::Death, Domain::Mem, BASE + 64, 0, 0);
    assert_eq!(ledger.of(Domain::Mem).temporary_allocations, 1);
    let mut other = ThreadState::default();
    ledger.apply(Kind::Birth, Domain::Mem, BASE, 40, 1);
    ledger
        .books
        .apply(&mut other, event(Kind::Death, Domain::Mem, BASE, 0, 0));
    assert_eq!(
        ledger.of(Domain::Mem).temporary_allocations,
        1,
        "another thread freed it"
    );
}

#[test]
fn a_resize_is_neither_birth_nor_death_and_moves_the_block_to_the_new_site() {
    let mut ledger = Ledger::new();
    ledger.apply(Kind::Birth, Domain::Raw, BASE, 100, 1);
    ledger.apply(Kind::ResizeOut, Domain::Raw, BASE, 0, 0);
    ledger.apply(Kind::ResizeIn, Domain::Raw, BASE + 4096, 300, 2);
    let raw = ledger.of(Domain::Raw);
    assert_eq!((raw.allocations, raw.reallocations, raw.frees), (1, 1, 0));
    assert_eq!(
        (raw.requested_bytes, raw.live_blocks, raw.live_bytes),
        (400, 1, 300)
    );
    let live_of = |site: usize| ledger.books.sites()[site].tally.record(0).live_bytes;
    assert_eq!((live_of(1), live_of(2)), (0, 300));
    ledger.apply(Kind::Death, Domain::Raw, BASE + 4096, 0, 0);
    assert_eq!(
        ledger.of(Domain::Raw).temporary_allocations,
        1,
        "resized, but no other allocation came"
    );
    assert_eq!(ledger.books.quality.unmatched_frees, 0);
}

#[test]
fn a_failed_resize_changes_nothing() {
    let mut ledger = Ledger::new();
    ledger.apply(Kind::Birth, Domain::Raw, BASE, 5, 1);
    let before = ledger.of(Domain::Raw);
    ledger.apply(Kind::ResizeOut, Domain::Raw, BASE, 0, 0);
    ledger.apply(Kind::ResizeFailed, Domain::Raw, 0, 0, 0);
    assert_eq!(ledger.of(Domain::Raw), before);
    ledger.apply(Kind::Death, Domain::Raw, BASE, 0, 0);
    assert_eq!(ledger.of(Domain::Raw).live_blocks, 0);
}

#[test]
fn a_block_from_before_the_tracing_stays_outside_when_resized() {
    let mut ledger = Ledger::new();
    ledger.apply(Kind::ResizeOut, Domain::Malloc, BASE, 0, 0);
    ledger.apply(Kind::ResizeIn, Domain::Malloc, BASE, 300, 2);
    let malloc = ledger.of(Domain::Malloc);
    assert_eq!(
        (
            malloc.reallocations,
            malloc.requested_bytes,
            malloc.live_blocks
        ),
        (1, 300, 0)
    );
    let buckets = ledger.books.sizes[Domain::Malloc as usize].buckets();
    assert_eq!(
        buckets
            .iter()
            .map(|bucket| (bucket.allocations, bucket.live_blocks))
            .collect::<Vec<_>>(),
        [(1, 0)]
    );
    ledger.apply(Kind::Death, Domain::Malloc, BASE, 0, 0);
    assert_eq!(ledger.books.quality.unmatched_frees, 1);
}

#[test]
fn a_block_resized_through_another_api_changes_domain() {
    let mut ledger = Ledger::new();
    ledger.apply(Kind::Birth, Domain::Raw, BASE, 100, 1);
    ledger.apply(Kind::ResizeOut, Domain::Malloc, BASE, 0, 0);
    ledger.apply(Kind::ResizeIn, Domain::Malloc, BASE, 200, 2);
    let (raw, malloc) = (ledger.of(Domain::Raw), ledger.of(Domain::Malloc));
    assert_eq!((raw.frees, raw.live_blocks), (1, 0));
    assert_eq!(
        (malloc.allocations, malloc.live_blocks, malloc.live_bytes),
        (1, 1, 200)
    );
}

#[test]
fn an_address_given_out_twice_ends_the_first_block() {
    let mut ledger = Ledger::new();
    ledger.apply(Kind::Birth, Domain::Mem, BASE, 100, 1);
    ledger.apply(Kind::Birth, Domain::Mem, BASE, 50, 2);
    let mem = ledger.of(Domain::Mem);
    assert_eq!((mem.allocations, mem.frees, mem.live_bytes), (2, 1, 50));
    assert_eq!(ledger.books.quality.missed_frees, 1);
}

#[test]
fn nothing_moves_after_the_freeze_but_the_tear_down() {
    let mut ledger = Ledger::new();
    ledger.apply(Kind::Birth, Domain::Mem, BASE, 100, 1);
    ledger.control(Control::Freeze);
    let before = ledger.books.counters(None);
    ledger.apply(Kind::Birth, Domain::Mem, BASE + 512, 11, 1);
    ledger.apply(Kind::Death, Domain::Mem, BASE, 0, 0);
    ledger.apply(Kind::Birth, Domain::Mmap, BASE + 4096, 4096, 3);
    assert_eq!(ledger.books.counters(None), before);
    let shutdown = ledger.books.shutdown;
    assert_eq!(
        (
            shutdown.allocations,
            shutdown.frees,
            shutdown.requested_bytes
        ),
        (1, 1, 11)
    );
}

#[test]
fn what_is_born_unseen_while_paused_counts_nowhere() {
    let mut ledger = Ledger::new();
    ledger.apply(Kind::Birth, Domain::Mem, BASE, 100, 1);
    ledger.control(Control::Paused);
    ledger.apply(Kind::ResizeOut, Domain::Mem, BASE + 512, 0, 0);
    ledger.apply(Kind::ResizeIn, Domain::Mem, BASE + 512, 77, 2);
    ledger.apply(Kind::Death, Domain::Mem, BASE + 512, 0, 0);
    ledger.apply(Kind::Death, Domain::Mem, BASE, 0, 0);
    ledger.control(Control::Resumed);
    let mem = ledger.of(Domain::Mem);
    assert_eq!((mem.allocations, mem.reallocations, mem.frees), (1, 0, 1));
    assert_eq!((mem.requested_bytes, mem.live_blocks), (100, 0));
    assert_eq!(ledger.books.quality.unmatched_while_paused, 1);
}

#[test]
fn a_hidden_domain_owns_its_blocks_but_counts_nothing() {
    let mut ledger = Ledger::new();
    ledger.books = Books::new([false, false, false, true, false], false);
    ledger.apply(Kind::Birth, Domain::Raw, BASE, 100, 1);
    ledger.apply(Kind::Death, Domain::Malloc, BASE, 0, 0);
    ledger.apply(Kind::Birth, Domain::Malloc, BASE, 30, 2);
    assert_eq!(ledger.books.counters(None).allocations, 1);
    assert_eq!(ledger.of(Domain::Malloc).live_bytes, 30);
    assert_eq!(ledger.books.quality.unmatched_frees, 0);
}

#[test]
fn mappings_shrink_end_move_and_come_back() {
    let mut ledger = Ledger::new();
    let page = 4096u64;
    ledger.apply(Kind::Birth, Domain::Mmap, BASE, 8 * page, 1);
    let unmap = |ledger: &mut Ledger, address, pages, outcome| {
        ledger.apply(Kind::ResizeOut, Domain::Mmap, address, pages * page, 0);
        ledger.apply(outcome, Domain::Mmap, 0, 0, 0);
    };
    unmap(&mut ledger, BASE + 2 * 4096, 2, Kind::ResizeFailed);
    assert_eq!(ledger.of(Domain::Mmap).live_bytes, 8 * page);
    unmap(&mut ledger, BASE + 2 * 4096, 2, Kind::Death);
    let cut = ledger.of(Domain::Mmap);
    assert_eq!(
        (cut.live_blocks, cut.live_bytes, cut.frees),
        (1, 6 * page, 0)
    );
    ledger.apply(Kind::ResizeOut, Domain::Mmap, BASE, 8 * page, 0);
    ledger.apply(Kind::ResizeIn, Domain::Mmap, BASE + (1 << 20), 16 * page, 2);
    let moved = ledger.of(Domain::Mmap);
    assert_eq!(
        (moved.reallocations, moved.live_blocks, moved.live_bytes),
        (1, 1, 16 * page)
    );
    unmap(&mut ledger, BASE, 4096, Kind::Death);
    let ended = ledger.of(Domain::Mmap);
    assert_eq!(
        (ended.frees, ended.live_blocks, ended.live_bytes),
        (1, 0, 0)
    );
    assert_eq!(
        ledger.books.counters(None).allocations,
        0,
        "the total leaves mappings out"
    );
}

#[test]
fn sums_and_peak_agree_with_a_plain_model() {
    let mut ledger = Ledger::new();
    let mut live: BTreeMap<usize, (u64, Domain)> = BTreeMap::new();
    let (mut total, mut most) = (0u64, 0u64);
    let mut at_peak = [0u64; 5];
    let mut seed = 11u64;
    for _ in 0..60_000 {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let address = BASE + ((seed >> 34) % 700) as usize * 1024;
        let size = (seed >> 20) % 900;
        let site = (seed >> 50) as u32 % 40;
        let domain = Domain::ALL[site as usize % 4];
        match live.get(&address).copied() {
            None => {
                ledger.apply(Kind::Birth, domain, address, size, site);
                live.insert(address, (size, domain));
                total += size;
            }
            Some((old, owner)) if seed & 3 == 0 => {
                let site = site / 4 * 4 + owner as u32;
                ledger.apply(Kind::ResizeOut, owner, address, 0, 0);
                ledger.apply(Kind::ResizeIn, owner, address, size, site);
                live.insert(address, (size, owner));
                total = total - old + size;
            }
            Some((old, owner)) => {
                ledger.apply(Kind::Death, owner, address, 0, 0);
                live.remove(&address);
                total -= old;
            }
        }
        if total > most {
            most = total;
            at_peak = [0; 5];
            for (size, domain) in live.values() {
                at_peak[*domain as usize] += size;
            }
        }
    }
    let books = &ledger.books;
    for domain in Domain::ALL {
        let counters = books.counters(Some(domain));
        let blocks: Vec<u64> = live
            .values()
            .filter(|(_, of)| *of == domain)
            .map(|(size, _)| *size)
            .collect();
        assert_eq!(counters.live_blocks, blocks.len() as u64);
        assert_eq!(counters.live_bytes, blocks.iter().sum::<u64>());
        assert_eq!(counters.allocations - counters.frees, counters.live_blocks);
        assert_eq!(counters.peak_bytes, at_peak[domain as usize]);
    }
    assert_eq!(books.total_extremes().max_live_bytes, most);
    assert_eq!(books.counters(None).peak_bytes, most);
}

/// Everything that the books say, in a form that can be compared.
fn said(books: &mut Books) -> Vec<String> {
    let mut said = vec![format!("{:?}", books.quality)];
    for domain in Domain::ALL {
        let extremes = books.domains[domain as usize];
        said.push(format!("{:?} {extremes:?}", books.counters(Some(domain))));
        said.push(format!("{:?}", books.sizes[domain as usize].buckets()));
    }
    said.push(format!("{:?} {:?}", books.total_extremes(), books.peak));
    for moment in [Moment::ExitByEvents, Moment::Peak] {
        said.push(format!("{:?}", books.pools.state(moment, books.peak)));
    }
    let mut changed = books.take_changed_sites();
    changed.sort_unstable();
    said.push(format!("{changed:?}"));
    let peak = books.peak;
    said.extend(
        books
            .sites()
            .iter()
            .map(|row| format!("{:?}", row.tally.record(peak))),
    );
    said
}

#[test]
fn brief_blocks_change_the_books_as_birth_and_death_do() {
    let mut seed = 11u64;
    let mut random = move |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) % below
    };
    let (mut one_by_one, mut in_pairs) = (Ledger::new(), Ledger::new());
    for ledger in [&mut one_by_one, &mut in_pairs] {
        let arena = Event::control(Control::ArenaMapped, BASE, 1 << 20);
        ledger.books.apply(&mut ledger.thread, arena);
    }
    let mut events = Vec::new();
    for step in 0..40_000u64 {
        let site = 5 + random(40) as u32;
        // Pools hold blocks of one class, and no others.
        let is_pooled = random(2) == 0;
        let (address, size, served, domain) = if is_pooled {
            let pool = random(4) as usize;
            let served = 64 * (pool as u64 + 1);
            let block = random((1 << 14) / served) as usize * served as usize;
            let address = BASE + (pool << 14) + block;
            (address, served - random(16), served, Domain::Object)
        } else {
            let address = BASE + (1 << 20) + 64 * random(3000) as usize;
            let size = [random(512), random(4000)][random(9) as usize / 8];
            let domain = Domain::ALL[random(5) as usize];
            (address, size, (size + 15).max(16) & !15, domain)
        };
        let kind = if domain == Domain::Mmap {
            Kind::Birth
        } else {
            [Kind::Birth, Kind::ResizeIn][random(12) as usize / 11]
        };
        events.push(Event::block(
            kind, domain, address, size, served, is_pooled, site,
        ));
        match random(10) {
            0 => {}
            1 => events.push(Event::inner_death(domain, address)),
            2 => events.push(event(Kind::Death, domain, address + 32, 0, 0)),
            _ => events.push(event(Kind::Death, domain, address, 0, 0)),
        }
        if random(50) == 0 {
            events.push(Event::segment(1 + step));
        }
        if random(90) == 0 {
            events.push(Event::wide_prefix(5 << 32, 6 << 32));
        }
    }
    let mut brief = 0;
    let mut at = 0;
    while at < events.len() {
        let Ledger { books, thread } = &mut in_pairs;
        let together = events
            .get(at + 1)
            .is_some_and(|&next| books.apply_brief(thread, events[at], next));
        if !together {
            books.apply(thread, events[at]);
        }
        let taken = 1 + usize::from(together);
        brief += usize::from(together);
        for &event in &events[at..at + taken] {
            one_by_one.books.apply(&mut one_by_one.thread, event);
        }
        at += taken;
        if at % 997 < 2 {
            assert_eq!(
                said(&mut one_by_one.books),
                said(&mut in_pairs.books),
                "event {at}"
            );
        }
    }
    assert!(brief > events.len() / 8, "{brief} of {}", events.len());
    assert_eq!(said(&mut one_by_one.books), said(&mut in_pairs.books));
}
