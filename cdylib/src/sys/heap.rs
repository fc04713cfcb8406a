//! The shim's own heap: dlmalloc over raw mappings. The program's heap never sees an allocation of ours.
//!
//! Invariant: memory of one generation is never given to another. A forked child starts a new generation and leaks the
//! old one, whose lock may be held by a thread that does not exist there. Entered by any thread, from cold paths only.
//!
//! When the system gives no more memory, a reserve serves what is under way, and the recording stops: see [`super::reserve`].

use core::alloc::{GlobalAlloc, Layout};
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use dlmalloc::Dlmalloc;

use super::lock::Lock;
pub(crate) use super::reserve::{is_short, on_shortage};
use super::{reserve, syscall};

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

/// Where dlmalloc gets its memory.
struct Pages;

// SAFETY: `alloc` hands out fresh mappings that nobody else has; the remaining methods decline or unmap what it gave.
unsafe impl dlmalloc::Allocator for Pages {
    fn alloc(&self, size: usize) -> (*mut u8, usize, u32) {
        match map(size).or_else(|| reserve::take(size)) {
            Some(pages) => {
                HEAP_BYTES.fetch_add(size as u64, Ordering::Relaxed);
                reserve::keep_pace(size);
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
        let done = !reserve::holds(address, size) && unsafe { unmap(address, size) };
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
    let Some(pages) = map(size).or_else(|| reserve::take(size)) else {
        return false;
    };
    let heap: *mut Heap = pages.cast();
    HEAP_BYTES.store(0, Ordering::Relaxed);
    reserve::begin_anew();
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
        // More than all other tests that run meanwhile have together.
        let mut large = Vec::with_capacity(256 << 20);
        large.push(1u8);
        assert!(mapped_bytes() >= 256 << 20);
    }

    #[test]
    fn more_than_there_is_cannot_be_mapped() {
        assert!(can_map(1 << 20));
        assert!(!can_map(1 << 62));
    }
}
