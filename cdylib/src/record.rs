//! From a hook to an event: who asked, for how much, what was served.
//!
//! Invariant: nothing on these paths allocates from the program's heap, takes a lock that another thread holds across a
//! call out of the shim, calls Python, or changes `errno`. Each function demands a [`Hook`]: the proof of being the
//! outermost call, which owns the block.

use core::ffi::c_void;
use core::sync::atomic::Ordering;

use pytrace_format::record::Domain;

use crate::caller::Caller;
use crate::counts;
use crate::events::event::{Event, Kind, is_representable};
use crate::events::slot::Slot;
use crate::hooks::malloc;
use crate::python::arenas;
use crate::python::frame::{Learnt, Shape};
use crate::session::{self, Session, served_by, state};
use crate::stack::intern;
use crate::sys::real;
use crate::thread::{Hook, OwnWork, Word};

/// `SMALL_REQUEST_THRESHOLD`: pymalloc asks malloc for more than this.
const LARGEST_IN_POOL: usize = 512;

/// Sizes up to which pymalloc serves from pools, with and without debug hooks around it.
const SMALL: usize = 448;

/// Records that a block was born (or, as `ResizeIn`, that a resize announced by [`resize_out`] gave it): `address` was
/// given for `size` bytes to the function that returns to `caller`. Recording is on.
#[inline(always)]
pub(crate) fn block<S: Shape, const FULL: bool>(
    hook: &Hook<'_>,
    session: &'static Session,
    kind: Kind,
    domain: Domain,
    address: *mut c_void,
    size: usize,
    caller: Caller,
) {
    hook.recording();
    let Some(slot) = session.slot(hook.word()) else {
        return;
    };
    let pool_bytes = session.pool_bytes.load(Ordering::Relaxed) as usize;
    let is_pooled = is_from_pool(hook, pool_bytes, domain, size);
    let (served, pymalloc) = if is_pooled {
        // SAFETY: the allocator below is pymalloc (`learn`), which serves what it does not ask malloc for from pools.
        let served = unsafe { arenas::served_bytes(address as usize, pool_bytes) };
        (served as usize, true)
    } else if is_representable(address as usize) {
        served_otherwise(hook, session, domain, address, size)
    } else {
        return slot.lose(1);
    };
    let site = site::<S, FULL>(session, slot, domain, caller);
    if is_pooled {
        return slot.append(Event::pooled(
            kind,
            domain,
            address as usize,
            size,
            served,
            site,
        ));
    }
    append(
        slot,
        kind,
        domain,
        address,
        size as u64,
        served as u64,
        pymalloc,
        site,
    );
}

/// Whether a block was served from one of pymalloc's pools: small, and nothing was asked of malloc for it. Blocks of
/// `pool_bytes` 0 are not known to be.
#[inline(always)]
fn is_from_pool(hook: &Hook<'_>, pool_bytes: usize, domain: Domain, size: usize) -> bool {
    (domain == Domain::Mem || domain == Domain::Object)
        && size <= LARGEST_IN_POOL
        && pool_bytes != 0
        && hook.inner().is_null()
}

/// The same where neither the layout nor the kind of stacks is compiled in.
#[inline(never)]
pub(crate) fn block_with_any_stack(
    hook: &Hook<'_>,
    session: &'static Session,
    kind: Kind,
    domain: Domain,
    address: *mut c_void,
    size: usize,
    caller: Caller,
) {
    if session.is_native_full() {
        block::<Learnt, true>(hook, session, kind, domain, address, size, caller);
    } else {
        block::<Learnt, false>(hook, session, kind, domain, address, size, caller);
    }
}

/// The same in any state: paused, births are not recorded; during the tear-down they are only counted.
pub(crate) fn block_in_any_state(
    hook: &Hook<'_>,
    kind: Kind,
    domain: Domain,
    address: *mut c_void,
    size: usize,
    caller: Caller,
) {
    let state = session::state();
    let needed = if kind == Kind::Birth {
        state::BIRTHS
    } else {
        state::DEATHS
    };
    let (Some(session), false) = (session::current(), address.is_null() || state & needed == 0)
    else {
        return;
    };
    if state & state::STACKS != 0 {
        if state & state::COUNTS != 0 {
            return counts::block(hook, session, kind, domain, address, size);
        }
        return block_with_any_stack(hook, session, kind, domain, address, size, caller);
    }
    if kind == Kind::Birth {
        session.tear_down.birth(size);
    }
}

#[inline(never)]
#[expect(clippy::too_many_arguments, reason = "the fields of an event, once")]
fn append(
    slot: &Slot,
    kind: Kind,
    domain: Domain,
    address: *mut c_void,
    size: u64,
    served: u64,
    pymalloc: bool,
    site: u32,
) {
    let event = Event::block(kind, domain, address as usize, size, served, pymalloc, site);
    if Event::is_narrow(size, served) {
        slot.append(event);
    } else {
        slot.append_wide(Event::wide_prefix(size, served), event);
    }
}

/// Records something about a block that is known by its address alone: that it is about to be freed (`Death`) or resized
/// (`ResizeOut`: the real call follows, and the old address may be given out again before it returns), or that the
/// resize failed.
#[inline(always)]
pub(crate) fn bare(
    hook: &Hook<'_>,
    session: &'static Session,
    kind: Kind,
    domain: Domain,
    address: *mut c_void,
) {
    hook.recording();
    let state = session::state();
    if state & (state::STACKS | state::COUNTS) != state::STACKS {
        if kind == Kind::Death {
            match state & state::STACKS {
                0 => session.tear_down.death(),
                _ => counts::death(hook, session, domain),
            }
        }
        return;
    }
    bare_event(hook, session, kind, domain, address);
}

/// The same while everything is recorded.
#[inline(always)]
pub(crate) fn bare_event(
    hook: &Hook<'_>,
    session: &'static Session,
    kind: Kind,
    domain: Domain,
    address: *mut c_void,
) {
    hook.recording();
    let Some(slot) = session.slot(hook.word()) else {
        return;
    };
    // CPython's own allocators give nothing that an event could not point to.
    if domain != Domain::Mem && domain != Domain::Object && !is_representable(address as usize) {
        return slot.lose(1);
    }
    slot.append(Event::block(kind, domain, address as usize, 0, 0, false, 0));
}

/// Whether a block that was asked of malloc is the one that lies behind `block`: the same, or, where debug hooks put a size
/// and a canary of 16 bytes in front (once or twice), so much before it.
fn lies_behind(session: &Session, block: *mut c_void, inner: *mut c_void) -> bool {
    match (block as usize).wrapping_sub(inner as usize) {
        0 => true,
        16 | 32 => {
            session.debug_hooks.load(Ordering::Relaxed)
                || session.served_by.load(Ordering::Relaxed) == served_by::UNKNOWN
        }
        _ => false,
    }
}

/// Records the free of a block of its own from within the real allocator. It may be of a block whose birth lay within
/// a hook as well and was not recorded: so it is marked, and not missed in the books.
#[cold]
#[inline(never)]
pub(crate) fn inner_death(word: &Word, domain: Domain, block: *mut c_void) {
    let (Some(session), true) = (session::current(), is_representable(block as usize)) else {
        return;
    };
    let state = session::state();
    if state & (state::STACKS | state::COUNTS) != state::STACKS
        || lies_behind(session, word.outer(), block)
    {
        return;
    }
    // The hook writes nothing while the real allocator runs, so the slot is free for this.
    let own = OwnWork::begin();
    if let Some(slot) = session.slot(word) {
        slot.append(Event::inner_death(domain, block as usize));
    }
    drop(own);
}

/// Records something about a range of addresses that was mapped, resized or unmapped.
pub(crate) fn mapping(
    hook: &Hook<'_>,
    session: &'static Session,
    kind: Kind,
    address: usize,
    size: usize,
    caller: Caller,
) {
    hook.recording();
    let Some(slot) = session.slot(hook.word()) else {
        return;
    };
    if !is_representable(address) {
        // Nothing of ours lies where an event cannot point to, so only a birth there is a loss.
        if matches!(kind, Kind::Birth | Kind::ResizeIn) {
            slot.lose(1);
        }
        return;
    }
    let size = size as u64;
    if session.is_counting() {
        let site = intern::bare_site(Domain::Mmap);
        let event = Event::block(kind, Domain::Mmap, address, size, size, false, site);
        let prefix = (!Event::is_narrow(size, size)).then(|| Event::wide_prefix(size, size));
        return session.apply_at_once(slot, prefix, event);
    }
    let site = match kind {
        Kind::Birth | Kind::ResizeIn if session.is_native_full() => {
            site::<Learnt, true>(session, slot, Domain::Mmap, caller)
        }
        Kind::Birth | Kind::ResizeIn => site::<Learnt, false>(session, slot, Domain::Mmap, caller),
        _ => 0,
    };
    append(
        slot,
        kind,
        Domain::Mmap,
        address as *mut c_void,
        size,
        size,
        false,
        site,
    );
}

/// The call site of an allocation by this thread, now.
#[inline(always)]
fn site<S: Shape, const FULL: bool>(
    session: &Session,
    slot: &Slot,
    domain: Domain,
    caller: Caller,
) -> u32 {
    let python = session.python;
    let frame = if !python.reads_stacks() {
        python.check_first_frame();
        core::ptr::null()
    } else if domain == Domain::Mem || domain == Domain::Object {
        python.attached_frame(S::layout(python))
    } else {
        // SAFETY: the slot is this thread's, and the hook makes this the only user of its caches.
        unsafe { slot.stacks() }.proven(python, python.own_frame())
    };
    // SAFETY: the slot is this thread's, the hook makes this the only user of its caches, and the frame is the thread's
    // running one.
    let site = unsafe {
        slot.stacks().site::<S, FULL>(
            python,
            frame,
            caller,
            session.caller_mask,
            domain,
            session.depth,
        )
    };
    #[cfg(feature = "verify")]
    // SAFETY: as above.
    unsafe {
        crate::stack::verify::check(session, frame, site);
    }
    site
}

/// Bytes set aside for a block that was just given, and whether they lie in one of pymalloc's pools.
#[inline(always)]
pub(crate) fn served(
    hook: &Hook<'_>,
    session: &Session,
    domain: Domain,
    address: *mut c_void,
    size: usize,
) -> (usize, bool) {
    let pool_bytes = session.pool_bytes.load(Ordering::Relaxed) as usize;
    if is_from_pool(hook, pool_bytes, domain, size) {
        // SAFETY: the allocator below is pymalloc (`learn`), which serves what it does not ask malloc for from pools.
        return (
            unsafe { arenas::served_bytes(address as usize, pool_bytes) } as usize,
            true,
        );
    }
    served_otherwise(hook, session, domain, address, size)
}

/// The same where malloc was asked below, or it is not yet known who serves small blocks.
#[inline(never)]
fn served_otherwise(
    hook: &Hook<'_>,
    session: &Session,
    domain: Domain,
    address: *mut c_void,
    size: usize,
) -> (usize, bool) {
    if domain == Domain::Malloc {
        return (usable(address, size), false);
    }
    let inner = hook.inner();
    let from_malloc = !inner.is_null() && lies_behind(session, address, inner);
    if session.served_by.load(Ordering::Relaxed) == served_by::UNKNOWN
        && domain != Domain::Raw
        && size <= SMALL
    {
        learn(
            session,
            address,
            size,
            if from_malloc {
                inner
            } else {
                core::ptr::null_mut()
            },
        );
    }
    if from_malloc {
        return (usable(inner, size), false);
    }
    let pool_bytes = session.pool_bytes.load(Ordering::Relaxed) as usize;
    if pool_bytes == 0 || domain == Domain::Raw || size > LARGEST_IN_POOL {
        return (size, false);
    }
    // SAFETY: as in `served`; what was asked of malloc below was something else (a table of arenas).
    (
        unsafe { arenas::served_bytes(address as usize, pool_bytes) } as usize,
        true,
    )
}

/// The first small block tells who serves small blocks: an address in an arena, a block of malloc's, or neither.
#[cold]
#[inline(never)]
fn learn(session: &Session, address: *mut c_void, size: usize, inner: *mut c_void) {
    if !inner.is_null() {
        session
            .debug_hooks
            .store(inner != address, Ordering::Relaxed);
        session
            .served_by
            .store(served_by::MALLOC, Ordering::Release);
        return;
    }
    let arenas = session.arenas.lock();
    let Some(arena_bytes) = arenas.size_of_arena_at(address as usize) else {
        if !session.python.may_have_mimalloc() {
            // An arena from before the hooks: a later block will tell.
            return;
        }
        session.debug_hooks.store(
            crate::python::allocators::debug_hooks_asked(),
            Ordering::Relaxed,
        );
        session
            .served_by
            .store(served_by::MIMALLOC, Ordering::Release);
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
        .served_by
        .store(served_by::PYMALLOC, Ordering::Release);
    if !malloc::is_first() {
        // Another allocator answers malloc before us: whether a block is from a pool cannot be told, so it is not asked.
        return;
    }
    session
        .pool_bytes
        .store(pool_bytes as u32, Ordering::Release);
}

/// Bytes that malloc set aside for a block, of which so many were asked for.
#[inline(always)]
fn usable(block: *mut c_void, size: usize) -> usize {
    if real::is_early(block) {
        return real::early_size(block);
    }
    if !malloc::tells_sizes() {
        return size;
    }
    // SAFETY: a live block of the allocator whose function this is (`tells_sizes`).
    unsafe { real::malloc_usable_size::get()(block) }
}
