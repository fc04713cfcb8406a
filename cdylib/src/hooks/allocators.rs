//! The hooks in CPython's allocator tables: raw, mem, object, and arenas.
//!
//! Each hook has a straight path for the usual case (recording, outermost call) and hands everything else to a cold one.
//! They are compiled for each domain and for each [`Way`]: each version's layout ([`Shape`]), and `counts` mode.

use core::ffi::c_void;
use core::marker::PhantomData;

use pytrace_format::record::{Domain, Mode, Native};

use super::entries;
use crate::caller::Caller;
use crate::counts;
use crate::events::event::{Control, Event, Kind};
use crate::python::Python;
use crate::python::allocators::{Allocator, ArenaAllocator, Hooks, Wrapped};
use crate::python::frame::{self, Learnt, Shape};
use crate::record;
use crate::session::{self, Session, state};
use crate::settings::Settings;
use crate::stack::{cache, intern};
use crate::thread::{self, Hook, Word};

type Context = Wrapped<Allocator>;

/// A domain of CPython's, as a type.
pub(crate) trait Of {
    const DOMAIN: Domain;
}

struct Raw;
struct Mem;
struct Object;

impl Of for Raw {
    const DOMAIN: Domain = Domain::Raw;
}

impl Of for Mem {
    const DOMAIN: Domain = Domain::Mem;
}

impl Of for Object {
    const DOMAIN: Domain = Domain::Object;
}

/// What a hook does with a call on its straight path, as a type.
pub(crate) trait Way {
    /// The state in which the straight path is taken.
    const STATE: u8;

    /// Whether the interpreter has begun to tear down.
    fn is_finalizing(python: &Python) -> bool;

    /// A block was given, or given anew.
    fn give(
        hook: &Hook<'_>,
        session: &'static Session,
        kind: Kind,
        domain: Domain,
        block: *mut c_void,
        size: usize,
        caller: Caller,
    );

    /// A block is about to be freed.
    fn take(hook: &Hook<'_>, session: &'static Session, domain: Domain, block: *mut c_void);
}

/// Events with stacks, read with a version's layout; `FULL`: with all native frames.
struct Traced<S, const FULL: bool>(PhantomData<S>);

impl<S: Shape, const FULL: bool> Way for Traced<S, FULL> {
    const STATE: u8 = state::RECORDING;

    #[inline(always)]
    fn is_finalizing(python: &Python) -> bool {
        if S::IS_COMPILED_IN {
            python.is_finalizing_as_known()
        } else {
            python.is_finalizing()
        }
    }

    #[inline(always)]
    fn give(
        hook: &Hook<'_>,
        session: &'static Session,
        kind: Kind,
        domain: Domain,
        block: *mut c_void,
        size: usize,
        caller: Caller,
    ) {
        record::block::<S, FULL>(hook, session, kind, domain, block, size, caller);
    }

    #[inline(always)]
    fn take(hook: &Hook<'_>, session: &'static Session, domain: Domain, block: *mut c_void) {
        record::bare_event(hook, session, Kind::Death, domain, block);
        if domain == Domain::Object {
            forget_code::<S>(session, block);
        }
    }
}

/// Notes that a block of the object domain, about to be freed, is a code object, if it is one.
#[inline(always)]
fn forget_code<S: Shape>(session: &Session, block: *mut c_void) {
    let python = session.python;
    if python.reads_stacks() && python.is_code_object(S::layout(python), block) {
        intern::code_died(block as usize);
    }
}

/// Numbers alone.
struct Counted;

impl Way for Counted {
    const STATE: u8 = state::COUNTING;

    #[inline(always)]
    fn is_finalizing(python: &Python) -> bool {
        python.is_finalizing()
    }

    #[inline(always)]
    fn give(
        hook: &Hook<'_>,
        session: &'static Session,
        kind: Kind,
        domain: Domain,
        block: *mut c_void,
        size: usize,
        _caller: Caller,
    ) {
        counts::block(hook, session, kind, domain, block, size);
    }

    #[inline(always)]
    fn take(hook: &Hook<'_>, session: &'static Session, domain: Domain, _block: *mut c_void) {
        counts::death(hook, session, domain);
    }
}

entries! {
    hook_malloc<D: Of, W: Way> / 2 => on_malloc::<D, W>;
    hook_calloc<D: Of, W: Way> / 3 => on_calloc::<D, W>;
    hook_realloc<D: Of, W: Way> / 3 => on_realloc::<D, W>;
}

unsafe extern "C" fn on_malloc<D: Of, W: Way>(
    context: *mut c_void,
    size: usize,
    caller: Caller,
) -> *mut c_void {
    // SAFETY: CPython passes the context that was installed with this function.
    let original = unsafe { &(*context.cast::<Context>()).original };
    give::<D, W>(size, caller, || match original.malloc {
        // SAFETY: the wrapped function, with its own context and the caller's arguments.
        Some(malloc) => unsafe { malloc(original.context, size) },
        None => core::ptr::null_mut(),
    })
}

unsafe extern "C" fn on_calloc<D: Of, W: Way>(
    context: *mut c_void,
    count: usize,
    size: usize,
    caller: Caller,
) -> *mut c_void {
    // SAFETY: as above.
    let original = unsafe { &(*context.cast::<Context>()).original };
    give::<D, W>(count.wrapping_mul(size), caller, || match original.calloc {
        // SAFETY: as above. When the product overflows it gives no block.
        Some(calloc) => unsafe { calloc(original.context, count, size) },
        None => core::ptr::null_mut(),
    })
}

unsafe extern "C" fn on_realloc<D: Of, W: Way>(
    context: *mut c_void,
    block: *mut c_void,
    size: usize,
    caller: Caller,
) -> *mut c_void {
    // SAFETY: as above.
    let original = unsafe { &(*context.cast::<Context>()).original };
    let original = || match original.realloc {
        // SAFETY: as above.
        Some(realloc) => unsafe { realloc(original.context, block, size) },
        None => core::ptr::null_mut(),
    };
    if block.is_null() {
        return give::<D, W>(size, caller, original);
    }
    resize::<D, W>(block, size, caller, original)
}

unsafe extern "C" fn on_free<D: Of, W: Way>(context: *mut c_void, block: *mut c_void) {
    // SAFETY: as above.
    let original = unsafe { &(*context.cast::<Context>()).original };
    take::<D, W>(block, || {
        if let Some(free) = original.free {
            // SAFETY: as above.
            unsafe { free(original.context, block) }
        }
    });
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

fn table<D: Of, W: Way>() -> Allocator {
    // SAFETY: `entries!` made the trampolines for functions of these types.
    unsafe {
        Allocator {
            context: core::ptr::null_mut(),
            malloc: function(hook_malloc::<D, W>),
            calloc: function(hook_calloc::<D, W>),
            realloc: function(hook_realloc::<D, W>),
            free: Some(on_free::<D, W>),
        }
    }
}

fn tables<W: Way>() -> [Allocator; 3] {
    [table::<Raw, W>(), table::<Mem, W>(), table::<Object, W>()]
}

/// The tables to install for an interpreter.
pub(crate) fn hooks(python: &Python, settings: &Settings) -> Hooks {
    let full = settings.native == Native::Full;
    macro_rules! pick {
        ($($shape:ident),*) => {
            match python {
                _ if settings.mode == Mode::Counts => tables::<Counted>(),
                $(
                    python if frame::$shape::is_of(python) && full => {
                        tables::<Traced<frame::$shape, true>>()
                    }
                    python if frame::$shape::is_of(python) => {
                        tables::<Traced<frame::$shape, false>>()
                    }
                )*
                _ if full => tables::<Traced<Learnt, true>>(),
                _ => tables::<Traced<Learnt, false>>(),
            }
        };
    }
    Hooks {
        domains: pick!(V3_8, V3_9, V3_10, V3_11, V3_12, V3_13, V3_14, V3_15),
        arenas: ArenaAllocator {
            context: core::ptr::null_mut(),
            alloc: Some(arena_alloc),
            free: Some(arena_free),
        },
    }
}

/// Enters the straight path: recording, not inside another hook, the interpreter not tearing down.
#[inline(always)]
fn enter_straight<D: Of, W: Way>(word: &'static Word) -> Option<(Hook<'static>, &'static Session)> {
    if session::state() != W::STATE {
        return None;
    }
    let session = session::current()?;
    if D::DOMAIN != Domain::Raw && W::is_finalizing(session.python) {
        return None;
    }
    Some((Hook::enter(word)?, session))
}

/// Enters whatever the state is; `None`: pass the call on.
fn enter_slowly<D: Of>(word: &'static Word) -> Option<(Hook<'static>, &'static Session)> {
    if session::state() & state::RECORDING == 0 {
        return None;
    }
    let session = session::current()?;
    let hook = Hook::enter(word)?;
    if D::DOMAIN != Domain::Raw {
        hook.recording();
        if session::state() & state::ATTENTION != 0 {
            session.attend();
        }
        if session::state() & state::STACKS != 0 && session.python.is_finalizing() {
            session.begin_tear_down();
        }
        hook.original();
    }
    Some((hook, session))
}

#[inline(always)]
fn give<D: Of, W: Way>(
    size: usize,
    caller: Caller,
    original: impl FnOnce() -> *mut c_void,
) -> *mut c_void {
    let word = thread::word();
    let Some((hook, session)) = enter_straight::<D, W>(word) else {
        return give_slowly::<D>(word, size, caller, original);
    };
    let block = original();
    if !block.is_null() {
        W::give(&hook, session, Kind::Birth, D::DOMAIN, block, size, caller);
    }
    block
}

#[cold]
#[inline(never)]
fn give_slowly<D: Of>(
    word: &'static Word,
    size: usize,
    caller: Caller,
    original: impl FnOnce() -> *mut c_void,
) -> *mut c_void {
    let Some((hook, _)) = enter_slowly::<D>(word) else {
        return original();
    };
    let block = original();
    record::block_in_any_state(&hook, Kind::Birth, D::DOMAIN, block, size, caller);
    block
}

#[inline(always)]
fn resize<D: Of, W: Way>(
    block: *mut c_void,
    size: usize,
    caller: Caller,
    original: impl FnOnce() -> *mut c_void,
) -> *mut c_void {
    let word = thread::word();
    let Some((hook, session)) = enter_straight::<D, W>(word) else {
        return resize_slowly::<D>(word, block, size, caller, original);
    };
    record::bare(&hook, session, Kind::ResizeOut, D::DOMAIN, block);
    hook.set_outer(block);
    hook.original();
    let new = original();
    if new.is_null() {
        record::bare(&hook, session, Kind::ResizeFailed, D::DOMAIN, new);
    } else {
        W::give(&hook, session, Kind::ResizeIn, D::DOMAIN, new, size, caller);
    }
    new
}

#[cold]
#[inline(never)]
fn resize_slowly<D: Of>(
    word: &'static Word,
    block: *mut c_void,
    size: usize,
    caller: Caller,
    original: impl FnOnce() -> *mut c_void,
) -> *mut c_void {
    let Some((hook, session)) = enter_slowly::<D>(word) else {
        return original();
    };
    record::bare(&hook, session, Kind::ResizeOut, D::DOMAIN, block);
    hook.set_outer(block);
    hook.original();
    let new = original();
    if new.is_null() {
        record::bare(&hook, session, Kind::ResizeFailed, D::DOMAIN, new);
    } else {
        record::block_in_any_state(&hook, Kind::ResizeIn, D::DOMAIN, new, size, caller);
    }
    new
}

#[inline(always)]
fn take<D: Of, W: Way>(block: *mut c_void, original: impl FnOnce()) {
    if block.is_null() {
        return original();
    }
    let word = thread::word();
    let Some((hook, session)) = enter_straight::<D, W>(word) else {
        return take_slowly::<D>(word, block, original);
    };
    W::take(&hook, session, D::DOMAIN, block);
    hook.set_outer(block);
    hook.original();
    original();
}

#[cold]
#[inline(never)]
fn take_slowly<D: Of>(word: &'static Word, block: *mut c_void, original: impl FnOnce()) {
    let Some((hook, session)) = enter_slowly::<D>(word) else {
        if word.may_free_another(block) {
            record::inner_death(word, D::DOMAIN, block);
        }
        return original();
    };
    record::bare(&hook, session, Kind::Death, D::DOMAIN, block);
    if D::DOMAIN == Domain::Object {
        forget_code::<Learnt>(session, block);
    }
    hook.set_outer(block);
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
    // What is no arena may be a chunk of a data stack: known before it is unmapped, so that nobody reads frames in it.
    cache::note_frames_unmapped();
    // Known before it is unmapped, so that nobody walks it afterwards.
    let is_arena = session::state() != state::OFF
        && session::current().is_some_and(|session| session.arenas.lock().remove(address as usize));
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
    let (Some(session), false) = (session::current(), session::state() == state::OFF) else {
        return;
    };
    // A signal handler that comes now must find the slot and the locks busy.
    let own = thread::OwnWork::begin();
    if what == Control::ArenaMapped {
        session.arenas.lock().add(address as usize, size);
    }
    if let Some(slot) = session.slot(thread::word()) {
        let event = Event::control(what, address as usize, size as u64);
        if session.is_counting() {
            session.apply_at_once(slot, None, event);
        } else {
            slot.append(event);
        }
    }
    drop(own);
}
