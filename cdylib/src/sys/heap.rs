//! The shim's own heap: dlmalloc over raw mappings. The program's heap never sees an allocation of ours.
//!
//! Invariant: memory of one generation is never given to another. A forked child starts a new generation and leaks the
//! old one, whose lock may be held by a thread that does not exist there. Entered by any thread, from cold paths only.
//!
//! When the system gives no more memory, a reserve serves what is under way, and the recording stops: nobody asks for
//! much after that. Tables that may be large ask for room before they grow (`try_reserve`).

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};

use dlmalloc::Dlmalloc;

use super::lock::Lock;
use super::syscall;

/// Bytes mapped by the shim for itself: its heap, thread slots, buffers, tables.
static MAPPED_BYTES: AtomicU64 = AtomicU64::new(0);

/// Bytes that the shim has mapped for itself.
pub(crate) fn mapped_bytes() -> u64 {
    MAPPED_BYTES.load(Ordering::Relaxed)
}

/// Maps zeroed pages that stay until [`unmap`], counted as the shim's own.
pub(crate) fn map(size: usize) -> Option<*mut u8> {
    let pages = syscall::map_pages(size)?;
    MAPPED_BYTES.fetch_add(size as u64, Ordering::Relaxed);
    Some(pages)
}

/// Returns pages that [`map`] gave, whole or in part.
///
/// # Safety
/// Nothing refers to the range any more.
pub(crate) unsafe fn unmap(address: *mut u8, size: usize) -> bool {
    // SAFETY: passed on from the caller.
    let done = unsafe { syscall::unmap_pages(address, size) };
    if done {
        MAPPED_BYTES.fetch_sub(size as u64, Ordering::Relaxed);
    }
    done
}

/// Bytes of the reserve. They take address space of the library; memory only when they are used.
const RESERVE_BYTES: usize = 8 << 20;

#[repr(align(4096))]
struct Reserve(UnsafeCell<[u8; RESERVE_BYTES]>);

// SAFETY: disjoint parts are handed out by an atomic counter.
unsafe impl Sync for Reserve {}

static RESERVE: Reserve = Reserve(UnsafeCell::new([0; RESERVE_BYTES]));
static RESERVE_USED: AtomicUsize = AtomicUsize::new(0);

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

/// Whether the system would give that much memory now.
pub(crate) fn can_map(size: usize) -> bool {
    let Some(pages) = syscall::map_pages(size) else {
        return false;
    };
    // SAFETY: mapped just now, for nobody.
    unsafe { syscall::unmap_pages(pages, size) }
}

/// Bytes of dlmalloc's segments.
static HEAP_BYTES: AtomicU64 = AtomicU64::new(0);

/// Bytes that the heap has from the system, without what is mapped beside it.
pub(crate) fn heap_bytes() -> u64 {
    HEAP_BYTES.load(Ordering::Relaxed)
}

/// Serves from the reserve, as the system refused: says so first.
#[cold]
fn from_reserve(size: usize) -> Option<*mut u8> {
    if !SHORT.swap(true, Ordering::AcqRel) {
        let action = ON_SHORTAGE.load(Ordering::Acquire);
        if !action.is_null() {
            // SAFETY: only `on_shortage` stores there: a function of this type.
            let action = unsafe { core::mem::transmute::<*mut (), fn()>(action) };
            action();
        }
    }
    take_reserved(size)
}

/// Zeroed pages of the reserve, which are never given back.
fn take_reserved(size: usize) -> Option<*mut u8> {
    let whole = size.next_multiple_of(4096);
    let start = RESERVE_USED
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            used.checked_add(whole).filter(|&end| end <= RESERVE_BYTES)
        })
        .ok()?;
    Some(RESERVE.0.get().cast::<u8>().wrapping_add(start))
}

/// Whether a range touches the reserve, which is never unmapped.
fn is_reserved(address: *mut u8, size: usize) -> bool {
    let reserve = RESERVE.0.get() as usize;
    (address as usize) < reserve + RESERVE_BYTES && address as usize + size > reserve
}

/// Where dlmalloc gets its memory.
struct Pages;

// SAFETY: `alloc` hands out fresh mappings that nobody else has; the remaining methods decline or unmap what it gave.
unsafe impl dlmalloc::Allocator for Pages {
    fn alloc(&self, size: usize) -> (*mut u8, usize, u32) {
        match map(size).or_else(|| from_reserve(size)) {
            Some(pages) => {
                HEAP_BYTES.fetch_add(size as u64, Ordering::Relaxed);
                (pages, size, 0)
            }
            None => (core::ptr::null_mut(), 0, 0),
        }
    }

    fn remap(&self, _: *mut u8, _: usize, _: usize, _: bool) -> *mut u8 {
        core::ptr::null_mut()
    }

    fn free_part(&self, address: *mut u8, old_size: usize, new_size: usize) -> bool {
        self.free(address.wrapping_add(new_size), old_size - new_size)
    }

    fn free(&self, address: *mut u8, size: usize) -> bool {
        // SAFETY: dlmalloc gives up a segment that `alloc` made, or the tail of one; what is reserved stays.
        let done = !is_reserved(address, size) && unsafe { unmap(address, size) };
        if done {
            HEAP_BYTES.fetch_sub(size as u64, Ordering::Relaxed);
        }
        done
    }

    fn can_release_part(&self, _flags: u32) -> bool {
        true
    }

    fn allocates_zeros(&self) -> bool {
        true
    }

    fn page_size(&self) -> usize {
        4096
    }
}

type Heap = Lock<Dlmalloc<Pages>>;

static FIRST: Heap = Lock::new(Dlmalloc::new_with_allocator(Pages));
static CURRENT: AtomicPtr<Heap> = AtomicPtr::new((&raw const FIRST).cast_mut());

fn current() -> &'static Heap {
    // SAFETY: points to FIRST or to a heap that `start_generation` wrote completely and that is never unmapped; Acquire
    // pairs with its Release.
    unsafe { &*CURRENT.load(Ordering::Acquire) }
}

/// Starts a new heap and abandons the old one, as the only thread of a forked child must. Returns false when there is no
/// memory for it: then the old heap stays and must not be used.
pub(crate) fn start_generation() -> bool {
    let size = size_of::<Heap>().next_multiple_of(4096);
    let Some(pages) = map(size).or_else(|| from_reserve(size)) else {
        return false;
    };
    let heap: *mut Heap = pages.cast();
    HEAP_BYTES.store(0, Ordering::Relaxed);
    // SAFETY: fresh pages, large enough and page-aligned.
    unsafe { heap.write(Lock::new(Dlmalloc::new_with_allocator(Pages))) };
    CURRENT.store(heap, Ordering::Release);
    true
}

/// The global allocator of the shim.
struct OwnHeap;

// Functions of their own: what dlmalloc asserts of its lists is in them alone.
// SAFETY: dlmalloc's contract is GlobalAlloc's; its lock makes it usable from every thread.
unsafe impl GlobalAlloc for OwnHeap {
    #[inline(never)]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the size is not zero by GlobalAlloc's contract.
        unsafe { current().lock().malloc(layout.size(), layout.align()) }
    }

    #[inline(never)]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        unsafe { current().lock().calloc(layout.size(), layout.align()) }
    }

    #[inline(never)]
    unsafe fn dealloc(&self, address: *mut u8, layout: Layout) {
        // SAFETY: the block came from this heap with this layout; generations are never mixed (module invariant).
        unsafe {
            current()
                .lock()
                .free(address, layout.size(), layout.align());
        }
    }

    #[inline(never)]
    unsafe fn realloc(&self, address: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: as for `dealloc`.
        unsafe {
            current()
                .lock()
                .realloc(address, layout.size(), layout.align(), new_size)
        }
    }
}

// Miri is to see each block of the tests' by itself.
#[cfg_attr(not(miri), global_allocator)]
static OWN_HEAP: OwnHeap = OwnHeap;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_grow_on_the_own_heap() {
        let before = mapped_bytes();
        let large = vec![1u8; 3 << 20];
        assert!(mapped_bytes() >= before + (3 << 20));
        assert!(large.iter().all(|&byte| byte == 1));
    }

    #[test]
    fn more_than_there_is_cannot_be_mapped() {
        assert!(can_map(1 << 20));
        assert!(!can_map(1 << 62));
    }

    #[test]
    fn the_reserve_gives_zeroed_pages_until_it_is_used_up_and_keeps_them() {
        let mut parts = Vec::new();
        while let Some(part) = take_reserved(1_000_001) {
            parts.push(part);
        }
        assert_eq!(parts.len(), RESERVE_BYTES / 1_003_520);
        for part in parts {
            // SAFETY: the part is of that size, and nobody else's.
            let bytes = unsafe { core::slice::from_raw_parts(part, 1_000_001) };
            assert!((part as usize).is_multiple_of(4096) && bytes.iter().all(|&byte| byte == 0));
            assert!(!dlmalloc::Allocator::free(&Pages, part, 1_003_520));
        }
        assert!(take_reserved(1).is_some(), "a page is left");
    }
}
