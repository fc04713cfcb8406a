//! The traced interpreter, as memory: found once, read by offsets, never called for anything that could run code.
//!
//! Invariant: reading never writes, never touches a reference count or the error state, and never follows a pointer
//! that the interpreter does not keep valid at that moment; which moments those are is said at each function.

use core::ffi::{CStr, c_char, c_void};
use core::sync::atomic::{AtomicPtr, AtomicU8, Ordering};

pub(crate) mod allocators;
pub(crate) mod arenas;
pub(crate) mod code;
pub(crate) mod frame;
pub(crate) mod layout;
pub(crate) mod lines;
pub(crate) mod text;

use crate::thread;
use layout::{CurrentFrame, CurrentThread, Layout};

/// Looks a symbol of the interpreter up.
pub(crate) type Lookup<'a> = &'a dyn Fn(&CStr) -> *mut c_void;

/// The interpreter of this process.
pub(crate) struct Python {
    /// `3.11.7`, as `Py_GetVersion` begins.
    pub(crate) version: String,
    /// The minor version; 0 when it could not be read.
    minor: u32,
    /// A build without the GIL.
    pub(crate) free_threaded: bool,
    /// Why Python stacks cannot be read; `None` when they can.
    no_stacks_reason: Option<&'static str>,
    /// Whether stacks are read: decided when the first frame is seen.
    stacks: AtomicU8,
    layout: Layout,
    layout_is_known: bool,
    runtime: *const u8,
    code_type: *const c_void,
    /// Where the interpreter's loop begins; 0 when it is not exported.
    pub(crate) loop_start: usize,
    thread_state: Option<unsafe extern "C" fn() -> *const u8>,
    gil_state_thread: Option<unsafe extern "C" fn() -> *const u8>,
    /// `_Py_IsFinalizing` and its like, for a version whose layout is not known.
    ask_finalizing: Option<unsafe extern "C" fn() -> core::ffi::c_int>,
    /// The current thread state, for a version whose layout is not known.
    any_thread_state: Option<unsafe extern "C" fn() -> *const u8>,
    is_initialized: Option<unsafe extern "C" fn() -> core::ffi::c_int>,
    /// The word that becomes non-null when the interpreter begins to finalize; points to a constant zero when unknown.
    finalizing: *const usize,
}

// SAFETY: the pointers are to the interpreter's own immortal data and code.
unsafe impl Sync for Python {}

/// No frame was seen yet.
const NOT_CHECKED: u8 = 0;
/// The first frame looked as expected.
const READABLE: u8 = 1;
/// It did not, or the layout is not known.
const UNREADABLE: u8 = 2;

static NEVER_FINALIZING: usize = 0;
static CURRENT: AtomicPtr<Python> = AtomicPtr::new(core::ptr::null_mut());

/// The interpreter, once it has been found.
#[inline(always)]
pub(crate) fn current() -> Option<&'static Python> {
    // SAFETY: null, or a leaked box that `publish` stored; Acquire pairs with its Release.
    unsafe { CURRENT.load(Ordering::Acquire).as_ref() }
}

/// What a version string says.
fn parse_version(text: &str) -> Option<(u32, u32, String)> {
    let number = text.split(' ').next()?;
    let mut parts = number.split('.');
    let major = parts.next()?.parse().ok()?;
    let minor = parts
        .next()?
        .chars()
        .take_while(char::is_ascii_digit)
        .collect::<String>()
        .parse()
        .ok()?;
    Some((major, minor, number.trim_end_matches('+').to_owned()))
}

impl Python {
    /// Finds out about the interpreter whose symbols `lookup` gives. `None`: there is none.
    pub(crate) fn find(lookup: Lookup<'_>) -> Option<Python> {
        let get_version = lookup(c"Py_GetVersion");
        // Without this (before 3.4) there is nothing to hook.
        if get_version.is_null() || lookup(c"PyMem_SetAllocator").is_null() {
            return None;
        }
        // SAFETY: `const char *Py_GetVersion(void)`, callable at any time; it formats into a static buffer.
        let text = unsafe {
            let function: unsafe extern "C" fn() -> *const c_char =
                core::mem::transmute(get_version);
            CStr::from_ptr(function())
        }
        .to_string_lossy()
        .into_owned();
        let free_threaded = text.contains("free-threading");
        let version = parse_version(&text);
        let runtime: *const u8 = lookup(c"_PyRuntime").cast_const().cast();
        let code_type = lookup(c"PyCode_Type").cast_const();
        let mut python = Python {
            version: version
                .as_ref()
                .map_or_else(String::new, |(_, _, number)| number.clone()),
            minor: version.as_ref().map_or(0, |(_, minor, _)| *minor),
            free_threaded,
            no_stacks_reason: None,
            stacks: AtomicU8::new(NOT_CHECKED),
            layout: layout::of_version(3, 11)?,
            layout_is_known: false,
            runtime,
            code_type,
            loop_start: lookup(c"_PyEval_EvalFrameDefault") as usize,
            thread_state: None,
            gil_state_thread: None,
            // SAFETY: null or a function of this type by CPython's public headers.
            is_initialized: unsafe {
                core::mem::transmute::<*mut c_void, Option<_>>(lookup(c"Py_IsInitialized"))
            },
            ask_finalizing: None,
            any_thread_state: None,
            finalizing: &raw const NEVER_FINALIZING,
        };
        python.no_stacks_reason = python.learn_layout(version, lookup).err();
        if !python.layout_is_known {
            python.learn_life(lookup);
        }
        Some(python)
    }

    /// Finds other ways to see the interpreter start and tear down: what it exports (3.13+, 3.7–3.12, before).
    fn learn_life(&mut self, lookup: Lookup<'_>) {
        self.any_thread_state = function(lookup(c"PyThreadState_GetUnchecked"))
            .or_else(|| function(lookup(c"_PyThreadState_UncheckedGet")));
        for name in [c"Py_IsFinalizing", c"_Py_IsFinalizing"] {
            // SAFETY: null or `int (*)(void)` by CPython's headers.
            self.ask_finalizing =
                unsafe { core::mem::transmute::<*mut c_void, Option<_>>(lookup(name)) };
            if self.ask_finalizing.is_some() {
                return;
            }
        }
        let variable = lookup(c"_Py_Finalizing");
        if !variable.is_null() {
            self.finalizing = variable.cast_const().cast();
        }
    }

    /// Fills in where things lie; the reason when that is not known.
    fn learn_layout(
        &mut self,
        version: Option<(u32, u32, String)>,
        lookup: Lookup<'_>,
    ) -> Result<(), &'static str> {
        const UNKNOWN: &str = "this version of Python is not known";
        const MISSING: &str = "the interpreter does not export the symbols that are needed";
        const UNEXPECTED: &str = "the interpreter's memory does not look as expected";
        let (major, minor, _) = version.ok_or(UNKNOWN)?;
        let layout = layout::of_version(major, minor).ok_or(UNKNOWN)?;
        if self.runtime.is_null() || self.code_type.is_null() {
            return Err(MISSING);
        }
        self.layout = match layout::debug_offsets_of_version(major, minor) {
            // SAFETY: `_PyRuntime` of this version begins with the structure; it is statically initialised.
            Some(offsets) => unsafe { offsets.apply(self.runtime, layout) }.ok_or(UNEXPECTED)?,
            None => layout,
        };
        self.layout_is_known = true;
        // SAFETY: the field lies inside `_PyRuntime`, which is larger than any offset of it.
        self.finalizing = unsafe { self.runtime.add(self.layout.finalizing) }.cast();
        if self.free_threaded {
            return Err("stacks of free-threaded builds are not read yet");
        }
        if let CurrentThread::Function { name } = self.layout.current_thread {
            self.thread_state = function(lookup(name));
            if self.thread_state.is_none() {
                return Err(MISSING);
            }
        }
        self.gil_state_thread = function(lookup(c"PyGILState_GetThisThreadState"));
        Ok(())
    }

    /// Whether Python stacks are read. Until the first frame was checked, call [`Python::check_first_frame`].
    #[inline(always)]
    pub(crate) fn reads_stacks(&self) -> bool {
        self.stacks.load(Ordering::Relaxed) == READABLE
    }

    /// Looks for the first frame, in a hook of the mem or object domain, and decides whether stacks can be read.
    #[inline(always)]
    pub(crate) fn check_first_frame(&self) {
        if self.stacks.load(Ordering::Relaxed) == NOT_CHECKED {
            self.check_frame();
        }
    }

    #[cold]
    #[inline(never)]
    fn check_frame(&self) {
        if self.no_stacks_reason.is_some() {
            return self.stacks.store(UNREADABLE, Ordering::Relaxed);
        }
        let mut frame = self.attached_frame(&self.layout);
        // SAFETY: frames of this thread, which holds the GIL; each `previous` is null or another.
        unsafe {
            while !frame.is_null() && self.layout.is_shim(frame) {
                frame = self.layout.previous(frame);
            }
        }
        if frame.is_null() {
            return;
        }
        // SAFETY: the running frame of this thread, which holds the GIL.
        let verdict = if unsafe { self.looks_right(frame) } {
            READABLE
        } else {
            UNREADABLE
        };
        self.stacks.store(verdict, Ordering::Relaxed);
    }

    /// Whether Python code has run: allocators must not be replaced any more. Frames tell early; where they cannot be read,
    /// the interpreter's own flag does, which 3.6 sets before and 3.7 after there is a thread state.
    pub(crate) fn has_run(&self) -> bool {
        if self.reads_stacks() {
            return true;
        }
        let is_initialized = self
            .is_initialized
            // SAFETY: `int Py_IsInitialized(void)` reads a flag.
            .is_some_and(|function| unsafe { function() } != 0);
        is_initialized
            && self
                .any_thread_state
                // SAFETY: reads a thread-local or a global and returns it.
                .is_none_or(|function| !unsafe { function() }.is_null())
    }

    /// Why Python stacks are missing, if they are.
    pub(crate) fn missing_stacks(&self) -> Option<&'static str> {
        self.no_stacks_reason.or_else(|| {
            (self.stacks.load(Ordering::Relaxed) == UNREADABLE)
                .then_some("the interpreter's frames do not look as expected")
        })
    }

    /// Makes this the process's interpreter, for good.
    pub(crate) fn publish(self) -> &'static Python {
        let python = Box::leak(Box::new(self));
        CURRENT.store(python, Ordering::Release);
        python
    }

    /// Reads the interpreter's thread-locals once, on a thread that was not seen before: the first access to those of a
    /// library that was opened late allocates them, which must not happen while an event is written.
    #[cold]
    pub(crate) fn warm_up(&self) {
        let own = thread::OwnWork::begin();
        for function in [self.thread_state, self.gil_state_thread]
            .into_iter()
            .flatten()
        {
            // SAFETY: reads a thread-local and returns it.
            unsafe { function() };
        }
        drop(own);
    }

    /// Whether this version can serve small blocks from mimalloc (3.13+).
    pub(crate) fn may_have_mimalloc(&self) -> bool {
        self.minor >= 13
    }

    /// Where things lie.
    #[inline(always)]
    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Whether it is known where things lie.
    pub(crate) fn layout_is_known(&self) -> bool {
        self.layout_is_known
    }

    /// Whether the interpreter has begun to tear down.
    #[inline(always)]
    pub(crate) fn is_finalizing(&self) -> bool {
        self.is_finalizing_as_known() || (!self.layout_is_known && self.asks_finalizing())
    }

    /// The same where the layout is known.
    #[inline(always)]
    pub(crate) fn is_finalizing_as_known(&self) -> bool {
        // SAFETY: a word of `_PyRuntime`, or our own constant. Volatile: another thread may write it at any time, and an
        // aligned word is read whole.
        unsafe { self.finalizing.read_volatile() != 0 }
    }

    #[cold]
    fn asks_finalizing(&self) -> bool {
        // SAFETY: reads a pointer or flag of the interpreter and returns whether it is set.
        self.ask_finalizing
            .is_some_and(|function| unsafe { function() } != 0)
    }

    /// The running frame of this thread, in a hook of the mem or object domain, whose callers hold the GIL.
    /// Null when there is none.
    #[inline(always)]
    pub(crate) fn attached_frame(&self, layout: &Layout) -> *const u8 {
        let state = self.attached_state(layout);
        if state.is_null() {
            return state;
        }
        // SAFETY: this thread's own thread state, in an allocation hook.
        unsafe { layout.running_frame(state) }
    }

    /// Whether this thread holds the GIL.
    pub(crate) fn is_attached(&self) -> bool {
        self.layout_is_known && !self.attached_state(&self.layout).is_null()
    }

    /// This thread's thread state, if this thread holds the GIL; else null. The layout must be known.
    #[inline(always)]
    fn attached_state(&self, layout: &Layout) -> *const u8 {
        match layout.current_thread {
            CurrentThread::InRuntime { offset } => {
                // SAFETY: a word of `_PyRuntime`; volatile as other threads write it when the GIL changes hands.
                let state = unsafe { self.runtime.add(offset).cast::<*const u8>().read_volatile() };
                if state.is_null() {
                    return state;
                }
                // SAFETY: the GIL's holder keeps its thread state alive. The callers of mem and object hooks hold the GIL,
                // so it is this thread's own; the comparison turns a caller that breaks that rule into "no stack".
                let owner = unsafe { state.add(layout.thread_id).cast::<usize>().read() };
                if owner == thread::pthread_self() {
                    state
                } else {
                    core::ptr::null()
                }
            }
            CurrentThread::Function { .. } => match self.thread_state {
                // SAFETY: reads a thread-local and returns it.
                Some(function) => unsafe { function() },
                None => core::ptr::null(),
            },
        }
    }

    /// The running frame of this thread, in a hook that may be entered without the GIL (raw, malloc, mmap): a thread's
    /// own chain stands still while it is in C code, whether or not it gave the GIL up. Null when there is none.
    pub(crate) fn own_frame(&self) -> *const u8 {
        let Some(function) = self.gil_state_thread else {
            return core::ptr::null();
        };
        // SAFETY: reads a thread-specific value; null before the interpreter exists and after it is gone.
        let state = unsafe { function() };
        if state.is_null() {
            return state;
        }
        // SAFETY: this thread's own thread state, in an allocation hook.
        unsafe { self.layout.running_frame(state) }
    }

    /// The activations of the interpreter's loop on this thread, from the innermost: for each the address of its `_PyCFrame`
    /// (3.11), which lies in the loop's own frame, and the Python frame that it is at. Empty where there is no such thing.
    pub(crate) fn c_frames(&self) -> impl Iterator<Item = (usize, *const u8)> {
        let (offsets, state) = match (self.layout.current_frame, self.gil_state_thread) {
            (CurrentFrame::ThroughCFrame { cframe, frame }, Some(function)) => {
                // SAFETY: as in `own_frame`.
                (Some((cframe, frame)), unsafe { function() })
            }
            _ => (None, core::ptr::null()),
        };
        let (at, frame) = offsets.unwrap_or_default();
        let mut next = match state.is_null() {
            true => state,
            // SAFETY: this thread's own thread state.
            false => unsafe { state.add(at).cast::<*const u8>().read() },
        };
        core::iter::from_fn(move || {
            if next.is_null() {
                return None;
            }
            let c_frame = next;
            // SAFETY: a live `_PyCFrame` of this thread; `previous`, the field behind the frame, is null or another.
            unsafe {
                let current = c_frame.add(frame).cast::<*const u8>().read();
                let previous = c_frame.add(frame + size_of::<usize>());
                next = previous.cast::<*const u8>().read();
                Some((c_frame as usize, current))
            }
        })
    }

    /// Whether a block of the object domain that is about to be freed is a code object.
    #[inline(always)]
    pub(crate) fn is_code_object(&self, layout: &Layout, block: *const c_void) -> bool {
        // SAFETY: every block of the object domain has 16 readable bytes or more (pymalloc's and malloc's smallest), and a
        // dead object's type pointer is still in place when its memory is given back.
        let type_pointer = unsafe {
            block
                .cast::<u8>()
                .add(layout.object_type)
                .cast::<*const c_void>()
                .read()
        };
        type_pointer == self.code_type
    }

    /// Whether an object is a code object.
    ///
    /// # Safety
    /// Its head can be read.
    pub(crate) unsafe fn is_code(&self, object: *const u8) -> bool {
        // SAFETY: the caller's promise.
        let type_pointer = unsafe { object.add(self.layout.object_type).cast::<usize>().read() };
        type_pointer == self.code_type as usize
    }

    /// Checks that a frame's code object looks like one: its type, and names that are strings.
    ///
    /// # Safety
    /// `frame` is a live frame of this thread.
    pub(crate) unsafe fn looks_right(&self, frame: *const u8) -> bool {
        // SAFETY: the caller's promise; each pointer is followed only if the one before was as expected.
        unsafe {
            let code = self.layout.code(frame);
            if code < 4096 || !code.is_multiple_of(8) {
                return false;
            }
            let code = code as *const u8;
            if !self.is_code(code) {
                return false;
            }
            let name = code.add(self.layout.code_name).cast::<*const u8>().read();
            let file = code
                .add(self.layout.code_filename)
                .cast::<*const u8>()
                .read();
            [name, file].iter().all(|&string| {
                (string as usize) >= 4096
                    && (string as usize).is_multiple_of(8)
                    && text::read(&self.layout, string).is_some()
            })
        }
    }
}

fn function(address: *mut c_void) -> Option<unsafe extern "C" fn() -> *const u8> {
    // SAFETY: null or the address of a C function without parameters that returns a pointer.
    unsafe { core::mem::transmute::<*mut c_void, Option<_>>(address) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_py_getversion_says() {
        let number = parse_version;
        assert_eq!(
            number("3.11.7 (main, Jan  1 2026)"),
            Some((3, 11, "3.11.7".into()))
        );
        assert_eq!(
            number("3.15.0a2+ free-threading build"),
            Some((3, 15, "3.15.0a2".into()))
        );
        assert_eq!(number("3"), None);
        assert_eq!(number(""), None);
        assert_eq!(number("x.y"), None);
    }

    #[test]
    fn a_process_without_python_has_none() {
        assert!(Python::find(&|_| core::ptr::null_mut()).is_none());
    }
}
