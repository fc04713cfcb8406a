//! What the shim's heap lives on when the system gives no more memory.
//!
//! The first refusal stops the recording; what is under way is served from a reserve, as it cannot be given up: a table that cannot
//! grow ends the process. The reserve keeps pace with the largest block, since tables grow to twice their size at most.
//!
//! Invariant: what was taken of a reserve is never given back. Entered under the heap's lock, or in a child that has one thread.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};

use super::syscall;

/// Bytes of the first reserve. They take address space of the library; memory only when they are used.
const RESERVE_BYTES: usize = 8 << 20;

#[repr(align(4096))]
struct Pool(UnsafeCell<[u8; RESERVE_BYTES]>);

// SAFETY: disjoint parts are handed out by an atomic counter.
unsafe impl Sync for Pool {}

static POOL: Pool = Pool(UnsafeCell::new([0; RESERVE_BYTES]));

/// Zeroed pages that are kept for when the system gives none. What is taken is never given back.
struct Reserve {
    start: AtomicPtr<u8>,
    size: AtomicUsize,
    used: AtomicUsize,
}

impl Reserve {
    const fn of(start: *mut u8, size: usize) -> Reserve {
        Reserve {
            start: AtomicPtr::new(start),
            size: AtomicUsize::new(size),
            used: AtomicUsize::new(0),
        }
    }

    fn take(&self, size: usize) -> Option<*mut u8> {
        let whole = size.checked_next_multiple_of(4096)?;
        let most = self.size.load(Ordering::Relaxed);
        let offset = self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(whole).filter(|&end| end <= most)
            })
            .ok()?;
        Some(self.start.load(Ordering::Relaxed).wrapping_add(offset))
    }

    /// Whether a range touches it.
    fn holds(&self, address: *mut u8, size: usize) -> bool {
        let start = self.start.load(Ordering::Relaxed).addr();
        let end = start + self.size.load(Ordering::Relaxed);
        address.addr() < end && address.addr() + size > start
    }
}

static FIRST_RESERVE: Reserve = Reserve::of(POOL.0.get().cast(), RESERVE_BYTES);
/// What stands behind the first one when blocks are large. Changed under the heap's lock, or in a child that has one thread.
static LATER_RESERVE: Reserve = Reserve::of(core::ptr::null_mut(), 0);

/// The largest block that the heap had from the system.
static LARGEST_BYTES: AtomicUsize = AtomicUsize::new(0);

/// So many times the largest block are in reserve: two tables that grow to twice their size at once.
const RESERVED_TIMES: usize = 4;

/// Keeps a reserve that fits the largest block, of which this may be the first. Where the system has no room for it, that is the
/// shortage: now, while there is a reserve for what is under way.
pub(super) fn keep_pace(block_bytes: usize) {
    if block_bytes <= LARGEST_BYTES.load(Ordering::Relaxed) || is_short() {
        return;
    }
    LARGEST_BYTES.store(block_bytes, Ordering::Relaxed);
    let wanted = block_bytes.saturating_mul(RESERVED_TIMES);
    if wanted <= RESERVE_BYTES {
        return;
    }
    let Some(pages) = syscall::map_pages(wanted) else {
        return tell_shortage();
    };
    drop_later_reserve();
    LATER_RESERVE.start.store(pages, Ordering::Relaxed);
    LATER_RESERVE.size.store(wanted, Ordering::Relaxed);
}

/// Gives the later reserve back, which nothing was taken of.
fn drop_later_reserve() {
    let size = LATER_RESERVE.size.swap(0, Ordering::Relaxed);
    if size > 0 && LATER_RESERVE.used.load(Ordering::Relaxed) == 0 {
        // SAFETY: `keep_pace` mapped it, and nothing of it was handed out.
        unsafe { syscall::unmap_pages(LATER_RESERVE.start.load(Ordering::Relaxed), size) };
    }
}

/// The system refused memory.
static SHORT: AtomicBool = AtomicBool::new(false);
/// What to do about it: a `fn()`, or null.
static ON_SHORTAGE: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

/// Has `action` called when the system refuses memory for the first time. It must not allocate.
pub(crate) fn on_shortage(action: fn()) {
    ON_SHORTAGE.store(action as *mut (), Ordering::Release);
}

/// Whether the system refused memory: from then on nothing is recorded or written.
pub(crate) fn is_short() -> bool {
    SHORT.load(Ordering::Relaxed)
}

/// Serves from the reserve, as the system refused: says so first.
#[cold]
pub(super) fn take(size: usize) -> Option<*mut u8> {
    tell_shortage();
    FIRST_RESERVE
        .take(size)
        .or_else(|| LATER_RESERVE.take(size))
}

/// The system refused memory: what is to be done about it is done, once.
#[cold]
fn tell_shortage() {
    if !SHORT.swap(true, Ordering::AcqRel) {
        let action = ON_SHORTAGE.load(Ordering::Acquire);
        if !action.is_null() {
            // SAFETY: only `on_shortage` stores there: a function of this type.
            let action = unsafe { core::mem::transmute::<*mut (), fn()>(action) };
            action();
        }
    }
}

/// Whether a range touches a reserve, which is never unmapped.
pub(super) fn holds(address: *mut u8, size: usize) -> bool {
    FIRST_RESERVE.holds(address, size) || LATER_RESERVE.holds(address, size)
}

/// A forked child begins a new heap: its blocks are small again.
pub(super) fn begin_anew() {
    LARGEST_BYTES.store(0, Ordering::Relaxed);
    drop_later_reserve();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserve_gives_zeroed_pages_until_it_is_used_up_and_keeps_them() {
        const BYTES: usize = 10 << 20;
        let reserve = Reserve::of(syscall::map_pages(BYTES).expect("memory"), BYTES);
        let mut parts = Vec::new();
        while let Some(part) = reserve.take(1_000_001) {
            parts.push(part);
        }
        assert_eq!(parts.len(), BYTES / 1_003_520);
        for part in parts {
            // SAFETY: the part is of that size, and nobody else's.
            let bytes = unsafe { core::slice::from_raw_parts(part, 1_000_001) };
            assert!((part as usize).is_multiple_of(4096) && bytes.iter().all(|&byte| byte == 0));
            assert!(reserve.holds(part, 1_003_520) && reserve.holds(part.wrapping_sub(1), 2));
        }
        assert!(reserve.take(1).is_some(), "a page is left");
        assert!(reserve.take(usize::MAX).is_none());
    }

    #[test]
    fn the_reserve_keeps_pace_with_the_largest_block() {
        let large = vec![1u8; 20 << 20];
        assert!(LATER_RESERVE.size.load(Ordering::Relaxed) >= 4 * large.len());
        assert!(!holds(large.as_ptr().cast_mut(), large.len()));
    }
}
