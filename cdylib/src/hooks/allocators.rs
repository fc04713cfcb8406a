//! The hooks in CPython's allocator tables: raw, mem, object, and arenas.

use core::ffi::c_void;

use pytrace_format::record::Domain;

use super::entries;
use crate::events::event::{Control, Event};
use crate::python;
use crate::python::allocators::{Allocator, ArenaAllocator, Hooks, Wrapped};
use crate::record;
use crate::session::{self, state};
use crate::stack::intern;
use crate::thread::{self, Hook};

type Context = Wrapped<Allocator>;

/// Declares the hooks of the three domains, each with its domain as a constant.
macro_rules! domain_hooks {
    ($($domain:ident: $malloc:ident $calloc:ident $realloc:ident $free:ident,
       $on_malloc:ident $on_calloc:ident $on_realloc:ident;)*) => {
        $(
            entries! {
                $malloc / 2 => $on_malloc;
                $calloc / 3 => $on_calloc;
                $realloc / 3 => $on_realloc;
            }

            unsafe extern "C" fn $on_malloc(context: *mut c_void, size: usize, caller: usize) -> *mut c_void {
                // SAFETY: CPython passes the context that was installed with this function.
                let original = unsafe { &(*context.cast::<Context>()).original };
                give(Domain::$domain, size, caller, || match original.malloc {
                    // SAFETY: the wrapped function, with its own context and the caller's arguments.
                    Some(malloc) => unsafe { malloc(original.context, size) },
                    None => core::ptr::null_mut(),
                })
            }

            unsafe extern "C" fn $on_calloc(context: *mut c_void, count: usize, size: usize, caller: usize) -> *mut c_void {
                // SAFETY: as above.
                let original = unsafe { &(*context.cast::<Context>()).original };
                give(Domain::$domain, count.wrapping_mul(size), caller, || match original.calloc {
                    // SAFETY: as above.
                    Some(calloc) => unsafe { calloc(original.context, count, size) },
                    None => core::ptr::null_mut(),
                })
            }

            unsafe extern "C" fn $on_realloc(context: *mut c_void, block: *mut c_void, size: usize, caller: usize) -> *mut c_void {
                // SAFETY: as above.
                let original = unsafe { &(*context.cast::<Context>()).original };
                resize(Domain::$domain, block, size, caller, || match original.realloc {
                    // SAFETY: as above.
                    Some(realloc) => unsafe { realloc(original.context, block, size) },
                    None => core::ptr::null_mut(),
                })
            }

            unsafe extern "C" fn $free(context: *mut c_void, block: *mut c_void) {
                // SAFETY: as above.
                let original = unsafe { &(*context.cast::<Context>()).original };
                take(Domain::$domain, block, || {
                    if let Some(free) = original.free {
                        // SAFETY: as above.
                        unsafe { free(original.context, block) }
                    }
                });
            }
        )*
    };
}

domain_hooks! {
    Raw: raw_malloc raw_calloc raw_realloc raw_free, on_raw_malloc on_raw_calloc on_raw_realloc;
    Mem: mem_malloc mem_calloc mem_realloc mem_free, on_mem_malloc on_mem_calloc on_mem_realloc;
    Object: object_malloc object_calloc object_realloc object_free, on_object_malloc on_object_calloc on_object_realloc;
}

/// A trampoline as a function of its C type.
///
/// # Safety
/// `F` is a function pointer type, and the trampoline passes the arguments of that type on untouched.
unsafe fn function<F: Copy>(trampoline: unsafe extern "C" fn()) -> Option<F> {
    const { assert!(size_of::<F>() == size_of::<unsafe extern "C" fn()>()) };
    // SAFETY: both are function pointers (the caller's promise), of one size.
    Some(unsafe { core::mem::transmute_copy(&trampoline) })
}

/// The tables that are installed.
pub(crate) fn hooks() -> Hooks {
    macro_rules! table {
        ($malloc:ident, $calloc:ident, $realloc:ident, $free:ident) => {
            // SAFETY: `entries!` made the trampolines for functions of these types.
            unsafe {
                Allocator {
                    context: core::ptr::null_mut(),
                    malloc: function($malloc),
                    calloc: function($calloc),
                    realloc: function($realloc),
                    free: Some($free),
                }
            }
        };
    }
    Hooks {
        domains: [
            table!(raw_malloc, raw_calloc, raw_realloc, raw_free),
            table!(mem_malloc, mem_calloc, mem_realloc, mem_free),
            table!(object_malloc, object_calloc, object_realloc, object_free),
        ],
        arenas: ArenaAllocator {
            context: core::ptr::null_mut(),
            alloc: Some(arena_alloc),
            free: Some(arena_free),
        },
    }
}

/// Enters a hook of a CPython domain; `None`: pass the call on.
#[inline(always)]
fn enter(domain: Domain) -> Option<Hook<'static>> {
    if session::state() == state::OFF {
        return None;
    }
    let hook = Hook::enter(thread::word())?;
    if domain != Domain::Raw {
        record::watch_for_the_end(&hook);
    }
    Some(hook)
}

#[inline(always)]
fn give(
    domain: Domain,
    size: usize,
    caller: usize,
    original: impl FnOnce() -> *mut c_void,
) -> *mut c_void {
    let Some(hook) = enter(domain) else {
        return original();
    };
    let block = original();
    record::birth(&hook, domain, block, size, caller);
    if domain != Domain::Raw {
        start_background();
    }
    block
}

#[inline(always)]
fn start_background() {
    if let Some(session) = session::current() {
        session.ensure_background();
    }
}

#[inline(always)]
fn resize(
    domain: Domain,
    block: *mut c_void,
    size: usize,
    caller: usize,
    original: impl FnOnce() -> *mut c_void,
) -> *mut c_void {
    if block.is_null() {
        return give(domain, size, caller, original);
    }
    let Some(hook) = enter(domain) else {
        return original();
    };
    record::resize_out(&hook, domain, block);
    hook.original();
    let new = original();
    if new.is_null() {
        record::resize_failed(&hook, domain);
    } else {
        record::resize_in(&hook, domain, new, size, caller);
    }
    new
}

#[inline(always)]
fn take(domain: Domain, block: *mut c_void, original: impl FnOnce()) {
    if block.is_null() {
        return original();
    }
    let Some(hook) = enter(domain) else {
        return original();
    };
    record::death(&hook, domain, block);
    if domain == Domain::Object
        && let Some(python) = python::current()
        && python.reads_stacks()
        && python.is_code_object(block)
    {
        intern::code_died(block as usize);
    }
    hook.original();
    original();
}

/// An arena allocation from within a mem or object hook is pymalloc's: an arena. Any other is a chunk of the data stack
/// (3.11+), which passes through to `mmap` and counts there.
unsafe extern "C" fn arena_alloc(context: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: CPython passes the context that was installed with this function.
    let original = unsafe { &(*context.cast::<Wrapped<ArenaAllocator>>()).original };
    let Some(alloc) = original.alloc else {
        return core::ptr::null_mut();
    };
    // SAFETY: the wrapped function, with its own context and the caller's argument.
    let address = unsafe { alloc(original.context, size) };
    if !address.is_null() && thread::word().is_in_original() {
        note_arena(Control::ArenaMapped, address, size);
    }
    address
}

unsafe extern "C" fn arena_free(context: *mut c_void, address: *mut c_void, size: usize) {
    // SAFETY: as above.
    let original = unsafe { &(*context.cast::<Wrapped<ArenaAllocator>>()).original };
    let Some(free) = original.free else {
        return;
    };
    // Known before it is unmapped, so that nobody walks it afterwards.
    let is_arena =
        session::current().is_some_and(|session| session.arenas.lock().remove(address as usize));
    let own = is_arena.then(|| {
        note_arena(Control::ArenaUnmapped, address, size);
        thread::OwnWork::begin()
    });
    // SAFETY: as above.
    unsafe { free(original.context, address, size) };
    drop(own);
}

/// Records that an arena came or went. The thread is inside the real allocator; its hook writes nothing meanwhile.
#[cold]
fn note_arena(what: Control, address: *mut c_void, size: usize) {
    let Some(session) = session::current() else {
        return;
    };
    if what == Control::ArenaMapped {
        session.arenas.lock().add(address as usize, size);
    }
    if let Some(slot) = session.slot(thread::word()) {
        slot.append(None, Event::control(what, address as usize, size as u64));
    }
}
