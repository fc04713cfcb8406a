//! System calls made directly, so that they pass neither our own interposers nor libc's `errno`.
//!
//! Every function returns what the kernel returned: a value, or `-errno` in `-4095..=-1`.

mod files;
mod memory;
mod signals;
mod tasks;

use core::arch::asm;

pub(crate) use files::*;
pub(crate) use memory::*;
pub(crate) use signals::*;
pub(crate) use tasks::*;

/// Whether a raw result is an error.
pub(crate) fn is_error(result: isize) -> bool {
    (-4095..0).contains(&result)
}

/// One system call with up to six arguments.
///
/// # Safety
/// The caller vouches for the call as the kernel defines it: pointers valid for what the call reads and writes, and no
/// memory unmapped that Rust code still uses.
#[inline]
pub(crate) unsafe fn raw(number: i64, args: [usize; 6]) -> isize {
    let result: isize;
    // SAFETY: the x86-64 Linux convention: number in rax, arguments in rdi rsi rdx r10 r8 r9, rcx and r11 clobbered; what
    // the call itself does is the caller's promise.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") args[0],
            in("rsi") args[1],
            in("rdx") args[2],
            in("r10") args[3],
            in("r8") args[4],
            in("r9") args[5],
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result
}
