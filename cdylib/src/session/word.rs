//! The word that every hook reads: what is recorded now. It lies in a page of its own.
//!
//! Invariant: in a child that shares no memory with its parent the kernel has wiped the page, so the word says
//! [`state::OFF`] until the handler of `fork` has begun the child's own session. A child that libc does not know of (a bare
//! `clone`) records nothing: its copy of the parent's tracing has locks that nobody will release, and the parent's file.
//! A child of `vfork` shares the page, which is not wiped, and must not be: it is the parent's.

use core::sync::atomic::{AtomicU8, Ordering};

use super::state::{self};
use crate::sys::syscall;

const PAGE_BYTES: usize = 4096;

/// The word, alone in its page.
#[repr(C, align(4096))]
struct Page {
    word: AtomicU8,
    /// 1 in the process that a session was begun in, 0 in its children until theirs is.
    is_inhabited: AtomicU8,
    rest: [u8; PAGE_BYTES - 2],
}
const _: () = assert!(size_of::<Page>() == PAGE_BYTES);

static PAGE: Page = Page {
    word: AtomicU8::new(state::OFF),
    is_inhabited: AtomicU8::new(0),
    rest: [0; PAGE_BYTES - 2],
};

/// The word as the last fork found it, for the child, whose own is wiped.
static AT_FORK: AtomicU8 = AtomicU8::new(state::OFF);

/// What the hooks do now.
#[inline(always)]
pub(crate) fn state() -> u8 {
    PAGE.word.load(Ordering::Relaxed)
}

/// A session begins in this process: has the kernel wipe the page in its children. Kernels before 4.14 cannot: there the
/// process id, which is asked for before anything is written, is the only guard.
pub(super) fn inhabit() {
    let page = (&raw const PAGE).cast::<u8>();
    syscall::wipe_in_children(page, PAGE_BYTES);
    PAGE.is_inhabited.store(1, Ordering::Release);
}

/// Whether the page was not wiped since: this is no child, or one of `vfork`.
pub(super) fn is_inhabited() -> bool {
    PAGE.is_inhabited.load(Ordering::Acquire) == 1
}

/// A fork begins: keeps the word for the child.
pub(super) fn remember_for_child() {
    AT_FORK.store(state(), Ordering::Relaxed);
}

/// What the hooks of the process did when it forked.
pub(crate) fn state_at_fork() -> u8 {
    AT_FORK.load(Ordering::Relaxed)
}

/// Goes to a state, its flags included.
pub(super) fn enter(state: u8) {
    PAGE.word.store(state, Ordering::Release);
}

/// Goes to a state, if anything is recorded.
pub(super) fn enter_if_on(to: u8) {
    // Nothing is to be done when nothing is recorded.
    let _ = PAGE
        .word
        .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |now| {
            (now & !state::FLAGS != state::OFF).then_some(to)
        });
}

/// Goes from one state to another, if it is in that one; flags stay.
pub(super) fn change(from: u8, to: u8) {
    // Nobody is left to tell when the state is another by now.
    let _ = PAGE
        .word
        .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |now| {
            (now & !state::FLAGS == from).then_some(to | now & state::FLAGS)
        });
}

/// Sets [`state::ATTENTION`].
pub(super) fn ask_for_attention() {
    // Not while nothing is recorded: the word must say so and nothing else.
    let _ = PAGE
        .word
        .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |now| {
            (now & !state::FLAGS != state::OFF).then_some(now | state::ATTENTION)
        });
}

/// Takes [`state::ATTENTION`] away.
pub(super) fn attention_given() {
    PAGE.word.fetch_and(!state::ATTENTION, Ordering::AcqRel);
}
