//! libc's allocation family.
//!
//! Each implementation is the same three steps: enter (or pass on, noting an inner call), call the original, record.

use core::ffi::{c_int, c_void};
use core::hint::black_box;
use core::sync::atomic::{AtomicBool, Ordering};

use pytrace_format::record::Domain;

use super::entries;
use crate::caller::Caller;
use crate::events::event::Kind;
use crate::record;
use crate::session::{self, Session, state};
use crate::sys::{objects, real};
use crate::thread::{self, Hook, Word};

entries! {
    #[cfg_attr(not(test), unsafe(no_mangle))]
    malloc / 1 => on_malloc;
    #[cfg_attr(not(test), unsafe(no_mangle))]
    calloc / 2 => on_calloc;
    #[cfg_attr(not(test), unsafe(no_mangle))]
    realloc / 2 => on_realloc;
    #[cfg_attr(not(test), unsafe(no_mangle))]
    reallocarray / 3 => on_reallocarray;
    #[cfg_attr(not(test), unsafe(no_mangle))]
    posix_memalign / 3 => on_posix_memalign;
    #[cfg_attr(not(test), unsafe(no_mangle))]
    aligned_alloc / 2 => on_aligned_alloc;
    #[cfg_attr(not(test), unsafe(no_mangle))]
    memalign / 2 => on_memalign;
    #[cfg_attr(not(test), unsafe(no_mangle))]
    valloc / 1 => on_valloc;
    #[cfg_attr(not(test), unsafe(no_mangle))]
    pvalloc / 1 => on_pvalloc;
}

/// Enters a hook of the malloc domain; `None`: pass the call on.
#[inline(always)]
fn enter(word: &Word) -> Option<(Hook<'_>, &'static Session)> {
    if session::state() & state::RECORDING == 0 {
        return None;
    }
    let session = session::current()?;
    Some((Hook::enter(word)?, session))
}

/// Whether the program's calls of `malloc` come to us first, as far as was looked.
static IS_FIRST: AtomicBool = AtomicBool::new(true);

/// Whether the `malloc_usable_size` behind us answers for the blocks of the `malloc` behind us, as far as was looked.
static TELLS_SIZES: AtomicBool = AtomicBool::new(true);

/// Looks who answers `malloc` before and behind us. Before there is a session: it asks for a block as the program does (valgrind
/// redirects calls that the loader bound to us), and asks the loader.
pub(crate) fn look_who_is_beside() {
    let arrives = thread::word().notes_inner(|| {
        // By way of pointers that the compiler does not know, so that it does not think that it knows what they do. The loader
        // binds both names to the first of the search order, which is not ours if another library is loaded before us.
        let malloc: unsafe extern "C" fn(usize) -> *mut c_void = black_box(libc::malloc);
        let free: unsafe extern "C" fn(*mut c_void) = black_box(libc::free);
        // SAFETY: a call of malloc; the block goes back to the same allocator, and is only compared after that.
        unsafe {
            let block = malloc(1);
            free(block);
            block
        }
    });
    IS_FIRST.store(arrives, Ordering::Relaxed);
    // An allocator that lacks this function leaves it to libc, which would look for a header of its own before a foreign
    // block.
    let tells_sizes = objects::are_in_one(
        real::malloc::get() as usize,
        real::malloc_usable_size::get() as usize,
    );
    TELLS_SIZES.store(tells_sizes, Ordering::Relaxed);
}

/// Whether the program's calls of `malloc` come to us first. If not, whoever does may lack a part of the family, which then comes
/// to us for blocks that libc has never seen.
pub(crate) fn is_first() -> bool {
    IS_FIRST.load(Ordering::Relaxed)
}

/// Whether the sizes of the blocks of the `malloc` behind us can be asked for.
#[inline(always)]
pub(crate) fn tells_sizes() -> bool {
    TELLS_SIZES.load(Ordering::Relaxed)
}

/// Calls an original that gives a block, and records the birth.
#[inline(always)]
fn give(size: usize, caller: Caller, original: impl FnOnce() -> *mut c_void) -> *mut c_void {
    let word = thread::word();
    let Some((hook, session)) = enter(word) else {
        let block = original();
        word.note_inner(block);
        return block;
    };
    let block = original();
    note_birth(&hook, session, block, size, caller);
    block
}

#[inline(always)]
fn note_birth(
    hook: &Hook<'_>,
    session: &'static Session,
    block: *mut c_void,
    size: usize,
    caller: Caller,
) {
    if session::state() == state::RECORDING && !block.is_null() {
        record::block_with_any_stack(
            hook,
            session,
            Kind::Birth,
            Domain::Malloc,
            block,
            size,
            caller,
        );
    } else {
        record::block_in_any_state(hook, Kind::Birth, Domain::Malloc, block, size, caller);
    }
}

unsafe extern "C" fn on_malloc(size: usize, caller: Caller) -> *mut c_void {
    // SAFETY: the original, with the caller's arguments.
    give(size, caller, || unsafe { real::malloc::get()(size) })
}

unsafe extern "C" fn on_calloc(count: usize, size: usize, caller: Caller) -> *mut c_void {
    // SAFETY: the original, with the caller's arguments. When the product overflows it gives no block.
    give(count.wrapping_mul(size), caller, || unsafe {
        real::calloc::get()(count, size)
    })
}

unsafe extern "C" fn on_aligned_alloc(
    alignment: usize,
    size: usize,
    caller: Caller,
) -> *mut c_void {
    // SAFETY: the original, with the caller's arguments.
    give(size, caller, || unsafe {
        real::aligned_alloc::get()(alignment, size)
    })
}

unsafe extern "C" fn on_memalign(alignment: usize, size: usize, caller: Caller) -> *mut c_void {
    // SAFETY: the original, with the caller's arguments.
    give(size, caller, || unsafe {
        real::memalign::get()(alignment, size)
    })
}

unsafe extern "C" fn on_valloc(size: usize, caller: Caller) -> *mut c_void {
    // SAFETY: the original, with the caller's arguments.
    give(size, caller, || unsafe { real::valloc::get()(size) })
}

unsafe extern "C" fn on_pvalloc(size: usize, caller: Caller) -> *mut c_void {
    // SAFETY: the original, with the caller's arguments.
    give(size, caller, || unsafe { real::pvalloc::get()(size) })
}

unsafe extern "C" fn on_posix_memalign(
    result: *mut *mut c_void,
    alignment: usize,
    size: usize,
    caller: Caller,
) -> c_int {
    let mut status = 0;
    give(size, caller, || {
        // SAFETY: the original, with the caller's arguments; on success it has written the block to `result`.
        unsafe {
            status = real::posix_memalign::get()(result, alignment, size);
            if status == 0 {
                result.read()
            } else {
                core::ptr::null_mut()
            }
        }
    });
    status
}

unsafe extern "C" fn on_reallocarray(
    block: *mut c_void,
    count: usize,
    size: usize,
    caller: Caller,
) -> *mut c_void {
    let Some(total) = count.checked_mul(size) else {
        // SAFETY: errno's address is valid for the life of the thread.
        unsafe { *libc::__errno_location() = libc::ENOMEM };
        return core::ptr::null_mut();
    };
    if !is_first() {
        // SAFETY: the loader binds this name to the first `realloc`, as for libc's own reallocarray.
        return unsafe { libc::realloc(block, total) };
    }
    // SAFETY: reallocarray is realloc of the product (glibc's own definition).
    unsafe { on_realloc(block, total, caller) }
}

unsafe extern "C" fn on_realloc(block: *mut c_void, size: usize, caller: Caller) -> *mut c_void {
    if block.is_null() {
        // SAFETY: the original, with the caller's arguments.
        return give(size, caller, || unsafe {
            real::realloc::get()(block, size)
        });
    }
    if real::is_early(block) {
        // SAFETY: a block of the early pool, of this size.
        return unsafe { leave_early_pool(block, size, caller) };
    }
    let word = thread::word();
    // SAFETY: the original, with the caller's arguments.
    let original = || unsafe { real::realloc::get()(block, size) };
    let Some((hook, session)) = enter(word) else {
        if word.may_free_another(block) {
            record::inner_death(word, Domain::Malloc, block);
        }
        let new = original();
        word.note_inner(new);
        return new;
    };
    if size == 0 {
        // glibc frees the block and gives none; allocators that give a smallest block instead make it a birth.
        record::bare(&hook, session, Kind::Death, Domain::Malloc, block);
        hook.original();
        let new = original();
        note_birth(&hook, session, new, size, caller);
        return new;
    }
    record::bare(&hook, session, Kind::ResizeOut, Domain::Malloc, block);
    hook.set_outer(block);
    hook.original();
    let new = original();
    if new.is_null() {
        record::bare(&hook, session, Kind::ResizeFailed, Domain::Malloc, new);
    } else {
        record::block_in_any_state(&hook, Kind::ResizeIn, Domain::Malloc, new, size, caller);
    }
    new
}

/// Moves a block of the early pool to the real heap.
///
/// # Safety
/// `block` is a live block of the early pool.
#[cold]
unsafe fn leave_early_pool(block: *mut c_void, size: usize, caller: Caller) -> *mut c_void {
    // SAFETY: malloc with the caller's size; then both blocks are live and at least as long as what is copied.
    unsafe {
        let new = on_malloc(size, caller);
        if !new.is_null() {
            let bytes = real::early_size(block).min(size);
            core::ptr::copy_nonoverlapping(block.cast::<u8>(), new.cast::<u8>(), bytes);
        }
        new
    }
}

/// `free`: needs no caller, so it is no trampoline.
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(crate) unsafe extern "C" fn free(block: *mut c_void) {
    if block.is_null() || real::is_early(block) {
        return;
    }
    let word = thread::word();
    let hook = enter(word);
    if let Some((hook, session)) = &hook {
        record::bare(hook, session, Kind::Death, Domain::Malloc, block);
        hook.set_outer(block);
        hook.original();
    } else if word.may_free_another(block) {
        record::inner_death(word, Domain::Malloc, block);
    }
    // SAFETY: the original, with the caller's argument.
    unsafe { real::free::get()(block) };
}

/// A free by another name: to whoever is first.
///
/// # Safety
/// As libc's `free`.
unsafe fn free_by_another_name(block: *mut c_void) {
    if is_first() {
        // SAFETY: the same contract.
        unsafe { free(block) };
    } else {
        // SAFETY: the loader binds this name to the first `free`.
        unsafe { libc::free(block) };
    }
}

/// `cfree`, which old programs call for `free`.
///
/// # Safety
/// As libc's `free`.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(crate) unsafe extern "C" fn cfree(block: *mut c_void) {
    // SAFETY: the same contract.
    unsafe { free_by_another_name(block) };
}

/// `free_sized` (C23).
///
/// # Safety
/// As libc's `free`; the size is a hint that is not needed.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(crate) unsafe extern "C" fn free_sized(block: *mut c_void, _size: usize) {
    // SAFETY: the same contract.
    unsafe { free_by_another_name(block) };
}

/// `free_aligned_sized` (C23).
///
/// # Safety
/// As libc's `free`; alignment and size are hints that are not needed.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(crate) unsafe extern "C" fn free_aligned_sized(
    block: *mut c_void,
    _alignment: usize,
    _size: usize,
) {
    // SAFETY: the same contract.
    unsafe { free_by_another_name(block) };
}

/// `malloc_usable_size`, which must also know the blocks of the early pool.
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(crate) unsafe extern "C" fn malloc_usable_size(block: *mut c_void) -> usize {
    if real::is_early(block) {
        return real::early_size(block);
    }
    // SAFETY: the original, with the caller's argument.
    unsafe { real::malloc_usable_size::get()(block) }
}
