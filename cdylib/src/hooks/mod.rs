//! The functions that stand in front of others. Exported ones and those given to CPython are made by one macro: a
//! trampoline that adds the [`Caller`] (the C function that asked) to the arguments.
//!
//! Order of births and deaths: a birth is recorded after the real call, before the program gets the block; a death
//! before the real call; a resize both ways, with its failure.

pub(crate) mod allocators;
pub(crate) mod malloc;
pub(crate) mod mapping;
pub(crate) mod process;

/// Defines functions with C linkage that pass their arguments and their [`Caller`] on to an implementation:
/// `name(arguments…)` becomes `implementation(arguments…, caller)`.
///
/// CPython's `PyObject_Malloc` and its like tail-call the hook in optimised builds, so the return address is that of the
/// function that asked. Stable Rust has no intrinsic for it, so each entry is a naked function: it puts the stack pointer
/// and the frame pointer into the next two argument registers, where a structure of two words is passed, and jumps. Behind
/// five or six arguments such a structure goes on the stack.
macro_rules! entries {
    ($($(#[$attribute:meta])* $name:ident $(<$($type:ident: $bound:ident),*>)? / $count:tt => $implementation:path;)*) => {
        $(
            $(#[$attribute])*
            #[unsafe(naked)]
            pub(crate) unsafe extern "C" fn $name$(<$($type: $bound),*>)?() {
                core::arch::naked_asm!(
                    ".cfi_startproc",
                    crate::hooks::entries!(@pass $count),
                    ".cfi_endproc",
                    implementation = sym $implementation,
                )
            }
        )*
    };
    (@pass 1) => { "mov rsi, rsp\n mov rdx, rbp\n jmp {implementation}" };
    (@pass 2) => { "mov rdx, rsp\n mov rcx, rbp\n jmp {implementation}" };
    (@pass 3) => { "mov rcx, rsp\n mov r8, rbp\n jmp {implementation}" };
    (@pass 4) => { "mov r8, rsp\n mov r9, rbp\n jmp {implementation}" };
    (@pass more) => {
        "mov rax, rsp
         sub rsp, 8
         .cfi_adjust_cfa_offset 8
         push rbp
         .cfi_adjust_cfa_offset 8
         push rax
         .cfi_adjust_cfa_offset 8
         call {implementation}
         add rsp, 24
         .cfi_adjust_cfa_offset -24
         ret"
    };
}
pub(crate) use entries;
