//! What a hook knows about the thread it runs on: one small word in static thread-local storage, and the witness that a
//! hook was entered.
//!
//! Invariant: no destructor, no dynamic TLS: `thread_local!` in a cdylib would call `__tls_get_addr`, which may allocate.
//! The word is a `.tbss` symbol reached through the initial-exec model. Each thread touches only its own.

use core::arch::{asm, global_asm};
use core::cell::Cell;
use core::ffi::c_void;
use core::marker::PhantomData;

use crate::events::slot::Slot;

/// Where the thread is, seen from the allocation hooks.
///
/// ```text
///  Outside ──enter──► Original ──record──► Recording ──drop──► Outside
///     ▲  │                                     │ cold paths that call libc
///     │  └──────────── Own ◄───────────────────┘
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Phase {
    /// In no hook.
    Outside = 0,
    /// A hook called the real allocator: calls from there are inner ones, the outer one owns the block.
    Original = 1,
    /// A hook is writing its event: a call now comes from a signal handler and cannot be recorded.
    Recording = 2,
    /// The shim itself is at work in libc: its calls are nobody's.
    Own = 3,
}

/// The thread's word. All-zero is the state of a thread never seen.
#[repr(C)]
pub(crate) struct Word {
    phase: Cell<u32>,
    slot: Cell<*mut Slot>,
    inner: Cell<*mut c_void>,
    /// The block that the hook frees or resizes; null in one that gives a block.
    outer: Cell<*mut c_void>,
}

global_asm!(
    ".section .tbss.pytrace_thread_word,\"awT\",@nobits",
    ".globl pytrace_thread_word",
    ".hidden pytrace_thread_word",
    ".type pytrace_thread_word,@object",
    ".size pytrace_thread_word,32",
    ".p2align 3",
    "pytrace_thread_word:",
    ".zero 32",
    ".text",
);
const _: () = assert!(size_of::<Word>() == 32 && !core::mem::needs_drop::<Word>());

/// The calling thread's word.
#[inline(always)]
pub(crate) fn word<'a>() -> &'a Word {
    let address: *const Word;
    // SAFETY: reads the thread pointer and the loader's offset of our symbol; both are fixed for the thread's life.
    unsafe {
        asm!(
            "mov {address}, qword ptr fs:[0]",
            "add {address}, qword ptr [rip + pytrace_thread_word@GOTTPOFF]",
            address = out(reg) address,
            options(pure, nomem, nostack),
        );
        &*address
    }
}

/// The thread pointer, which is `pthread_self()` on glibc (and so what CPython stores as `thread_id`).
#[inline(always)]
pub(crate) fn pthread_self() -> usize {
    let address: usize;
    // SAFETY: `fs:0x10` holds the address of the thread's control block (glibc's `tcbhead_t.self`).
    unsafe {
        asm!("mov {}, qword ptr fs:[0x10]", out(reg) address, options(pure, nomem, nostack, preserves_flags));
    }
    address
}

impl Word {
    /// Where the thread is.
    #[inline(always)]
    pub(crate) fn is_outside(&self) -> bool {
        self.phase.get() == Phase::Outside as u32
    }

    /// Whether the shim's own work was interrupted: an event is being written, or one of our locks may be held.
    pub(crate) fn is_writing(&self) -> bool {
        self.phase.get() == Phase::Recording as u32 || self.phase.get() == Phase::Own as u32
    }

    /// Whether a hook of this thread is inside the real allocator now.
    pub(crate) fn is_in_original(&self) -> bool {
        self.phase.get() == Phase::Original as u32
    }

    /// Notes an inner call: which block the real allocator got from below, or that a signal handler's call was missed.
    #[inline(always)]
    pub(crate) fn note_inner(&self, block: *mut c_void) {
        let phase = self.phase.get();
        if phase == Phase::Original as u32 {
            self.inner.set(block);
        } else if phase == Phase::Recording as u32 {
            self.miss();
        }
    }

    /// Whether the allocation that `allocate` makes comes to our hooks.
    pub(crate) fn notes_inner(&self, allocate: impl FnOnce() -> *mut c_void) -> bool {
        let before = self.phase.replace(Phase::Original as u32);
        self.inner.set(core::ptr::null_mut());
        let block = allocate();
        let noted = self.inner.replace(core::ptr::null_mut());
        self.phase.set(before);
        !block.is_null() && noted == block
    }

    /// Whether a free that comes from within the real allocator may be of a block of its own, not of the one that the
    /// hook is about: tracemalloc frees its trace of a block from within the free of the block.
    #[inline(always)]
    pub(crate) fn may_free_another(&self, block: *mut c_void) -> bool {
        self.phase.get() == Phase::Original as u32 && self.outer.get() != block
    }

    /// The block that the hook frees or resizes; null in one that gives a block.
    pub(crate) fn outer(&self) -> *mut c_void {
        self.outer.get()
    }

    /// Counts a call that came while an event was being written: from a signal handler, which cannot be recorded.
    #[cold]
    #[inline(never)]
    fn miss(&self) {
        // SAFETY: null or a slot, which is never unmapped.
        if let Some(slot) = unsafe { self.slot.get().as_ref() } {
            slot.lose(1);
        }
    }

    pub(crate) fn slot(&self) -> *mut Slot {
        self.slot.get()
    }

    pub(crate) fn set_slot(&self, slot: *mut Slot) {
        self.slot.set(slot);
    }
}

/// The proof that this thread is in a hook and in no other: hooks ask for it, the recording functions demand it.
/// Dropping it leaves the hook.
pub(crate) struct Hook<'a> {
    word: &'a Word,
    not_send: PhantomData<*mut ()>,
}

impl<'a> Hook<'a> {
    /// Enters a hook; `None` when this thread is in one already.
    #[inline(always)]
    pub(crate) fn enter(word: &'a Word) -> Option<Hook<'a>> {
        if !word.is_outside() {
            return None;
        }
        word.phase.set(Phase::Original as u32);
        word.inner.set(core::ptr::null_mut());
        word.outer.set(core::ptr::null_mut());
        Some(Hook {
            word,
            not_send: PhantomData,
        })
    }

    /// The real allocator has returned (or is not called yet): what follows is the shim's own work.
    #[inline(always)]
    pub(crate) fn recording(&self) {
        self.word.phase.set(Phase::Recording as u32);
    }

    /// The real allocator is about to be called.
    #[inline(always)]
    pub(crate) fn original(&self) {
        self.word.phase.set(Phase::Original as u32);
    }

    /// Notes the block that the hook frees or resizes.
    #[inline(always)]
    pub(crate) fn set_outer(&self, block: *mut c_void) {
        self.word.outer.set(block);
    }

    /// The block that libc's malloc gave to the real allocator within this hook; null when it needed none.
    #[inline(always)]
    pub(crate) fn inner(&self) -> *mut c_void {
        self.word.inner.get()
    }

    pub(crate) fn word(&self) -> &'a Word {
        self.word
    }
}

impl Drop for Hook<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        self.word.phase.set(Phase::Outside as u32);
    }
}

/// While it lives, the thread's calls into libc are the shim's own: passed on, not recorded, not counted as missed. `errno` is
/// afterwards what it was.
pub(crate) struct OwnWork<'a> {
    word: &'a Word,
    before: u32,
    errno: i32,
}

impl OwnWork<'static> {
    pub(crate) fn begin() -> Self {
        let word = word();
        OwnWork {
            word,
            before: word.phase.replace(Phase::Own as u32),
            // SAFETY: errno's address is valid for the life of the thread.
            errno: unsafe { *libc::__errno_location() },
        }
    }
}

impl Drop for OwnWork<'_> {
    fn drop(&mut self) {
        // SAFETY: errno's address is valid for the life of the thread.
        unsafe { *libc::__errno_location() = self.errno };
        self.word.phase.set(self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_is_entered_once_and_left() {
        let word = word();
        let hook = Hook::enter(word).expect("outside");
        assert!(Hook::enter(word).is_none());
        word.note_inner(8 as *mut c_void);
        assert_eq!(hook.inner(), 8 as *mut c_void);
        hook.recording();
        word.note_inner(16 as *mut c_void);
        assert_eq!(
            hook.inner(),
            8 as *mut c_void,
            "what comes while recording is no inner block"
        );
        drop(hook);
        assert!(word.is_outside());
    }

    #[test]
    fn each_thread_has_its_own_word() {
        let mine = core::ptr::from_ref(word()) as usize;
        let other = std::thread::spawn(|| core::ptr::from_ref(word()) as usize);
        assert_ne!(mine, other.join().expect("no panic"));
        assert_eq!(pthread_self(), {
            // SAFETY: no preconditions.
            unsafe { libc::pthread_self() as usize }
        });
    }
}
