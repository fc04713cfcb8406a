//! The functions that ours stand in front of, as the next object in the loader's search order defines them.
//!
//! Invariant: calling an original before it could be resolved is always defined: allocations come from a small static pool
//! (`dlsym` itself may ask for memory), frees of foreign blocks are leaked, system calls go to the kernel.

use core::cell::UnsafeCell;
use core::ffi::{CStr, c_int, c_void};
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering};

use super::syscall;

/// Declares the table of originals: one line per function, its fallback used until (or unless) `dlsym` finds it.
macro_rules! originals {
    ($($name:ident: fn($($argument:ty),*) -> $result:ty = $fallback:path;)*) => {
        $(
            #[doc = concat!("The original `", stringify!($name), "`.")]
            pub(crate) mod $name {
                use super::*;

                pub(crate) type Function = unsafe extern "C" fn($($argument),*) -> $result;

                pub(super) static ADDRESS: AtomicPtr<c_void> = AtomicPtr::new($fallback as *mut c_void);

                #[inline(always)]
                pub(crate) fn get() -> Function {
                    let address = ADDRESS.load(Ordering::Relaxed);
                    // SAFETY: the address is the fallback's or what `dlsym` found under this name: both are functions of
                    // this type by libc's declaration. Relaxed: code is immutable, no data is published with it.
                    unsafe { core::mem::transmute::<*mut c_void, Function>(address) }
                }

                pub(super) fn resolve() {
                    const NAME: &CStr = {
                        const BYTES: &str = concat!(stringify!($name), "\0");
                        match CStr::from_bytes_with_nul(BYTES.as_bytes()) {
                            Ok(name) => name,
                            Err(_) => c"",
                        }
                    };
                    // SAFETY: a plain look-up of a NUL-terminated name.
                    let found = unsafe { libc::dlsym(libc::RTLD_NEXT, NAME.as_ptr()) };
                    if !found.is_null() {
                        ADDRESS.store(found, Ordering::Relaxed);
                    }
                }
            }
        )*

        fn resolve_each() {
            $($name::resolve();)*
        }
    };
}

originals! {
    malloc: fn(usize) -> *mut c_void = early_malloc;
    calloc: fn(usize, usize) -> *mut c_void = early_calloc;
    realloc: fn(*mut c_void, usize) -> *mut c_void = early_realloc;
    free: fn(*mut c_void) -> () = early_free;
    posix_memalign: fn(*mut *mut c_void, usize, usize) -> c_int = early_posix_memalign;
    aligned_alloc: fn(usize, usize) -> *mut c_void = early_aligned_alloc;
    memalign: fn(usize, usize) -> *mut c_void = early_aligned_alloc;
    valloc: fn(usize) -> *mut c_void = early_valloc;
    pvalloc: fn(usize) -> *mut c_void = early_valloc;
    malloc_usable_size: fn(*mut c_void) -> usize = early_usable_size;
    mmap: fn(*mut c_void, usize, c_int, c_int, c_int, libc::off_t) -> *mut c_void = early_mmap;
    munmap: fn(*mut c_void, usize) -> c_int = early_munmap;
    mremap: fn(*mut c_void, usize, usize, c_int, *mut c_void) -> *mut c_void = early_mremap;
    dlclose: fn(*mut c_void) -> c_int = early_dlclose;
    setlocale: fn(c_int, *const libc::c_char) -> *mut libc::c_char = early_setlocale;
    unshare: fn(c_int) -> c_int = early_unshare;
    setns: fn(c_int, c_int) -> c_int = early_setns;
    _exit: fn(c_int) -> () = early_exit;
    abort: fn() -> () = early_abort;
    kill: fn(libc::pid_t, c_int) -> c_int = early_kill;
    execv: fn(*const libc::c_char, *const *const libc::c_char) -> c_int = early_execv;
    execve: fn(*const libc::c_char, *const *const libc::c_char, *const *const libc::c_char) -> c_int = early_execve;
    fexecve: fn(c_int, *const *const libc::c_char, *const *const libc::c_char) -> c_int = early_fexecve;
}

const UNRESOLVED: u32 = 0;
const BUSY: u32 = 1;
const DONE: u32 = 2;
static RESOLUTION: AtomicU32 = AtomicU32::new(UNRESOLVED);

/// Looks all originals up, once. Returns false while another call of it is under way (`dlsym` asked for memory).
pub(crate) fn resolve() -> bool {
    match RESOLUTION.compare_exchange(UNRESOLVED, BUSY, Ordering::Acquire, Ordering::Acquire) {
        Ok(_) => {
            resolve_each();
            super::objects::resolve();
            RESOLUTION.store(DONE, Ordering::Release);
            true
        }
        Err(state) => state == DONE,
    }
}

/// Blocks that were asked for before `malloc` was resolved.
mod early_pool {
    use super::*;

    const SIZE: usize = 64 << 10;
    /// Each block is preceded by its size, in a unit that keeps the alignment.
    const HEADER: usize = 16;

    #[repr(align(4096))]
    struct Pool(UnsafeCell<[u8; SIZE]>);

    // SAFETY: disjoint parts are handed out by an atomic counter; the pool itself only touches headers of its blocks.
    unsafe impl Sync for Pool {}

    static POOL: Pool = Pool(UnsafeCell::new([0; SIZE]));
    static USED: AtomicUsize = AtomicUsize::new(0);

    /// Whether an address lies in the pool.
    #[inline(always)]
    pub(crate) fn contains(address: *const c_void) -> bool {
        (address as usize).wrapping_sub(POOL.0.get() as usize) < SIZE
    }

    /// A zeroed block, or null when the pool is used up.
    pub(super) fn allocate(size: usize, alignment: usize) -> *mut c_void {
        let alignment = alignment.max(HEADER);
        let Some(needed) = size
            .checked_add(alignment)
            .and_then(|needed| needed.checked_add(HEADER))
            .map(|needed| needed & !(HEADER - 1))
            .filter(|&needed| needed <= SIZE)
        else {
            return core::ptr::null_mut();
        };
        let offset = USED.fetch_add(needed, Ordering::Relaxed);
        if offset.saturating_add(needed) > SIZE {
            return core::ptr::null_mut();
        }
        let base = POOL.0.get() as usize + offset + HEADER;
        let address = base.next_multiple_of(alignment);
        // SAFETY: `[offset, offset + needed)` of the pool belongs to this call alone and holds the header before `address`.
        unsafe { ((address - HEADER) as *mut usize).write(size) };
        address as *mut c_void
    }

    /// Size of a block of the pool.
    pub(crate) fn size(address: *const c_void) -> usize {
        // SAFETY: `address` is a block of the pool, which has its size in front.
        unsafe { ((address as usize - HEADER) as *const usize).read() }
    }
}

pub(crate) use early_pool::{contains as is_early, size as early_size};

/// Whether the original has been found by now.
fn ready(address: &AtomicPtr<c_void>, fallback: *mut c_void) -> bool {
    resolve() && address.load(Ordering::Relaxed) != fallback
}

unsafe extern "C" fn early_malloc(size: usize) -> *mut c_void {
    if !ready(&malloc::ADDRESS, early_malloc as *mut c_void) {
        return early_pool::allocate(size, 16);
    }
    // SAFETY: the original, with the caller's arguments.
    unsafe { malloc::get()(size) }
}

unsafe extern "C" fn early_calloc(count: usize, size: usize) -> *mut c_void {
    if !ready(&calloc::ADDRESS, early_calloc as *mut c_void) {
        return match count.checked_mul(size) {
            Some(total) => early_pool::allocate(total, 16),
            None => core::ptr::null_mut(),
        };
    }
    // SAFETY: the original, with the caller's arguments.
    unsafe { calloc::get()(count, size) }
}

unsafe extern "C" fn early_realloc(block: *mut c_void, size: usize) -> *mut c_void {
    if ready(&realloc::ADDRESS, early_realloc as *mut c_void) {
        // SAFETY: the original, with the caller's arguments (`hooks` keeps blocks of the pool away from it).
        return unsafe { realloc::get()(block, size) };
    }
    if block.is_null() {
        return early_pool::allocate(size, 16);
    }
    core::ptr::null_mut()
}

/// A free before `dlsym` can be used comes from the loader, for a few bytes: they are leaked.
unsafe extern "C" fn early_free(_block: *mut c_void) {}

unsafe extern "C" fn early_posix_memalign(
    result: *mut *mut c_void,
    alignment: usize,
    size: usize,
) -> c_int {
    if ready(
        &posix_memalign::ADDRESS,
        early_posix_memalign as *mut c_void,
    ) {
        // SAFETY: the original, with the caller's arguments.
        return unsafe { posix_memalign::get()(result, alignment, size) };
    }
    let block = early_pool::allocate(size, alignment);
    if block.is_null() {
        return libc::ENOMEM;
    }
    // SAFETY: the caller's result pointer, valid by posix_memalign's contract.
    unsafe { result.write(block) };
    0
}

unsafe extern "C" fn early_aligned_alloc(alignment: usize, size: usize) -> *mut c_void {
    if ready(&aligned_alloc::ADDRESS, early_aligned_alloc as *mut c_void) {
        // SAFETY: the original, with the caller's arguments.
        return unsafe { aligned_alloc::get()(alignment, size) };
    }
    early_pool::allocate(size, alignment)
}

unsafe extern "C" fn early_valloc(size: usize) -> *mut c_void {
    // SAFETY: as `early_aligned_alloc`.
    unsafe { early_aligned_alloc(4096, size) }
}

unsafe extern "C" fn early_usable_size(_block: *mut c_void) -> usize {
    0
}

fn fail(result: isize) -> isize {
    if syscall::is_error(result) {
        // SAFETY: errno's address is valid for the life of the thread.
        unsafe { *libc::__errno_location() = -result as c_int };
        return -1;
    }
    result
}

unsafe extern "C" fn early_mmap(
    address: *mut c_void,
    size: usize,
    protection: c_int,
    flags: c_int,
    fd: c_int,
    offset: libc::off_t,
) -> *mut c_void {
    // SAFETY: the program's own system call, passed on.
    fail(unsafe {
        syscall::raw(
            libc::SYS_mmap,
            [
                address as usize,
                size,
                protection as usize,
                flags as usize,
                fd as usize,
                offset as usize,
            ],
        )
    }) as *mut c_void
}

unsafe extern "C" fn early_munmap(address: *mut c_void, size: usize) -> c_int {
    // SAFETY: the program's own system call, passed on.
    fail(unsafe { syscall::raw(libc::SYS_munmap, [address as usize, size, 0, 0, 0, 0]) }) as c_int
}

unsafe extern "C" fn early_mremap(
    address: *mut c_void,
    old_size: usize,
    new_size: usize,
    flags: c_int,
    new_address: *mut c_void,
) -> *mut c_void {
    // SAFETY: the program's own system call, passed on.
    fail(unsafe {
        syscall::raw(
            libc::SYS_mremap,
            [
                address as usize,
                old_size,
                new_size,
                flags as usize,
                new_address as usize,
                0,
            ],
        )
    }) as *mut c_void
}

unsafe extern "C" fn early_dlclose(_handle: *mut c_void) -> c_int {
    -1
}

unsafe extern "C" fn early_setlocale(
    _category: c_int,
    _locale: *const libc::c_char,
) -> *mut libc::c_char {
    core::ptr::null_mut()
}

unsafe extern "C" fn early_exit(status: c_int) {
    // SAFETY: ends the process, as asked.
    unsafe { syscall::raw(libc::SYS_exit_group, [status as usize, 0, 0, 0, 0, 0]) };
}

unsafe extern "C" fn early_abort() {
    // SAFETY: ends the process, as asked.
    unsafe {
        syscall::raw(
            libc::SYS_kill,
            [
                syscall::process_id() as usize,
                libc::SIGABRT as usize,
                0,
                0,
                0,
                0,
            ],
        )
    };
}

unsafe extern "C" fn early_unshare(flags: c_int) -> c_int {
    // SAFETY: the program's own system call, passed on.
    fail(unsafe { syscall::raw(libc::SYS_unshare, [flags as usize, 0, 0, 0, 0, 0]) }) as c_int
}

unsafe extern "C" fn early_setns(fd: c_int, kind: c_int) -> c_int {
    // SAFETY: the program's own system call, passed on.
    fail(unsafe { syscall::raw(libc::SYS_setns, [fd as usize, kind as usize, 0, 0, 0, 0]) })
        as c_int
}

unsafe extern "C" fn early_kill(pid: libc::pid_t, signal: c_int) -> c_int {
    // SAFETY: the program's own system call, passed on.
    fail(unsafe { syscall::raw(libc::SYS_kill, [pid as usize, signal as usize, 0, 0, 0, 0]) })
        as c_int
}

unsafe extern "C" fn early_execv(
    path: *const libc::c_char,
    arguments: *const *const libc::c_char,
) -> c_int {
    // SAFETY: libc's own variable, read as execv reads it.
    let environment = unsafe { environ };
    // SAFETY: the program's own system call, passed on.
    unsafe { early_execve(path, arguments, environment) }
}

unsafe extern "C" fn early_execve(
    path: *const libc::c_char,
    arguments: *const *const libc::c_char,
    environment: *const *const libc::c_char,
) -> c_int {
    // SAFETY: the program's own system call, passed on.
    fail(unsafe {
        syscall::raw(
            libc::SYS_execve,
            [
                path as usize,
                arguments as usize,
                environment as usize,
                0,
                0,
                0,
            ],
        )
    }) as c_int
}

unsafe extern "C" fn early_fexecve(
    fd: c_int,
    arguments: *const *const libc::c_char,
    environment: *const *const libc::c_char,
) -> c_int {
    // SAFETY: the program's own system call, passed on.
    fail(unsafe {
        syscall::raw(
            libc::SYS_execveat,
            [
                fd as usize,
                c"".as_ptr() as usize,
                arguments as usize,
                environment as usize,
                libc::AT_EMPTY_PATH as usize,
                0,
            ],
        )
    }) as c_int
}

unsafe extern "C" {
    static environ: *const *const libc::c_char;
}
