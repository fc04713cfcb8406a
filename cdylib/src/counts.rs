//! `counts` mode: what each thread counts itself, without events and without a background thread.
//!
//! Invariant: a page is written by its owner thread alone, with plain loads and stores; whoever adds the pages up sees each
//! number as of a moment ago. Entered by hooks (owner) and by the aggregator's holder (reader).

use core::ffi::c_void;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering};

use pytrace_format::record::Domain;

use crate::aggregate::sizes::EXACT;
use crate::events::event::Kind;
use crate::record;
use crate::session::Session;
use crate::sys::heap;
use crate::thread::Hook;

/// Domains whose calls are counted here: all but `mmap`, whose ranges need books.
pub(crate) const COUNTED: [Domain; 4] = [Domain::Raw, Domain::Mem, Domain::Object, Domain::Malloc];

/// Buckets per power of two above the sizes that have one each: those that hdrhistogram makes of two digits.
const BUCKETS_PER_OCTAVE: usize = 128;
const FIRST_OCTAVE: u32 = EXACT.ilog2();
const OCTAVES: usize = (u64::BITS - FIRST_OCTAVE) as usize;

/// Births after which a thread looks whether the capture is due.
const BIRTHS_PER_LOOK: u64 = 1024;

/// A bucket of large sizes.
#[repr(C)]
struct Large {
    count: AtomicU64,
    bytes: AtomicU64,
}

/// One domain's numbers. All-zero is the state before the first call.
#[repr(C)]
struct Numbers {
    resizes: AtomicU64,
    deaths: AtomicU64,
    served_bytes: AtomicU64,
    max_size_bytes: AtomicU64,
    exact: [AtomicU64; EXACT as usize + 1],
    large: [Large; OCTAVES * BUCKETS_PER_OCTAVE],
}

/// One thread's numbers, in pages of their own: only what is used is in memory.
#[repr(C)]
pub(crate) struct Page {
    births: AtomicU64,
    domains: [Numbers; COUNTED.len()],
}

/// Adds to a number of this thread's: no other thread writes it, so no locked instruction is needed.
#[inline(always)]
fn add(number: &AtomicU64, amount: u64) -> u64 {
    let sum = number.load(Ordering::Relaxed).wrapping_add(amount);
    number.store(sum, Ordering::Relaxed);
    sum
}

fn bucket_of(size: u64) -> usize {
    let octave = size.max(1).ilog2();
    let within = (size >> (octave - BUCKETS_PER_OCTAVE.ilog2())) as usize % BUCKETS_PER_OCTAVE;
    octave.saturating_sub(FIRST_OCTAVE) as usize * BUCKETS_PER_OCTAVE + within
}

/// The smallest size of a bucket.
fn first_of_bucket(bucket: usize) -> u64 {
    let octave = FIRST_OCTAVE + (bucket / BUCKETS_PER_OCTAVE) as u32;
    let within = (BUCKETS_PER_OCTAVE + bucket % BUCKETS_PER_OCTAVE) as u64;
    within << (octave - BUCKETS_PER_OCTAVE.ilog2())
}

impl Page {
    /// Maps a page for a thread.
    pub(crate) fn map() -> Option<NonNull<Page>> {
        NonNull::new(heap::map(size_of::<Page>().next_multiple_of(4096))?.cast())
    }

    #[inline(always)]
    fn of(&self, domain: Domain) -> Option<&Numbers> {
        self.domains.get(domain as usize)
    }
}

impl Numbers {
    #[inline(always)]
    fn asked(&self, size: u64, served: u64) {
        add(&self.served_bytes, served);
        match self.exact.get(size as usize) {
            Some(count) => {
                add(count, 1);
            }
            None => self.asked_large(size),
        }
    }

    #[inline(never)]
    fn asked_large(&self, size: u64) {
        if size > self.max_size_bytes.load(Ordering::Relaxed) {
            self.max_size_bytes.store(size, Ordering::Relaxed);
        }
        if let Some(bucket) = self.large.get(bucket_of(size)) {
            add(&bucket.count, 1);
            add(&bucket.bytes, size);
        }
    }
}

/// Counts a block that was given (`Birth`), or given anew (`ResizeIn`).
#[inline(always)]
pub(crate) fn block(
    hook: &Hook<'_>,
    session: &'static Session,
    kind: Kind,
    domain: Domain,
    address: *mut c_void,
    size: usize,
) {
    hook.recording();
    let Some(slot) = session.slot(hook.word()) else {
        return;
    };
    if domain == Domain::Mem || domain == Domain::Object {
        session.python.check_first_frame();
    }
    let (served, _) = record::served(hook, session, domain, address, size);
    let Some(page) = slot.counts() else {
        return slot.lose(1);
    };
    let Some(numbers) = page.of(domain) else {
        return;
    };
    numbers.asked(size as u64, served as u64);
    if kind == Kind::ResizeIn {
        add(&numbers.resizes, 1);
    }
    if add(&page.births, 1).is_multiple_of(BIRTHS_PER_LOOK) {
        session.sample_if_due();
    }
}

/// Counts a block that is about to be freed.
#[inline(always)]
pub(crate) fn death(hook: &Hook<'_>, session: &'static Session, domain: Domain) {
    hook.recording();
    let Some(slot) = session.slot(hook.word()) else {
        return;
    };
    match slot.counts() {
        Some(page) => {
            if let Some(numbers) = page.of(domain) {
                add(&numbers.deaths, 1);
            }
        }
        None => slot.lose(1),
    }
}

/// What all threads together counted in one domain.
#[derive(Debug, Default)]
pub(crate) struct Sum {
    pub(crate) births: u64,
    pub(crate) resizes: u64,
    pub(crate) deaths: u64,
    pub(crate) requested_bytes: u64,
    pub(crate) served_bytes: u64,
    pub(crate) max_size_bytes: u64,
    /// Size (the smallest of its bucket), how many were asked for, their bytes; ascending, none empty.
    pub(crate) sizes: Vec<(u64, u64, u64)>,
}

impl Sum {
    /// Adds up the pages of all threads that there were.
    pub(crate) fn of<'a>(domain: Domain, pages: impl Iterator<Item = &'a Page>) -> Sum {
        let mut sum = Sum::default();
        let buckets = OCTAVES * BUCKETS_PER_OCTAVE;
        let mut rows = vec![(0, 0); EXACT as usize + 1 + buckets];
        for numbers in pages.filter_map(|page| page.of(domain)) {
            let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
            sum.resizes += read(&numbers.resizes);
            sum.deaths += read(&numbers.deaths);
            sum.served_bytes = sum.served_bytes.wrapping_add(read(&numbers.served_bytes));
            sum.max_size_bytes = sum.max_size_bytes.max(read(&numbers.max_size_bytes));
            // Sizes of an octave share pages; one that was never used is not touched here either.
            let largest = bucket_of(read(&numbers.max_size_bytes).max(EXACT));
            let exact = (0..).zip(&numbers.exact).map(|(size, count)| {
                let count = read(count);
                (count, count.wrapping_mul(size))
            });
            let large = numbers.large.iter().take(largest + 1);
            let large = large.map(|bucket| (read(&bucket.count), read(&bucket.bytes)));
            for (row, (count, bytes)) in rows.iter_mut().zip(exact.chain(large)) {
                row.0 += count;
                row.1 += bytes;
            }
        }
        let large = (0..buckets).map(|bucket| first_of_bucket(bucket).max(EXACT + 1));
        let sizes = (0..=EXACT).chain(large);
        for (size, (count, bytes)) in sizes.zip(rows) {
            if count > 0 {
                sum.births += count;
                sum.requested_bytes = sum.requested_bytes.wrapping_add(bytes);
                sum.max_size_bytes = sum.max_size_bytes.max(size);
                sum.sizes.push((size, count, bytes));
            }
        }
        // A number read a moment later than its neighbour may be ahead of it.
        sum.births = sum.births.saturating_sub(sum.resizes);
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_in_order_and_hold_their_sizes() {
        for size in [
            1025u64,
            1031,
            1032,
            4096,
            1 << 20,
            (1 << 33) + 12345,
            u64::MAX,
        ] {
            let bucket = bucket_of(size);
            assert!(bucket < OCTAVES * BUCKETS_PER_OCTAVE);
            let first = first_of_bucket(bucket);
            assert!(
                first <= size && (size - first) * 100 <= first,
                "{size} {first}"
            );
            assert_eq!(bucket_of(first), bucket);
        }
        let firsts: Vec<u64> = (0..OCTAVES * BUCKETS_PER_OCTAVE)
            .map(first_of_bucket)
            .collect();
        assert!(firsts.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(firsts[0], EXACT);
    }

    #[test]
    fn sums_are_those_of_all_threads() {
        let pages: Vec<&Page> = (0..3)
            // SAFETY: fresh zeroed pages, which are a valid `Page`; never unmapped.
            .map(|_| unsafe { Page::map().expect("memory").as_ref() })
            .collect();
        for (page, size) in pages.iter().zip([10, 1024, 5_000_000]) {
            let numbers = page.of(Domain::Object).expect("counted");
            numbers.asked(size, size + 6);
            numbers.asked(7, 16);
            add(&numbers.deaths, 1);
        }
        add(&pages[0].of(Domain::Object).expect("counted").resizes, 1);
        let sum = Sum::of(Domain::Object, pages.iter().copied());
        assert_eq!((sum.births, sum.resizes, sum.deaths), (5, 1, 3));
        assert_eq!(sum.requested_bytes, 10 + 1024 + 5_000_000 + 21);
        assert_eq!(sum.served_bytes, 10 + 1024 + 5_000_000 + 18 + 48);
        assert_eq!(sum.max_size_bytes, 5_000_000);
        assert_eq!(sum.sizes.first(), Some(&(7, 3, 21)));
        assert_eq!(sum.sizes.len(), 4);
        let other = Sum::of(Domain::Raw, pages.into_iter());
        assert_eq!((other.births, other.sizes.len()), (0, 0));
    }
}
