//! From a hook to an event: who asked, for how much, what was served.
//!
//! Invariant: nothing on these paths allocates from the program's heap, takes a lock that another thread holds across a
//! call out of the shim, calls Python, or changes `errno`. Each function demands a [`Hook`]: the proof of being the
//! outermost call, which owns the block.

use core::ffi::c_void;
use core::sync::atomic::Ordering;

use pytrace_format::record::{Domain, Native};

use crate::events::event::{Event, Kind, is_representable};
use crate::events::slot::Slot;
use crate::python::{self, arenas};
use crate::session::{self, Session, served_by, state};
use crate::stack::intern;
use crate::sys::real;
use crate::thread::Hook;

/// How far a debug hook may shift a block from the one that malloc gave (its size and a canary: 16 bytes).
const MOST_SHIFT: usize = 64;

/// Sizes up to which pymalloc serves from pools, with and without debug hooks around it.
const SMALL: usize = 448;

/// The session and this thread's slot, when events are recorded.
#[inline(always)]
pub(crate) fn recorder(hook: &Hook<'_>) -> Option<(&'static Session, &'static Slot)> {
    let session = session::current()?;
    Some((session, session.slot(hook.word())?))
}

/// Records that a block was born: `address` was given for `size` bytes to the function that returns to `caller`.
#[inline(always)]
pub(crate) fn birth(
    hook: &Hook<'_>,
    domain: Domain,
    address: *mut c_void,
    size: usize,
    caller: usize,
) {
    if address.is_null() || session::state() & state::BIRTHS == 0 {
        return;
    }
    block(hook, Kind::Birth, domain, address, size, caller);
}

/// Records that a resize, announced by [`resize_out`], gave this block.
#[inline(always)]
pub(crate) fn resize_in(
    hook: &Hook<'_>,
    domain: Domain,
    address: *mut c_void,
    size: usize,
    caller: usize,
) {
    block(hook, Kind::ResizeIn, domain, address, size, caller);
}

#[inline(always)]
fn block(
    hook: &Hook<'_>,
    kind: Kind,
    domain: Domain,
    address: *mut c_void,
    size: usize,
    caller: usize,
) {
    hook.recording();
    let Some((session, slot)) = recorder(hook) else {
        return;
    };
    if !is_representable(address as usize) {
        return slot.lose(1);
    }
    let (served, pymalloc) = served(hook, session, domain, address, size);
    let site = site(session, slot, domain, caller);
    let (size, served) = (size as u64, served as u64);
    let event = Event::block(kind, domain, address as usize, size, served, pymalloc, site);
    slot.append(Event::wide_prefix(size, served), event);
}

/// Records that a block is about to be freed.
#[inline(always)]
pub(crate) fn death(hook: &Hook<'_>, domain: Domain, address: *mut c_void) {
    hook.recording();
    if session::state() & state::DEATHS != 0 {
        bare(hook, Kind::Death, domain, address);
    }
}

/// Records that a block is about to be resized. The real call follows: the block's old address may be given out again
/// before it returns.
#[inline(always)]
pub(crate) fn resize_out(hook: &Hook<'_>, domain: Domain, address: *mut c_void) {
    hook.recording();
    bare(hook, Kind::ResizeOut, domain, address);
}

/// Records that the resize failed: the block is where and what it was.
#[cold]
pub(crate) fn resize_failed(hook: &Hook<'_>, domain: Domain) {
    hook.recording();
    bare(hook, Kind::ResizeFailed, domain, core::ptr::null_mut());
}

#[inline(always)]
fn bare(hook: &Hook<'_>, kind: Kind, domain: Domain, address: *mut c_void) {
    let Some((_, slot)) = recorder(hook) else {
        return;
    };
    if !is_representable(address as usize) {
        return slot.lose(1);
    }
    slot.append(
        None,
        Event::block(kind, domain, address as usize, 0, 0, false, 0),
    );
}

/// Records something about a range of addresses that was mapped, resized or unmapped.
pub(crate) fn mapping(hook: &Hook<'_>, kind: Kind, address: usize, size: usize, caller: usize) {
    hook.recording();
    let Some((session, slot)) = recorder(hook) else {
        return;
    };
    if !is_representable(address) {
        return slot.lose(1);
    }
    let site = match kind {
        Kind::Birth | Kind::ResizeIn => site(session, slot, Domain::Mmap, caller),
        _ => 0,
    };
    let size = size as u64;
    let event = Event::block(kind, Domain::Mmap, address, size, size, false, site);
    slot.append(Event::wide_prefix(size, size), event);
}

/// The call site of an allocation by this thread, now.
#[inline(always)]
fn site(session: &Session, slot: &Slot, domain: Domain, caller: usize) -> u32 {
    if session::state() & state::STACKS == 0 {
        return intern::bare_site(domain);
    }
    let caller = if session.settings.native == Native::Off {
        0
    } else {
        caller
    };
    let Some(python) = python::current() else {
        return intern::bare_site(domain);
    };
    if domain == Domain::Mem || domain == Domain::Object {
        python.check_first_frame();
    }
    let frame = if python.reads_stacks() {
        match domain {
            Domain::Mem | Domain::Object => python.attached_frame(),
            _ => python.own_frame(),
        }
    } else {
        core::ptr::null()
    };
    // SAFETY: the slot is this thread's, the hook makes this the only user of its caches, and the frame is the thread's
    // running one.
    unsafe {
        slot.stacks()
            .site(python, frame, caller, domain, session.settings.depth)
    }
}

/// Bytes set aside for a block that was just given, and whether they lie in one of pymalloc's pools.
#[inline(always)]
fn served(
    hook: &Hook<'_>,
    session: &Session,
    domain: Domain,
    address: *mut c_void,
    size: usize,
) -> (usize, bool) {
    if domain == Domain::Malloc {
        return (usable(address), false);
    }
    let inner = hook.inner();
    if !inner.is_null() && (address as usize).wrapping_sub(inner as usize) <= MOST_SHIFT {
        if session.served_by.load(Ordering::Relaxed) == served_by::UNKNOWN {
            learn(session, domain, address, size, inner);
        }
        return (usable(inner), false);
    }
    if domain == Domain::Raw {
        return (size, false);
    }
    match session.served_by.load(Ordering::Relaxed) {
        served_by::PYMALLOC => {
            let pool_bytes = session.pool_bytes.load(Ordering::Relaxed) as usize;
            // SAFETY: the allocator below is pymalloc (`learn`), which serves what it does not ask malloc for from pools.
            (
                unsafe { arenas::served_bytes(address as usize, pool_bytes) } as usize,
                true,
            )
        }
        served_by::OTHER => (size, false),
        _ => {
            learn(session, domain, address, size, core::ptr::null_mut());
            if session.served_by.load(Ordering::Relaxed) == served_by::UNKNOWN {
                return (size, false);
            }
            served(hook, session, domain, address, size)
        }
    }
}

/// The first small block tells who serves small blocks: an address in an arena, a block of malloc's, or neither.
#[cold]
#[inline(never)]
fn learn(session: &Session, domain: Domain, address: *mut c_void, size: usize, inner: *mut c_void) {
    if domain == Domain::Raw || size > SMALL {
        return;
    }
    if !inner.is_null() {
        session
            .debug_hooks
            .store(inner != address, Ordering::Relaxed);
        session.saw_python_block.store(true, Ordering::Relaxed);
        session.served_by.store(served_by::OTHER, Ordering::Release);
        return;
    }
    let arenas = session.arenas.lock();
    let Some(arena_bytes) = arenas.size_of_arena_at(address as usize) else {
        session
            .debug_hooks
            .store(python::allocators::debug_hooks_asked(), Ordering::Relaxed);
        session.served_by.store(served_by::OTHER, Ordering::Release);
        return;
    };
    let pool_bytes = arenas::pool_bytes(arena_bytes);
    // SAFETY: the block lies in an arena, so in a pool of it.
    let served = unsafe { arenas::served_bytes(address as usize, pool_bytes as usize) };
    let in_pool = address as u64 & (pool_bytes - 1);
    let shifted = in_pool >= arenas::POOL_HEADER_BYTES
        && (in_pool - arenas::POOL_HEADER_BYTES) % served == 16;
    session
        .debug_hooks
        .store(shifted && served >= size as u64 + 16, Ordering::Relaxed);
    session
        .pool_bytes
        .store(pool_bytes as u32, Ordering::Relaxed);
    session
        .served_by
        .store(served_by::PYMALLOC, Ordering::Release);
}

#[inline(always)]
fn usable(block: *mut c_void) -> usize {
    if real::is_early(block) {
        return real::early_size(block);
    }
    // SAFETY: a live block of the allocator whose function this is.
    unsafe { real::malloc_usable_size::get()(block) }
}

/// What a hook of the mem or object domain does first: sees whether the interpreter has begun to tear down.
#[inline(always)]
pub(crate) fn watch_for_the_end(hook: &Hook<'_>) {
    if session::state() & state::STACKS != 0
        && let Some(python) = python::current()
        && python.is_finalizing()
    {
        hook.recording();
        if let Some(session) = session::current() {
            session.freeze(true);
        }
        hook.original();
    }
}
