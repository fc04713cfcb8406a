//! The rules: what must not be reached from a hook, and how much stack may be taken.
//!
//! Invariant: whatever ends the process is not followed further; that a panic comes to print and to allocate is no finding
//! of its own.

use std::collections::BTreeSet;

use super::doors::Door;
use super::graph::Graph;
use super::walk::{Depth, Reached};

/// Most bytes of the program's stack that a hook may take, doors closed.
const MOST_STACK_BYTES: u64 = 4096;

/// What is known of a library beyond its machine code: see [`super::doors`].
pub(super) struct Lists {
    pub(super) doors: &'static [Door],
    pub(super) end: &'static str,
    pub(super) calls_outside: &'static [(&'static str, &'static [&'static str])],
    pub(super) indirect: &'static [(&'static str, &'static str, &'static str)],
    pub(super) asserted: &'static [(&'static str, &'static str)],
}

/// Whether a name is what a row of a list means.
pub(super) fn is_meant(row: &str, name: &str) -> bool {
    name == row || row.ends_with("::") && name.starts_with(row)
}

/// A library's hooks under the rules. What a rule gives are its findings.
pub(super) struct Rules<'a> {
    graph: &'a Graph,
    lists: &'a Lists,
    hooks: BTreeSet<u64>,
    /// Doors, and what ends the process.
    closed: BTreeSet<u64>,
    /// The last door, and what ends the process.
    last: BTreeSet<u64>,
}

impl<'a> Rules<'a> {
    pub(super) fn new(graph: &'a Graph, hooks: BTreeSet<u64>, lists: &'a Lists) -> Rules<'a> {
        let ends = graph.functions.iter();
        let ends: BTreeSet<u64> = ends
            .filter(|(_, function)| ends_the_process(&function.name))
            .map(|(&address, _)| address)
            .collect();
        let mut closed = ends.clone();
        closed.extend(lists.doors.iter().flat_map(|door| named(graph, door.name)));
        let mut last = ends;
        last.extend(named(graph, lists.end));
        Rules {
            graph,
            lists,
            hooks,
            closed,
            last,
        }
    }

    /// What hooks reach, doors closed.
    fn reached(&self) -> Reached<'_> {
        Reached::from(self.graph, &self.hooks, &self.closed)
    }

    /// What hooks reach through all doors but the last.
    fn reached_through_doors(&self) -> Reached<'_> {
        Reached::from(self.graph, &self.hooks, &self.last)
    }

    /// Doors closed, no panic, but where a table cannot grow.
    pub(super) fn panics(&self) -> BTreeSet<String> {
        let is_asserted = |caller: &str| {
            let mut rows = self.lists.asserted.iter();
            rows.any(|(row, _)| is_meant(row, caller))
        };
        self.reached().chains(|caller, name| {
            ends_the_process(name) && !is_growth(caller, name) && !is_asserted(caller)
        })
    }

    /// No thread-local that the loader may allocate when it is first used.
    pub(super) fn thread_locals(&self) -> BTreeSet<String> {
        self.reached_through_doors()
            .chains(|_, name| name == "__tls_get_addr" || name.contains("tlsdesc"))
    }

    /// No stream: the program may hold its lock while it allocates.
    pub(super) fn streams(&self) -> BTreeSet<String> {
        self.reached_through_doors()
            .chains(|_, name| name.contains("::stdio::"))
    }

    /// The program's heap is not asked, by its public names, on the shim's behalf.
    pub(super) fn allocations(&self) -> BTreeSet<String> {
        const FAMILY: [&str; 6] = [
            "malloc",
            "calloc",
            "realloc",
            "free",
            "posix_memalign",
            "aligned_alloc",
        ];
        // Other names of these, which reach whoever is first.
        const OTHER_NAMES: [&str; 4] = [
            "cfree",
            "free_sized",
            "free_aligned_sized",
            "pytrace::hooks::malloc::on_reallocarray",
        ];
        self.reached_through_doors()
            .chains(|caller, name| FAMILY.contains(&name) && !OTHER_NAMES.contains(&caller))
    }

    /// Doors closed, what is called outside of the library or through a pointer is on a list.
    pub(super) fn calls_outside(&self) -> BTreeSet<String> {
        let listed = self.lists.calls_outside.iter();
        let listed: BTreeSet<&str> = listed.flat_map(|(_, names)| *names).copied().collect();
        let is_explained = |caller: &str, name: &str| {
            self.lists.indirect.iter().any(|(within, through, _)| {
                (within.is_empty() || is_meant(within, caller)) && is_meant(through, name)
            })
        };
        self.reached().chains(|caller, name| {
            let is_function = self.graph.named(name).next().is_some();
            !is_function && !listed.contains(name) && !is_explained(caller, name)
        })
    }

    /// Hooks and doors stay within their bounds of stack, without recursion.
    pub(super) fn stack(&self) -> Vec<String> {
        let mut findings = self.beyond("a hook", &self.hooks, MOST_STACK_BYTES, &[]);
        for door in self.lists.doors {
            let roots = named(self.graph, door.name);
            let roots = roots.difference(&self.last).copied().collect();
            let what = format!("{} ({})", door.name, door.why);
            findings.extend(self.beyond(&what, &roots, door.stack_bytes, door.recursion));
        }
        findings
    }

    /// What takes more stack than it may, or has no bound.
    fn beyond(
        &self,
        what: &str,
        roots: &BTreeSet<u64>,
        most_bytes: u64,
        recursion: &[&str],
    ) -> Vec<String> {
        let mut depth = Depth::new(self.graph, &self.closed);
        let (bytes, way) = roots
            .iter()
            .map(|&root| depth.of(root))
            .max()
            .unwrap_or_default();
        let mut findings = Vec::new();
        if bytes > most_bytes {
            let way = depth.describe(&way);
            findings.push(format!(
                "{what} takes {bytes} bytes of stack, not {most_bytes}: {way}"
            ));
        }
        for circle in &depth.recursions {
            let mut functions = circle.split(" > ");
            if !functions.all(|name| recursion.iter().any(|row| is_meant(row, name))) {
                findings.push(format!("{what} recurses: {circle}"));
            }
        }
        findings
    }

    /// Doors that are no function: made part of another, or renamed.
    pub(super) fn doors_to_nowhere(&self) -> Vec<&'static str> {
        let rows = self.lists.doors.iter().map(|door| door.name);
        rows.chain([self.lists.end])
            .filter(|row| named(self.graph, row).is_empty())
            .collect()
    }
}

/// The functions that a row of a list means.
fn named(graph: &Graph, row: &str) -> BTreeSet<u64> {
    graph
        .functions
        .iter()
        .filter(|(_, function)| is_meant(row, &function.name))
        .map(|(&address, _)| address)
        .collect()
}

/// Whether a function of the standard library's, or of libc's, ends the process. The shim's own are followed.
fn ends_the_process(name: &str) -> bool {
    const ENDS: [&str; 11] = [
        "panic",
        "rust_begin_unwind",
        "assert_failed",
        "unwrap_failed",
        "expect_failed",
        "slice_index_fail",
        "slice_error_fail",
        "handle_alloc_error",
        "raw_vec::handle_error",
        "raw_vec::capacity_overflow",
        "process::abort",
    ];
    !name.starts_with("pytrace") && (name == "abort" || ENDS.iter().any(|end| name.contains(end)))
}

/// Whether a function ends the process because a table could not grow.
fn is_growth(caller: &str, name: &str) -> bool {
    name.contains("handle_alloc_error")
        || name.starts_with("alloc::raw_vec::")
        || caller.starts_with("hashbrown::raw::RawTable") // more entries than memory has bytes
}
