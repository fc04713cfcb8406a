//! Memory: pages of our own, and what the kernel knows of others.

use super::{is_error, raw};

pub(crate) use pages::{map_pages, unmap_pages};

#[cfg(not(miri))]
mod pages {
    use super::{is_error, raw};

    /// Maps `size` bytes of zeroed private memory; `None` when the system refuses.
    pub(crate) fn map_pages(size: usize) -> Option<*mut u8> {
        let protection = (libc::PROT_READ | libc::PROT_WRITE) as usize;
        let flags = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE) as usize;
        // SAFETY: a fresh anonymous mapping at an address of the kernel's choice touches no memory in use.
        let result = unsafe { raw(libc::SYS_mmap, [0, size, protection, flags, usize::MAX, 0]) };
        (!is_error(result)).then_some(result as *mut u8)
    }

    /// Unmaps pages that [`map_pages`] gave.
    ///
    /// # Safety
    /// `[address, address + size)` is part of such a mapping, and nothing refers to it any more.
    pub(crate) unsafe fn unmap_pages(address: *mut u8, size: usize) -> bool {
        // SAFETY: the caller gives up the range.
        let result = unsafe { raw(libc::SYS_munmap, [address as usize, size, 0, 0, 0, 0]) };
        !is_error(result)
    }
}

/// Under Miri, which has no system calls: the standard library's pages. A part that is given back stays until the end.
#[cfg(miri)]
mod pages {
    use std::alloc::{GlobalAlloc, Layout, System};

    pub(crate) fn map_pages(size: usize) -> Option<*mut u8> {
        let layout = Layout::from_size_align(size, 4096).ok()?;
        // SAFETY: nobody maps nothing.
        let pages = unsafe { System.alloc_zeroed(layout) };
        (!pages.is_null()).then_some(pages)
    }

    pub(crate) unsafe fn unmap_pages(_address: *mut u8, _size: usize) -> bool {
        true
    }
}

/// Has a range of whole private pages read as zeroes in children that do not share this process's memory.
pub(crate) fn wipe_in_children(address: *const u8, size: usize) {
    let wipe = libc::MADV_WIPEONFORK as usize;
    // SAFETY: the advice changes no memory of this process; a range that is not whole pages is refused.
    unsafe { raw(libc::SYS_madvise, [address as usize, size, wipe, 0, 0, 0]) };
}

/// Pages of `[address, address + size)` that are in memory; at most 1 MiB is looked at.
pub(crate) fn resident_pages(address: *const u8, size: usize) -> usize {
    let mut pages = [0u8; 256];
    let size = size.min(pages.len() * 4096);
    // SAFETY: mincore writes a byte per page of the range into the array, which has room for them.
    let result = unsafe {
        raw(
            libc::SYS_mincore,
            [address as usize, size, pages.as_mut_ptr() as usize, 0, 0, 0],
        )
    };
    if is_error(result) {
        return 0;
    }
    pages.iter().filter(|&&page| page & 1 == 1).count()
}

/// Whether the word at an address can be read. The kernel copies the signal set before it refuses the bad request, so nothing
/// changes (the way of Abseil's `AddressIsReadable`).
pub(crate) fn is_readable(address: usize) -> bool {
    const NO_SUCH_REQUEST: usize = usize::MAX;
    // SAFETY: the request is invalid, so that at most the 8 bytes at the address are read, by the kernel, which answers
    // EFAULT when they cannot be.
    let result = unsafe {
        raw(
            libc::SYS_rt_sigprocmask,
            [NO_SUCH_REQUEST, address, 0, size_of::<u64>(), 0, 0],
        )
    };
    // Anything else than the refusal of the request (a filter's answer, say) tells nothing.
    result == -(libc::EINVAL as isize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_read_is_known_without_reading_it() {
        let pages = map_pages(2 * 4096).expect("memory");
        assert!(is_readable(pages as usize) && is_readable(pages as usize + 8184));
        // SAFETY: the page was mapped above, and nothing refers to it.
        assert!(unsafe { unmap_pages(pages.wrapping_add(4096), 4096) });
        assert!(is_readable(pages as usize) && !is_readable(pages as usize + 4096));
        assert!(!is_readable(8) && !is_readable(usize::MAX - 7));
    }

    #[test]
    fn pages_are_zeroed_and_writable() {
        let pages = map_pages(8192).expect("two pages");
        // SAFETY: two fresh pages.
        unsafe {
            assert_eq!(pages.add(8191).read(), 0);
            pages.add(8191).write(7);
            assert!(unmap_pages(pages, 8192));
        }
    }

    #[test]
    fn touched_pages_are_resident() {
        let pages = map_pages(8 << 12).expect("eight pages");
        assert_eq!(resident_pages(pages, 8 << 12), 0);
        // SAFETY: fresh pages of ours.
        unsafe {
            pages.add(3 << 12).write(1);
            assert_eq!(resident_pages(pages, 8 << 12), 1);
            unmap_pages(pages, 8 << 12);
        }
    }
}
