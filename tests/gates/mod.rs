//! Gates on the release build of the preload library, read from its machine code: what can come to run in a hook, and how much
//! of the program's stack that takes. How the library is linked is `linking`'s.
//!
//! The walk begins at every function that is exported or whose address is given away (to CPython's tables, to
//! `pthread_atfork`), and follows calls and jumps. It stops at *doors*: cold functions that may do more, each with its reason
//! and a bound of its own. A call that the machine code alone does not tell is on a list, or a finding: see [`doors`].
//!
//! Invariant: a finding names the chain of calls that leads to it. What to do: keep the call out of the hook's way, or make it
//! one that cannot fail (`get` for an index, `try_reserve` before a `push`); only then write a row.

mod doors;
mod fixture;
mod frame;
mod graph;
mod image;
mod rules;
mod walk;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use crate::support::installation::library;
use doors::NO_HOOKS;
use graph::Graph;
use rules::{Lists, Rules, is_meant};

static GRAPH: LazyLock<Graph> =
    LazyLock::new(|| Graph::read(&std::fs::read(library()).expect("the library can be read")));

const LISTS: Lists = Lists {
    doors: doors::DOORS,
    end: doors::END,
    calls_outside: doors::CALLS_OUTSIDE,
    indirect: doors::INDIRECT,
    asserted: doors::ASSERTED,
};

/// What others call: the exports, and functions of the shim's own whose address is given away.
fn hooks() -> BTreeSet<u64> {
    let is_hook = |address: &&u64| {
        let name = GRAPH
            .functions
            .get(address)
            .map_or("", |function| &function.name);
        name.starts_with("pytrace::") && !NO_HOOKS.iter().any(|(row, _)| is_meant(row, name))
    };
    let given = GRAPH.given.iter().filter(is_hook);
    GRAPH.exports.iter().chain(given).copied().collect()
}

fn rules() -> Rules<'static> {
    Rules::new(&GRAPH, hooks(), &LISTS)
}

fn assert_none(what: &str, findings: impl IntoIterator<Item = impl AsRef<str>>) {
    let lines: Vec<String> = findings
        .into_iter()
        .map(|line| line.as_ref().to_owned())
        .collect();
    assert!(
        lines.is_empty(),
        "{what} ({}):\n{}",
        lines.len(),
        lines.join("\n")
    );
}

#[test]
fn the_walk_begins_at_all_hooks() {
    let hooks = hooks();
    let of = |name: &str| hooks.intersection(&GRAPH.named(name).collect()).count();
    for name in ["malloc", "munmap", "dlclose", "_exit", "pytrace_flush"] {
        assert_eq!(of(name), 1, "{name}");
    }
    for name in [
        "arena_alloc",
        "arena_free",
        "hook_malloc",
        "hook_calloc",
        "hook_realloc",
        "on_free",
    ] {
        assert!(
            of(&format!("pytrace::hooks::allocators::{name}")) > 0,
            "{name}"
        );
    }
    for name in ["before_fork", "in_parent", "in_child"] {
        assert_eq!(of(&format!("pytrace::lifecycle::{name}")), 1, "{name}");
    }
    assert_none(
        "doors that are no function of the library",
        rules().doors_to_nowhere(),
    );
}

#[test]
fn f15_no_panic_can_be_reached_from_a_hook() {
    assert_none("a hook can end the process", rules().panics());
}

#[test]
fn f11_no_thread_local_of_the_loaders_can_be_reached() {
    assert_none(
        "a thread-local that may be allocated",
        rules().thread_locals(),
    );
}

#[test]
fn f05_no_stream_can_be_reached() {
    assert_none("a stream with a lock", rules().streams());
}

#[test]
fn the_programs_heap_is_not_asked() {
    assert_none(
        "memory of the program's heap for the shim",
        rules().allocations(),
    );
}

#[test]
fn calls_out_of_hooks_are_listed() {
    assert_none("a call that is on no list", rules().calls_outside());
}

#[test]
fn f32_hooks_take_little_stack() {
    assert_none("stack", rules().stack());
}
