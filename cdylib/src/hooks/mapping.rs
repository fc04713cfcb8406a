//! Anonymous mappings made directly.
//!
//! Counted are private anonymous mappings that are writable when made. Lengths count in whole pages, as the system maps
//! them. What a call takes away (an unmapping, a fixed mapping over others, a move) is taken out before the call and
//! committed or put back after it: another thread may get the addresses before the call returns.

use core::ffi::{c_int, c_void};

use super::entries;
use crate::caller::Caller;
use crate::events::event::Kind;
use crate::record;
use crate::session::{self, Session, state};
use crate::sys::real;
use crate::thread::{self, Hook};

const PAGE: usize = 4096;

entries! {
    #[cfg_attr(not(test), unsafe(no_mangle))]
    mmap / more => on_mmap;
    #[cfg_attr(not(test), unsafe(no_mangle))]
    mremap / more => on_mremap;
}

/// `mmap64`: the same function on this architecture.
#[cfg_attr(not(test), unsafe(no_mangle))]
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn mmap64() {
    core::arch::naked_asm!("jmp {implementation}", implementation = sym mmap)
}

/// Enters a hook of the mmap domain; `None`: pass the call on.
fn enter() -> Option<(Hook<'static>, &'static Session)> {
    if session::state() & state::STACKS == 0 {
        return None;
    }
    let session = session::current()?;
    Some((Hook::enter(thread::word())?, session))
}

fn whole_pages(size: usize) -> usize {
    size.saturating_add(PAGE - 1) & !(PAGE - 1)
}

unsafe extern "C" fn on_mmap(
    address: *mut c_void,
    size: usize,
    protection: c_int,
    flags: c_int,
    fd: c_int,
    offset: libc::off_t,
    caller: Caller,
) -> *mut c_void {
    // SAFETY: the original, with the caller's arguments.
    let original = || unsafe { real::mmap::get()(address, size, protection, flags, fd, offset) };
    let Some((hook, session)) = enter() else {
        return original();
    };
    let pages = whole_pages(size);
    let replaces = flags & libc::MAP_FIXED != 0;
    if replaces {
        record::mapping(
            &hook,
            session,
            Kind::ResizeOut,
            address as usize & !(PAGE - 1),
            pages,
            Caller::NONE,
        );
        hook.original();
    }
    let mapped = original();
    let failed = mapped == libc::MAP_FAILED;
    let counted = flags & libc::MAP_ANONYMOUS != 0
        && flags & libc::MAP_TYPE == libc::MAP_PRIVATE
        && protection & libc::PROT_WRITE != 0;
    if failed {
        if replaces {
            record::mapping(&hook, session, Kind::ResizeFailed, 0, 0, Caller::NONE);
        }
        return mapped;
    }
    if replaces {
        record::mapping(&hook, session, Kind::Death, 0, 0, Caller::NONE);
    }
    if counted && session::state() & state::BIRTHS != 0 {
        record::mapping(&hook, session, Kind::Birth, mapped as usize, pages, caller);
    }
    mapped
}

/// `munmap`.
///
/// # Safety
/// As libc's.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(crate) unsafe extern "C" fn munmap(address: *mut c_void, size: usize) -> c_int {
    // SAFETY: the original, with the caller's arguments.
    let original = || unsafe { real::munmap::get()(address, size) };
    let Some((hook, session)) = enter() else {
        return original();
    };
    record::mapping(
        &hook,
        session,
        Kind::ResizeOut,
        address as usize & !(PAGE - 1),
        whole_pages(size),
        Caller::NONE,
    );
    hook.original();
    let status = original();
    let outcome = if status == 0 {
        Kind::Death
    } else {
        Kind::ResizeFailed
    };
    record::mapping(&hook, session, outcome, 0, 0, Caller::NONE);
    status
}

unsafe extern "C" fn on_mremap(
    address: *mut c_void,
    old_size: usize,
    new_size: usize,
    flags: c_int,
    new_address: *mut c_void,
    caller: Caller,
) -> *mut c_void {
    // SAFETY: the original, with the caller's arguments.
    let original =
        || unsafe { real::mremap::get()(address, old_size, new_size, flags, new_address) };
    let Some((hook, session)) = enter() else {
        return original();
    };
    record::mapping(
        &hook,
        session,
        Kind::ResizeOut,
        address as usize & !(PAGE - 1),
        whole_pages(old_size),
        Caller::NONE,
    );
    hook.original();
    let mapped = original();
    if mapped == libc::MAP_FAILED {
        record::mapping(&hook, session, Kind::ResizeFailed, 0, 0, Caller::NONE);
    } else {
        record::mapping(
            &hook,
            session,
            Kind::ResizeIn,
            mapped as usize,
            whole_pages(new_size),
            caller,
        );
    }
    mapped
}
