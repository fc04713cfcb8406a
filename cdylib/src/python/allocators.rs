//! CPython's allocator tables: taking what is in them, putting ours in front.
//!
//! Source: `PyMem_GetAllocator`, `PyMem_SetAllocator`, `PyObject_{Get,Set}ArenaAllocator` (stable since 3.4). Entered by the
//! constructor, and by `setlocale` during pre-initialisation, when the interpreter has one thread.

use core::cell::UnsafeCell;
use core::ffi::{c_int, c_void};
use core::sync::atomic::{AtomicUsize, Ordering};

use pytrace_format::record::Domain;

use super::Lookup;

/// `PyMemAllocatorEx`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Allocator {
    pub(crate) context: *mut c_void,
    pub(crate) malloc: Option<unsafe extern "C" fn(*mut c_void, usize) -> *mut c_void>,
    pub(crate) calloc: Option<unsafe extern "C" fn(*mut c_void, usize, usize) -> *mut c_void>,
    pub(crate) realloc:
        Option<unsafe extern "C" fn(*mut c_void, *mut c_void, usize) -> *mut c_void>,
    pub(crate) free: Option<unsafe extern "C" fn(*mut c_void, *mut c_void)>,
}

/// `PyObjectArenaAllocator`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct ArenaAllocator {
    pub(crate) context: *mut c_void,
    pub(crate) alloc: Option<unsafe extern "C" fn(*mut c_void, usize) -> *mut c_void>,
    pub(crate) free: Option<unsafe extern "C" fn(*mut c_void, *mut c_void, usize)>,
}

/// What a hook is given as its context: the allocator it stands in front of. Written once, before it is installed,
/// and immortal: a caller on another thread may still hold it when the table has been changed since.
#[repr(C)]
pub(crate) struct Wrapped<T> {
    pub(crate) original: T,
}

/// The functions that are installed. Their context is a [`Wrapped`].
pub(crate) struct Hooks {
    pub(crate) domains: [Allocator; 3],
    pub(crate) arenas: ArenaAllocator,
}

type GetAllocator = unsafe extern "C" fn(c_int, *mut Allocator);
type SetAllocator = unsafe extern "C" fn(c_int, *mut Allocator);
type GetArenas = unsafe extern "C" fn(*mut ArenaAllocator);
type SetArenas = unsafe extern "C" fn(*mut ArenaAllocator);

/// How often hooks can be installed in one process; embedding programs may initialise Python again and again.
const MOST_INSTALLATIONS: usize = 64;

/// Immortal places for contexts.
struct Contexts<T> {
    places: UnsafeCell<[Option<Wrapped<T>>; MOST_INSTALLATIONS]>,
    used: AtomicUsize,
}

// SAFETY: each place is written once, by the installation that took its number, before its address is published.
unsafe impl<T> Sync for Contexts<T> {}

impl<T: Copy> Contexts<T> {
    const fn new() -> Self {
        Contexts {
            places: UnsafeCell::new([const { None }; MOST_INSTALLATIONS]),
            used: AtomicUsize::new(0),
        }
    }

    fn keep(&self, original: T) -> Option<*mut c_void> {
        let number = self.used.fetch_add(1, Ordering::Relaxed);
        if number >= MOST_INSTALLATIONS {
            return None;
        }
        // SAFETY: the number is below the array's length and was given to this call alone.
        unsafe {
            let place = self.places.get().cast::<Option<Wrapped<T>>>().add(number);
            place.write(Some(Wrapped { original }));
            (*place)
                .as_mut()
                .map(|wrapped| core::ptr::from_mut(wrapped).cast())
        }
    }
}

static DOMAINS: [Contexts<Allocator>; 3] = [Contexts::new(), Contexts::new(), Contexts::new()];
static ARENAS: Contexts<ArenaAllocator> = Contexts::new();

/// Whether `PYTHONMALLOC` or the development mode asked for debug hooks; for allocators whose blocks do not show it. The
/// development mode shows in that the tables were overwritten although no allocator was named.
pub(crate) fn debug_hooks_asked() -> bool {
    // SAFETY: getenv reads the environment, which nobody changes during the interpreter's start.
    let value = unsafe { libc::getenv(c"PYTHONMALLOC".as_ptr()) };
    if value.is_null() {
        return DOMAINS[Domain::Object as usize]
            .used
            .load(Ordering::Relaxed)
            > 1;
    }
    // SAFETY: a NUL-terminated string of the environment.
    unsafe { core::ffi::CStr::from_ptr(value) }
        .to_bytes()
        .ends_with(b"debug")
}

/// Puts our hooks in front of the interpreter's allocators, where they are not there already. Returns whether any
/// domain's table was changed.
///
/// # Safety
/// No other thread of the interpreter runs, and no Python frame exists yet: under a tracer that wraps us (tracemalloc)
/// installing again would make the two call each other for ever.
pub(crate) unsafe fn install(lookup: Lookup<'_>, hooks: &Hooks) -> bool {
    let [get, set, get_arenas, set_arenas] = [
        c"PyMem_GetAllocator",
        c"PyMem_SetAllocator",
        c"PyObject_GetArenaAllocator",
        c"PyObject_SetArenaAllocator",
    ]
    .map(lookup);
    if get.is_null() || set.is_null() {
        return false;
    }
    // SAFETY: the functions have these types by CPython's public headers.
    let (get, set) = unsafe {
        (
            core::mem::transmute::<*mut c_void, GetAllocator>(get),
            core::mem::transmute::<*mut c_void, SetAllocator>(set),
        )
    };
    let current = |number: usize| {
        let mut table = hooks.domains[0];
        // SAFETY: fills the table of an existing domain (0 raw, 1 mem, 2 object).
        unsafe { get(number as c_int, &raw mut table) };
        table
    };
    let is_ours = |number: usize| {
        current(number).malloc.map(|function| function as usize)
            == hooks.domains[number]
                .malloc
                .map(|function| function as usize)
    };
    // The raw table is swapped for the default one now and then during the start; mem and object alone tell.
    if is_ours(Domain::Mem as usize) || is_ours(Domain::Object as usize) {
        return false;
    }
    for (number, hook) in hooks.domains.iter().enumerate() {
        if is_ours(number) {
            continue;
        }
        let Some(context) = DOMAINS[number].keep(current(number)) else {
            return false;
        };
        let mut table = Allocator { context, ..*hook };
        // SAFETY: the table's functions accept every call that the wrapped ones accept; the context is immortal.
        unsafe { set(number as c_int, &raw mut table) };
    }
    if !get_arenas.is_null() && !set_arenas.is_null() {
        // SAFETY: as above.
        unsafe {
            let get_arenas = core::mem::transmute::<*mut c_void, GetArenas>(get_arenas);
            let set_arenas = core::mem::transmute::<*mut c_void, SetArenas>(set_arenas);
            let mut table = hooks.arenas;
            get_arenas(&raw mut table);
            let ours = hooks.arenas.alloc.map(|function| function as usize);
            if table.alloc.map(|function| function as usize) != ours
                && let Some(context) = ARENAS.keep(table)
            {
                let mut table = ArenaAllocator {
                    context,
                    ..hooks.arenas
                };
                set_arenas(&raw mut table);
            }
        }
    }
    true
}
