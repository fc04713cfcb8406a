//! How to leave a native frame: what an unwind table says of one return address, in a form that takes a load and an addition.

/// What the address of a frame is counted from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Base {
    /// The stack pointer after the return.
    StackPointer,
    /// The frame pointer register.
    FramePointer,
    /// There is no caller: the outermost frame of a thread.
    Outermost,
    /// Nothing is known: no table, code without one, a signal's frame.
    Unknown,
}

/// The rule for the function that a call returns into. The frame's canonical address (CFA) is where its caller's stack
/// pointer will be; the return address lies 8 bytes below it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    pub(super) return_address: usize,
    /// From the base to the canonical address, bytes.
    pub(super) offset: i32,
    /// Where the caller's frame pointer was saved, from the canonical address; 0: it was not.
    saved_at: i32,
    pub(super) base: Base,
    /// The function is the interpreter's loop: its frames stand for Python frames.
    pub(super) is_interpreter: bool,
    /// The function is the shim's, which is no part of the program.
    pub(super) is_own: bool,
}

const _: () = assert!(size_of::<Rule>() == 24);

impl Rule {
    pub(super) const EMPTY: Rule = Rule::unknown(0);

    pub(super) fn new(
        return_address: usize,
        base: Base,
        offset: i32,
        saved_at: Option<i32>,
    ) -> Rule {
        Rule {
            return_address,
            offset,
            // The canonical address itself lies in the caller's frame, so 0 is no place to save anything.
            saved_at: saved_at.unwrap_or(0),
            base,
            is_interpreter: false,
            is_own: false,
        }
    }

    pub(super) const fn unknown(return_address: usize) -> Rule {
        Rule {
            return_address,
            offset: 0,
            saved_at: 0,
            base: Base::Unknown,
            is_interpreter: false,
            is_own: false,
        }
    }

    pub(super) fn outermost(return_address: usize) -> Rule {
        Rule {
            base: Base::Outermost,
            ..Rule::unknown(return_address)
        }
    }

    /// Where the caller's frame pointer was saved, from the canonical address.
    pub(super) fn saved_at(self) -> Option<i32> {
        (self.saved_at != 0).then_some(self.saved_at)
    }
}
