//! The rules on a library that breaks each of them once: each is seen to find, and to name the way.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use super::doors::Door;
use super::graph::Graph;
use super::rules::{Lists, Rules};
use crate::support::compile::shared_library;

static BROKEN: LazyLock<Graph> = LazyLock::new(|| {
    let options = [
        "-O1",
        "-foptimize-sibling-calls",
        "-fno-stack-protector",
        "-fno-reorder-blocks-and-partition",
        "-fno-semantic-interposition",
        "-mtls-dialect=gnu",
    ];
    let library = shared_library("gates.c", "gates.so", &options);
    Graph::read(&std::fs::read(library).expect("it was compiled"))
});

const LISTS: Lists = Lists {
    doors: &[Door {
        name: "door",
        stack_bytes: 100,
        recursion: &[],
        why: "a test",
    }],
    end: "hook_is_harmless",
    calls_outside: &[("a test", &["abort", "getpid", "malloc", "__tls_get_addr"])],
    indirect: &[],
    asserted: &[],
};

fn rules(hook: &str, lists: &'static Lists) -> Rules<'static> {
    let hooks: BTreeSet<u64> = BROKEN.named(hook).collect();
    assert_eq!(hooks.len(), 1, "{hook}");
    Rules::new(&BROKEN, hooks, lists)
}

/// Asserts that one hook alone breaks a rule, in this way.
fn assert_found<F>(hook: &str, way: &str, rule: impl Fn(&Rules<'static>) -> F)
where
    F: IntoIterator<Item = String>,
{
    let findings: Vec<String> = rule(&rules(hook, &LISTS)).into_iter().collect();
    assert_eq!(findings, [way]);
    let harmless: Vec<String> = rule(&rules("hook_is_harmless", &LISTS))
        .into_iter()
        .collect();
    assert_eq!(harmless, Vec::<String>::new());
}

#[test]
fn panics_are_found_through_calls_and_jumps() {
    assert_found(
        "hook_ends",
        "hook_ends > second > aborts > abort",
        Rules::panics,
    );
    assert_found(
        "hook_by_jumps",
        "hook_by_jumps > hook_ends > second > aborts > abort",
        Rules::panics,
    );
}

#[test]
fn doors_are_closed_for_panics_alone() {
    assert_eq!(rules("hook_by_door", &LISTS).panics(), BTreeSet::new());
    const OPEN: Lists = Lists {
        doors: &[],
        ..LISTS
    };
    assert_eq!(rules("hook_by_door", &OPEN).panics().len(), 1);
    assert_eq!(
        rules("hook_by_door", &OPEN).doors_to_nowhere(),
        Vec::<&str>::new()
    );
    const NARROW: Lists = Lists {
        doors: &[
            Door {
                name: "door",
                stack_bytes: 8,
                recursion: &[],
                why: "a test",
            },
            Door {
                name: "gone",
                stack_bytes: 8,
                recursion: &[],
                why: "a test",
            },
        ],
        ..LISTS
    };
    let narrow = rules("hook_by_door", &NARROW);
    assert_eq!(narrow.doors_to_nowhere(), ["gone"]);
    assert_eq!(narrow.stack().len(), 1, "{:?}", narrow.stack());
    assert!(
        narrow.stack()[0].starts_with("door (a test) takes "),
        "{:?}",
        narrow.stack()
    );
}

#[test]
fn thread_locals_streams_and_allocations_are_found() {
    assert_found(
        "hook_has_thread_local",
        "hook_has_thread_local > count > __tls_get_addr",
        Rules::thread_locals,
    );
    assert_found(
        "hook_has_stream",
        "hook_has_stream > std::io::stdio::write",
        Rules::streams,
    );
    assert_found(
        "hook_allocates",
        "hook_allocates > malloc",
        Rules::allocations,
    );
}

#[test]
fn calls_outside_and_through_pointers_are_found() {
    assert_found(
        "hook_calls_outside",
        "hook_calls_outside > getppid",
        Rules::calls_outside,
    );
    assert_found(
        "hook_calls_through_pointer",
        "hook_calls_through_pointer > *chosen",
        Rules::calls_outside,
    );
    const LISTED: Lists = Lists {
        indirect: &[("hook_calls_through_pointer", "*chosen", "a test")],
        ..LISTS
    };
    let listed = rules("hook_calls_through_pointer", &LISTED);
    assert_eq!(listed.calls_outside(), BTreeSet::new());
}

#[test]
fn deep_stacks_and_recursions_are_found() {
    let findings = rules("hook_is_deep", &LISTS).stack();
    let [finding] = &findings[..] else {
        panic!("{findings:?}");
    };
    let ways = ["a hook takes 5", "hook_is_deep (2", "> large (3"];
    assert!(ways.iter().all(|part| finding.contains(part)), "{finding}");
    assert_eq!(
        rules("hook_is_not_deep", &LISTS).stack(),
        Vec::<String>::new()
    );
    assert_found(
        "hook_recurses",
        "a hook recurses: hook_recurses > hook_recurses",
        Rules::stack,
    );
}
