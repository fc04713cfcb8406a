//! What the hooks may do beyond computing: the doors, the calls outside, the calls that the machine code alone does not tell.
//!
//! A name that ends with `::` stands for all that it begins. Each row has its reason.

/// A cold function at which the walk from the hooks stops: what is behind it may end the process, where what it trusts of
/// itself is not so, and has a bound of its own on stack.
pub(super) struct Door {
    pub(super) name: &'static str,
    /// Most bytes of stack of a call, other doors closed.
    pub(super) stack_bytes: u64,
    /// What recurses behind it, to a depth that is known.
    pub(super) recursion: &'static [&'static str],
    pub(super) why: &'static str,
}

/// The doors.
pub(super) const DOORS: &[Door] = &[
    Door {
        name: "pytrace::session::flushing::",
        stack_bytes: 2560,
        recursion: &[],
        why: "the books: whoever hands over a full buffer keeps them, where no thread of the shim's does",
    },
    Door {
        name: "pytrace::session::counting::apply_at_once",
        stack_bytes: 2048,
        recursion: &[],
        why: "the books in `counts` mode: mappings and arenas have no buffer",
    },
    Door {
        name: "pytrace::output::",
        stack_bytes: 3584,
        // From the back of a path to the last separator: once. Sorting of addresses that get names: no deeper than twice the
        // logarithm of their number.
        recursion: &[
            "core::str::iter::SplitInternal::next_back",
            "core::slice::sort::",
        ],
        why: "writing what changed, by whoever keeps the books",
    },
    Door {
        name: "pytrace::stack::native::rules::find",
        stack_bytes: 3584,
        recursion: &[],
        why: "a return address that no thread has met: its rule is made from unwind tables",
    },
    Door {
        name: "pytrace::session::ending::walk_arenas",
        stack_bytes: 2048,
        // Sorting: no deeper than twice the logarithm of the number of arenas.
        recursion: &["core::slice::sort::"],
        why: "the walk of the pools: once, when the program ends or becomes another",
    },
    Door {
        name: "pytrace::session::begin",
        stack_bytes: 14_336,
        recursion: &[],
        why: "the beginning of a session: when the interpreter is found, and in a forked child",
    },
    Door {
        name: "pytrace::lifecycle::begin_if_python",
        stack_bytes: 3072,
        recursion: &["core::slice::sort::"],
        why: "the interpreter is looked for before it runs anything",
    },
];

/// A door whose way down has no bound: the end of the program. The summary is drawn, and `backtrace` names addresses, with
/// the standard library's locks and thread-locals, and reads names by recursion.
pub(super) const END: &str = "pytrace::output::Output::write_all";

/// Functions of other libraries that may be called, doors closed.
pub(super) const CALLS_OUTSIDE: &[(&str, &[&str])] = &[
    (
        "pure computation",
        &["bcmp", "memcmp", "memcpy", "memmove", "memset", "strlen"],
    ),
    (
        "reads a word of the thread's or the process's",
        &["__errno_location", "getpid", "getenv"],
    ),
    (
        "answered without the kernel, and without a lock",
        &["clock_gettime"],
    ),
    (
        "before `kill`: whether the signal would end the process",
        &["pthread_sigmask", "sigaction", "sigismember"],
    ),
    (
        "the shim's own thread, in `OwnWork`, from a mem or object hook or around a fork",
        &[
            "pthread_attr_init",
            "pthread_attr_setstacksize",
            "pthread_attr_destroy",
            "pthread_create",
            "pthread_join",
            "sigfillset",
        ],
    ),
    (
        "from `setlocale`, before any Python code runs, and before libc's own functions are known",
        &["dlsym", "dlopen", "dladdr", "dlerror", "dl_iterate_phdr"],
    ),
    (
        "by another name: whoever is first of that name",
        &["_exit", "free", "mmap", "realloc"],
    ),
    (
        "landing pads of the standard library's, which nothing comes to: a panic aborts",
        &["_Unwind_Resume"],
    ),
];

/// Calls that the machine code does not tell: within which functions (empty: any), through what (`*?`: a register or memory),
/// and what that comes to.
pub(super) const INDIRECT: &[(&str, &str, &str)] = &[
    ("", "*pytrace::sys::real::", "what ours stand in front of"),
    (
        "pytrace::hooks::allocators::",
        "*?",
        "the allocator of CPython's that the hook stands in front of",
    ),
    ("pytrace::python::", "*?", ASKS_CPYTHON),
    ("pytrace::record::", "*?", ASKS_CPYTHON),
    ("pytrace::stack::", "*?", ASKS_CPYTHON),
    ("pytrace::lifecycle::", "*?", ASKS_CPYTHON),
    ("pytrace::hooks::process::on_setlocale", "*?", ASKS_CPYTHON),
    (
        "pytrace::stack::native::rules::",
        "*pytrace::sys::objects::FIND_OBJECT.0",
        "`_dl_find_object`, which takes no lock",
    ),
];

/// Its functions that say which thread state runs here, and whether it is initialised or ends: they read a variable.
const ASKS_CPYTHON: &str = "a question to CPython, answered from a variable";

/// Functions that hold panics which cannot come to be, and the proof.
pub(super) const ASSERTED: &[(&str, &str)] = &[
    (
        "<pytrace::sys::heap::OwnHeap as core::alloc::global::GlobalAlloc>::",
        "the asserted sizes are those of the blocks that it gave",
    ),
    (
        "dlmalloc::dlmalloc::Dlmalloc::",
        "it divides by the length of a page, a constant",
    ),
];

/// Functions whose address is taken but that no hook and no handler is.
pub(super) const NO_HOOKS: &[(&str, &str)] = &[
    (
        "pytrace::session::background::background_main",
        "the body of the shim's own thread",
    ),
    ("pytrace::output::", "what the door of this name calls back"),
    (
        "pytrace::on_load::",
        "the constructor: one thread, no hook yet",
    ),
];
