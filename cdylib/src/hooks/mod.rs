//! The functions that stand in front of others. Exported ones and those given to CPython are made by one macro: a
//! trampoline that adds the return address (the C function that asked) to the arguments.
//!
//! Order of births and deaths: a birth is recorded after the real call, before the program gets the block; a death
//! before the real call; a resize both ways, with its failure.

pub(crate) mod allocators;
pub(crate) mod malloc;
pub(crate) mod mapping;
pub(crate) mod process;

/// Defines functions with C linkage that pass their arguments and the address they will return to on to an
/// implementation: `name(arguments…)` becomes `implementation(arguments…, caller)`.
///
/// CPython's `PyObject_Malloc` and its like tail-call the hook in optimised builds, so the return address is that of the
/// function that asked. Stable Rust has no intrinsic for it, so each entry is a naked function: it loads the word at the
/// stack pointer into the next argument register and jumps.
macro_rules! entries {
    ($($(#[$attribute:meta])* $name:ident $(<$($type:ident: $bound:ident),*>)? / $count:tt => $implementation:path;)*) => {
        $(
            $(#[$attribute])*
            #[unsafe(naked)]
            pub(crate) unsafe extern "C" fn $name$(<$($type: $bound),*>)?() {
                core::arch::naked_asm!(
                    ".cfi_startproc",
                    crate::hooks::entries!(@load $count),
                    "jmp {implementation}",
                    ".cfi_endproc",
                    implementation = sym $implementation,
                )
            }
        )*
    };
    (@load 1) => { "mov rsi, qword ptr [rsp]" };
    (@load 2) => { "mov rdx, qword ptr [rsp]" };
    (@load 3) => { "mov rcx, qword ptr [rsp]" };
    (@load 4) => { "mov r8, qword ptr [rsp]" };
    (@load 5) => { "mov r9, qword ptr [rsp]" };
}
pub(crate) use entries;
