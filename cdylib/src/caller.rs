//! Who called a hook: the one thing about the C stack that a hook must be told at its entry.

/// The native frame that called a hook, as the trampolines of `hooks::entries!` pass it.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Caller {
    /// Where the return address lies: the stack pointer at the hook's entry.
    slot: *const usize,
    /// The frame pointer register at the hook's entry. The caller may use it for anything.
    frame_pointer: usize,
}

/// Where nobody returns to.
static NOWHERE: usize = 0;

impl Caller {
    /// Nobody: for calls whose caller does not matter.
    pub(crate) const NONE: Caller = Caller {
        slot: &raw const NOWHERE,
        frame_pointer: 0,
    };

    /// The address that the hook will return to; 0 for nobody.
    #[inline(always)]
    pub(crate) fn return_address(self) -> usize {
        // SAFETY: the trampoline took the stack pointer at its entry, where the return address lies, and the hook has not
        // returned since; or it is our own constant.
        unsafe { self.slot.read() }
    }

    /// Where the return address lies.
    #[inline(always)]
    pub(crate) fn slot(self) -> usize {
        self.slot as usize
    }

    /// The frame pointer register at the hook's entry.
    #[inline(always)]
    pub(crate) fn frame_pointer(self) -> usize {
        self.frame_pointer
    }
}
