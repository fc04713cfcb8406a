//! When tracing begins and ends: the constructor, the interpreter's start, fork, the process's end.

use core::ffi::{CStr, c_void};
use core::sync::atomic::{AtomicBool, Ordering};

use pytrace_format::record::{Ended, Native};

use crate::python::{self, Python, allocators};
use crate::session::{self, Session};
use crate::settings::{self, Settings};
use crate::sys::{clock, file, heap, real, syscall};
use crate::thread::{self, OwnWork};
use crate::{hooks, sys};

/// The process is not to be traced, whatever comes: switched off, set-uid, or its settings are wrong.
static INERT: AtomicBool = AtomicBool::new(false);

/// The library was loaded: the program's `main` has not begun, there is one thread.
pub(crate) fn on_load() {
    let own = OwnWork::begin();
    real::resolve();
    heap::on_shortage(session::out_of_memory);
    hooks::malloc::look_who_is_beside();
    // SAFETY: reads the auxiliary vector.
    if unsafe { libc::getauxval(libc::AT_SECURE) } != 0 {
        INERT.store(true, Ordering::Relaxed);
        return;
    }
    file::note_stderr();
    // SAFETY: a plain look-up; RTLD_DEFAULT searches what is loaded.
    let lookup = |name: &CStr| unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    begin_if_python(&lookup);
    forget_loader_error();
    drop(own);
}

/// CPython calls `setlocale` right after it has chosen its allocators, in every version; so does nobody else earlier.
/// `caller` is the return address: it tells which object called, for a libpython that is in no global scope.
pub(crate) fn on_setlocale(caller: usize) {
    if INERT.load(Ordering::Relaxed) {
        return;
    }
    if python::current().is_some_and(Python::has_run) || !thread::word().is_outside() {
        return;
    }
    let own = OwnWork::begin();
    if python::current().is_some() || sys::objects::any_loaded_since_asked() {
        look_for_python(caller);
        forget_loader_error();
    }
    drop(own);
}

/// Begins the tracing if there is an interpreter in the global scope, or in the object that `caller` belongs to.
fn look_for_python(caller: usize) {
    // SAFETY: as in `on_load`.
    let global = |name: &CStr| unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    if !global(c"Py_GetVersion").is_null() {
        return begin_if_python(&global);
    }
    if let Some(handle) = handle_of_caller(caller) {
        // SAFETY: the handle is of a loaded object.
        let in_caller = |name: &CStr| unsafe { libc::dlsym(handle, name.as_ptr()) };
        begin_if_python(&in_caller);
        // A libpython must stay: hooks are in its tables. Anything else is none of ours.
        if python::current().is_none() {
            // SAFETY: the handle is ours alone; the object has others, as its code called us.
            unsafe { real::dlclose::get()(handle) };
        }
    }
}

/// What was not found is an error of ours, not the program's.
fn forget_loader_error() {
    // SAFETY: no preconditions; the text is not used.
    unsafe { libc::dlerror() };
}

/// A handle of the object that the code at an address belongs to.
fn handle_of_caller(caller: usize) -> Option<*mut c_void> {
    // SAFETY: `Dl_info` is plain data; dladdr fills it or says no; its name is a string of the loader's. The object
    // stays loaded: it is the one that called us.
    unsafe {
        let mut place: libc::Dl_info = core::mem::zeroed();
        if libc::dladdr(caller as *const c_void, &raw mut place) == 0 || place.dli_fname.is_null() {
            return None;
        }
        let handle = libc::dlopen(place.dli_fname, libc::RTLD_NOLOAD | libc::RTLD_LAZY);
        (!handle.is_null()).then_some(handle)
    }
}

/// Begins the tracing if there is an interpreter and it has not begun, and puts the hooks (back) in.
fn begin_if_python(lookup: python::Lookup<'_>) {
    if python::current().is_none() {
        let Some(python) = Python::find(lookup) else {
            return;
        };
        if python.has_run() {
            // Other threads may be inside the allocators that would be replaced.
            INERT.store(true, Ordering::Relaxed);
            return file::say(
                "loaded into a running interpreter: nothing is recorded; use LD_PRELOAD or `pytrace run`",
            );
        }
        let Some(mut settings) = accepted_settings().filter(|_| !heap::is_short()) else {
            session::tell_of_shortage();
            INERT.store(true, Ordering::Relaxed);
            return;
        };
        // What finds a tree in its environment is a child of one, or what a traced process became.
        if !settings.trace_children && settings.tree.is_some() {
            INERT.store(true, Ordering::Relaxed);
            return;
        }
        if settings.native == Native::Full && !sys::objects::can_be_found() {
            file::say(
                "PYTRACE_NATIVE=full needs glibc 2.35 or newer; stacks have the C caller alone",
            );
            settings.native = Native::Caller;
        }
        if !hooks::malloc::is_first() {
            file::say(
                "another malloc comes before that of libpytrace.so (see LD_PRELOAD): what C code asks of it is not seen",
            );
        }
        let tree = tree(&settings);
        sys::descriptor::make_room();
        session::begin(python.publish(), settings, tree, false);
        // SAFETY: registers functions without captured state; the library is never unloaded (`-z nodelete`).
        unsafe { libc::pthread_atfork(Some(before_fork), Some(in_parent), Some(in_child)) };
    }
    let (Some(python), Some(session)) = (python::current(), session::current()) else {
        return;
    };
    let hooks = hooks::allocators::hooks(python, &session.settings);
    // SAFETY: the constructor, or pre-initialisation (`on_setlocale` returns once a frame has run): one thread, no frame.
    if unsafe { allocators::install(lookup, &hooks) } {
        session.forget_allocator();
    }
}

/// The settings, or `None` when the process is not to be traced; says why if the user must know.
fn accepted_settings() -> Option<Settings> {
    let parsed = settings::from_environment();
    for warning in &parsed.warnings {
        file::say(warning);
    }
    match parsed.settings {
        Ok(settings) => settings.enabled.then_some(settings),
        Err(line) => {
            file::say(&line);
            None
        }
    }
}

/// The tree's name: the parent's, or a new one, which the children will find in the environment.
fn tree(settings: &Settings) -> String {
    if let Some(tree) = settings
        .tree
        .as_ref()
        .filter(|tree| root_of(tree).is_some())
    {
        return tree.clone();
    }
    let pid = syscall::process_id();
    let mixed =
        clock::unix_ns().wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(pid).rotate_left(40);
    let tree = format!("{mixed:016x}:{pid}");
    if let Ok(value) = std::ffi::CString::new(tree.as_str()) {
        // SAFETY: strings that setenv copies; there is one thread (constructor or pre-initialisation).
        unsafe { libc::setenv(c"PYTRACE_TREE".as_ptr(), value.as_ptr(), 1) };
    }
    tree
}

fn root_of(tree: &str) -> Option<u32> {
    tree.rsplit_once(':')?.1.parse().ok()
}

extern "C" fn before_fork() {
    let own = OwnWork::begin();
    if let Some(session) = session::current() {
        session.before_fork();
    }
    drop(own);
}

/// In the parent: it goes on without a background thread for a moment, as CPython counts threads now.
extern "C" fn in_parent() {
    if let Some(session) = session::current() {
        session.after_fork_in_parent();
    }
}

/// In the child: everything of the parent's is abandoned, its files closed, its own session begins. Nothing is freed, no lock of the
/// parent's is taken, no thread is started.
extern "C" fn in_child() {
    let Some(parent) = session::current() else {
        return;
    };
    thread::word().set_slot(core::ptr::null_mut());
    sys::descriptor::close_inherited();
    if !parent.settings.trace_children
        || session::state_at_fork() == session::state::OFF
        || !heap::start_generation()
    {
        INERT.store(true, Ordering::Relaxed);
        session::abandon();
        return;
    }
    let own = OwnWork::begin();
    Session::begin_in_child(parent);
    drop(own);
}

/// The session that has to know of an unloading: not from within the shim's own work, and not of a child that is not
/// traced, where locks of the parent's may be held for ever.
fn unloading_session() -> Option<&'static Session> {
    session::current().filter(|session| !thread::word().is_writing() && session.is_this_process())
}

/// Makes a system call that is refused to a process with several threads (`unshare`, `setns`), as after a fork: without our
/// own thread.
pub(crate) fn without_own_thread<R>(call: impl FnOnce() -> R) -> R {
    if thread::word().is_writing() {
        return call();
    }
    let own = OwnWork::begin();
    if let Some(session) = session::current() {
        session.before_fork();
    }
    drop(own);
    let result = call();
    in_parent();
    result
}

/// Closes a library, after which addresses of code may mean something else; most often somebody else has it open still.
pub(crate) fn around_unloading<R>(close: impl FnOnce() -> R) -> R {
    let Some(session) = unloading_session() else {
        return close();
    };
    let own = OwnWork::begin();
    let (_, before) = sys::objects::changes();
    session.before_unloading();
    drop(own);
    let result = close();
    let own = OwnWork::begin();
    if sys::objects::changes().1 != before {
        session.after_unloading();
    }
    drop(own);
    result
}

/// The process is about to end.
pub(crate) fn on_end(ended: Ended) {
    if let Some(session) = session::current() {
        session.finish(ended);
    }
}

/// The process is about to become another program.
pub(crate) fn on_exec() {
    if let Some(session) = session::current() {
        session.before_exec();
    }
}
