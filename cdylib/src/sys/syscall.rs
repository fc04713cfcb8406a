//! System calls made directly, so that they pass neither our own interposers nor libc's `errno`.
//!
//! Every function returns what the kernel returned: a value, or `-errno` in `-4095..=-1`.

use core::arch::asm;

/// Whether a raw result is an error.
pub(crate) fn is_error(result: isize) -> bool {
    (-4095..0).contains(&result)
}

/// One system call with up to six arguments.
///
/// # Safety
/// The caller vouches for the call as the kernel defines it: pointers valid for what the call reads and writes, and no
/// memory unmapped that Rust code still uses.
#[inline]
pub(crate) unsafe fn raw(number: i64, args: [usize; 6]) -> isize {
    let result: isize;
    // SAFETY: the x86-64 Linux convention: number in rax, arguments in rdi rsi rdx r10 r8 r9, rcx and r11 clobbered; what
    // the call itself does is the caller's promise.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") args[0],
            in("rsi") args[1],
            in("rdx") args[2],
            in("r10") args[3],
            in("r8") args[4],
            in("r9") args[5],
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result
}

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

/// Waits while `*word == expected`, at most `timeout_ns`; returns early on a wake-up or a signal.
pub(crate) fn futex_wait(word: &core::sync::atomic::AtomicU32, expected: u32, timeout_ns: u64) {
    let timeout = libc::timespec {
        tv_sec: (timeout_ns / 1_000_000_000) as i64,
        tv_nsec: (timeout_ns % 1_000_000_000) as i64,
    };
    let operation = (libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG) as usize;
    // SAFETY: the word outlives the call by its borrow; the timeout is a local.
    unsafe {
        raw(
            libc::SYS_futex,
            [
                word.as_ptr() as usize,
                operation,
                expected as usize,
                &raw const timeout as usize,
                0,
                0,
            ],
        );
    }
}

/// Wakes at most `count` waiters of `word`.
pub(crate) fn futex_wake(word: &core::sync::atomic::AtomicU32, count: u32) {
    let operation = (libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG) as usize;
    // SAFETY: waking reads nothing but the address.
    unsafe {
        raw(
            libc::SYS_futex,
            [word.as_ptr() as usize, operation, count as usize, 0, 0, 0],
        );
    }
}

/// A set of signals as the kernel has it: bit n − 1 for signal n.
pub(crate) type SignalSet = u64;

/// One call of `rt_sigprocmask`; the mask before it.
fn change_signal_mask(how: i32, set: SignalSet) -> Option<SignalSet> {
    let mut before: SignalSet = 0;
    // SAFETY: the kernel reads and writes a set each, of the size that is said.
    let result = unsafe {
        raw(
            libc::SYS_rt_sigprocmask,
            [
                how as usize,
                &raw const set as usize,
                &raw mut before as usize,
                size_of::<SignalSet>(),
                0,
                0,
            ],
        )
    };
    (!is_error(result)).then_some(before)
}

/// Blocks signals for this thread, beside those that are; the mask before.
pub(crate) fn block_signals(set: SignalSet) -> Option<SignalSet> {
    change_signal_mask(libc::SIG_BLOCK, set)
}

/// Sets this thread's mask.
pub(crate) fn set_signal_mask(mask: SignalSet) {
    change_signal_mask(libc::SIG_SETMASK, mask);
}

/// Signals that wait for this thread or its process to unblock them.
pub(crate) fn pending_signals() -> SignalSet {
    let mut set: SignalSet = 0;
    // SAFETY: the kernel writes a set, of the size that is said.
    unsafe {
        raw(
            libc::SYS_rt_sigpending,
            [&raw mut set as usize, size_of::<SignalSet>(), 0, 0, 0, 0],
        );
    }
    set
}

/// Takes a pending signal of the set away, if there is one.
pub(crate) fn take_pending_signal(set: SignalSet) {
    let no_time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the kernel reads the set, of the size that is said, and the time.
    unsafe {
        raw(
            libc::SYS_rt_sigtimedwait,
            [
                &raw const set as usize,
                0,
                &raw const no_time as usize,
                size_of::<SignalSet>(),
                0,
                0,
            ],
        );
    }
}

/// Writes bytes to a descriptor; the number written, or `-errno`.
pub(crate) fn write(fd: i32, bytes: &[u8]) -> isize {
    // SAFETY: the slice is readable for its length.
    unsafe {
        raw(
            libc::SYS_write,
            [fd as usize, bytes.as_ptr() as usize, bytes.len(), 0, 0, 0],
        )
    }
}

/// Reads bytes from a descriptor; the number read (0 at the end), or `-errno`.
pub(crate) fn read(fd: i32, bytes: &mut [u8]) -> isize {
    // SAFETY: the slice is writable for its length.
    unsafe {
        raw(
            libc::SYS_read,
            [
                fd as usize,
                bytes.as_mut_ptr() as usize,
                bytes.len(),
                0,
                0,
                0,
            ],
        )
    }
}

/// Reads bytes at an offset; the number read (0 at the end), or `-errno`.
pub(crate) fn read_at(fd: i32, bytes: &mut [u8], offset: u64) -> isize {
    // SAFETY: the slice is writable for its length.
    unsafe {
        raw(
            libc::SYS_pread64,
            [
                fd as usize,
                bytes.as_mut_ptr() as usize,
                bytes.len(),
                offset as usize,
                0,
                0,
            ],
        )
    }
}

/// Opens a file; its descriptor, or `-errno`.
pub(crate) fn open(path: &core::ffi::CStr, flags: i32, mode: u32) -> isize {
    // SAFETY: the path is a NUL-terminated string that outlives the call.
    unsafe {
        raw(
            libc::SYS_openat,
            [
                libc::AT_FDCWD as usize,
                path.as_ptr() as usize,
                flags as usize,
                mode as usize,
                0,
                0,
            ],
        )
    }
}

/// Gives the file that the link `file` leads to the name `path`, if there is none such yet; 0, or `-errno`.
pub(crate) fn link(file: &core::ffi::CStr, path: &core::ffi::CStr) -> isize {
    // SAFETY: the paths are NUL-terminated strings that outlive the call.
    unsafe {
        raw(
            libc::SYS_linkat,
            [
                libc::AT_FDCWD as usize,
                file.as_ptr() as usize,
                libc::AT_FDCWD as usize,
                path.as_ptr() as usize,
                libc::AT_SYMLINK_FOLLOW as usize,
                0,
            ],
        )
    }
}

/// Closes a descriptor of ours.
pub(crate) fn close(fd: i32) {
    // SAFETY: closing touches no memory.
    unsafe { raw(libc::SYS_close, [fd as usize, 0, 0, 0, 0, 0]) };
}

/// Duplicates `fd` to the lowest free number from `lowest` on, close-on-exec; the number, or `-errno`.
pub(crate) fn duplicate_above(fd: i32, lowest: i32) -> isize {
    // SAFETY: fcntl with an integer argument touches no memory.
    unsafe {
        raw(
            libc::SYS_fcntl,
            [
                fd as usize,
                libc::F_DUPFD_CLOEXEC as usize,
                lowest as usize,
                0,
                0,
                0,
            ],
        )
    }
}

/// What the system says of an open file.
pub(crate) struct FileStatus {
    /// Device and inode.
    pub(crate) identity: (u64, u64),
    pub(crate) is_regular: bool,
    /// Names that it has.
    pub(crate) links: u64,
    pub(crate) owner: u32,
}

/// The status of an open file; `None` when the descriptor is not open.
pub(crate) fn file_status(fd: i32) -> Option<FileStatus> {
    // SAFETY: `stat` is plain data, for which all zeroes is a value.
    let mut stat: libc::stat = unsafe { core::mem::zeroed() };
    // SAFETY: the structure is writable and of the kernel's layout for this architecture.
    let result = unsafe {
        raw(
            libc::SYS_fstat,
            [fd as usize, &raw mut stat as usize, 0, 0, 0, 0],
        )
    };
    (!is_error(result)).then_some(FileStatus {
        identity: (stat.st_dev, stat.st_ino),
        is_regular: stat.st_mode & libc::S_IFMT == libc::S_IFREG,
        links: stat.st_nlink,
        owner: stat.st_uid,
    })
}

/// How many descriptors the process may have; `None` when the system does not say.
pub(crate) fn descriptor_limit() -> Option<u64> {
    let mut limit = libc::rlimit64 {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: nothing is set, and the structure is writable and the kernel's.
    let result = unsafe {
        raw(
            libc::SYS_prlimit64,
            [
                0,
                libc::RLIMIT_NOFILE as usize,
                0,
                &raw mut limit as usize,
                0,
                0,
            ],
        )
    };
    (!is_error(result)).then_some(limit.rlim_cur)
}

/// Device and inode of an open file; `None` when the descriptor is not open.
pub(crate) fn file_identity(fd: i32) -> Option<(u64, u64)> {
    file_status(fd).map(|status| status.identity)
}

/// Makes an open file empty; 0, or `-errno`.
pub(crate) fn empty_file(fd: i32) -> isize {
    // SAFETY: touches no memory.
    unsafe { raw(libc::SYS_ftruncate, [fd as usize, 0, 0, 0, 0, 0]) }
}

/// The user whose rights the process has.
pub(crate) fn effective_user() -> u32 {
    // SAFETY: no arguments.
    unsafe { raw(libc::SYS_geteuid, [0; 6]) as u32 }
}

/// Columns of the terminal behind a descriptor; `None` when it is none.
pub(crate) fn terminal_columns(fd: i32) -> Option<usize> {
    // SAFETY: `winsize` is plain data, for which all zeroes is a value.
    let mut size: libc::winsize = unsafe { core::mem::zeroed() };
    // SAFETY: the structure is writable and is what TIOCGWINSZ fills.
    let result = unsafe {
        raw(
            libc::SYS_ioctl,
            [
                fd as usize,
                libc::TIOCGWINSZ as usize,
                &raw mut size as usize,
                0,
                0,
                0,
            ],
        )
    };
    (!is_error(result)).then_some(usize::from(size.ws_col))
}

/// Process id, asked of the kernel (libc may cache it).
pub(crate) fn process_id() -> u32 {
    // SAFETY: no arguments.
    unsafe { raw(libc::SYS_getpid, [0; 6]) as u32 }
}

/// Parent's process id.
pub(crate) fn parent_process_id() -> u32 {
    // SAFETY: no arguments.
    unsafe { raw(libc::SYS_getppid, [0; 6]) as u32 }
}

/// Kernel id of the calling thread.
pub(crate) fn thread_id() -> u32 {
    // SAFETY: no arguments.
    unsafe { raw(libc::SYS_gettid, [0; 6]) as u32 }
}

/// Whether a thread of this process still exists.
pub(crate) fn thread_exists(pid: u32, tid: u32) -> bool {
    // SAFETY: signal 0 only checks.
    let result = unsafe { raw(libc::SYS_tgkill, [pid as usize, tid as usize, 0, 0, 0, 0]) };
    result != -(libc::ESRCH as isize)
}

/// Whether a thread of this process, or what is left of an ended one, has a list of robust futexes: libc gives each thread one, and
/// the kernel takes it away when the thread ends. True where the kernel does not answer.
pub(crate) fn has_robust_list(tid: u32) -> bool {
    let (mut head, mut length) = (usize::MAX, 0_usize);
    // SAFETY: the kernel writes a pointer and a length to two locals.
    let result = unsafe {
        raw(
            libc::SYS_get_robust_list,
            [
                tid as usize,
                &raw mut head as usize,
                &raw mut length as usize,
                0,
                0,
                0,
            ],
        )
    };
    is_error(result) || head != 0
}

/// Gives up the rest of the calling thread's time slice.
pub(crate) fn yield_processor() {
    // SAFETY: no arguments.
    unsafe { raw(libc::SYS_sched_yield, [0; 6]) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::AtomicU32;

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
    fn errors_come_back_as_negative_numbers() {
        assert_eq!(write(-1, b"x"), -(libc::EBADF as isize));
        assert_eq!(
            open(c"/nonexistent/file", libc::O_RDONLY, 0),
            -(libc::ENOENT as isize)
        );
        assert!(file_identity(-1).is_none());
        assert!(terminal_columns(-1).is_none());
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

    #[test]
    fn futex_wait_returns_at_once_when_the_word_differs() {
        futex_wait(&AtomicU32::new(1), 0, u64::MAX / 4);
    }

    #[test]
    fn threads_are_seen_while_they_live() {
        assert!(thread_exists(process_id(), thread_id()));
        assert!(!thread_exists(process_id(), i32::MAX as u32));
    }

    #[test]
    fn living_threads_have_a_robust_list() {
        assert!(has_robust_list(thread_id()));
        assert!(has_robust_list(i32::MAX as u32));
    }
}
