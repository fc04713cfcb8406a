//! Walks of the call graph: what can be reached from some functions, and how much stack that takes.
//!
//! Invariant: a walk does not leave a function that is `closed`, unless it begins there. Whoever closes one says why, and has
//! what is behind it walked from there.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use super::graph::{Graph, Target};

/// What was reached, and from which function first (`None`: a root).
pub(crate) struct Reached<'a> {
    graph: &'a Graph,
    from: BTreeMap<u64, Option<u64>>,
    closed: &'a BTreeSet<u64>,
}

impl<'a> Reached<'a> {
    /// Everything that can be reached from the roots.
    pub(crate) fn from(
        graph: &'a Graph,
        roots: &BTreeSet<u64>,
        closed: &'a BTreeSet<u64>,
    ) -> Reached<'a> {
        let mut reached = Reached {
            graph,
            from: roots.iter().map(|&root| (root, None)).collect(),
            closed,
        };
        let mut next: VecDeque<u64> = roots.iter().copied().collect();
        while let Some(address) = next.pop_front() {
            for target in reached.targets(address) {
                if let Target::Function(target) = target
                    && !reached.from.contains_key(target)
                {
                    reached.from.insert(*target, Some(address));
                    next.push_back(*target);
                }
            }
        }
        reached
    }

    /// Where the walk goes on from a function.
    fn targets(&self, address: u64) -> impl Iterator<Item = &'a Target> + use<'a> {
        let is_root = self.from.get(&address) == Some(&None);
        self.graph
            .functions
            .get(&address)
            .filter(|_| is_root || !self.closed.contains(&address))
            .into_iter()
            .flat_map(|function| &function.edges)
            .map(|edge| &edge.target)
    }

    /// The shortest chain of calls to each call that is meant, by the names of its caller and of what it calls.
    pub(crate) fn chains(&self, is_meant: impl Fn(&str, &str) -> bool) -> BTreeSet<String> {
        let mut chains = BTreeSet::new();
        for &address in self.from.keys() {
            for target in self.targets(address) {
                let name = self.graph.name(target);
                if is_meant(&self.graph.functions[&address].name, &name) {
                    chains.insert(format!("{} > {name}", self.chain(address)));
                }
            }
        }
        chains
    }

    /// How a function was reached.
    fn chain(&self, address: u64) -> String {
        let mut names = Vec::new();
        let mut at = Some(address);
        while let Some(address) = at {
            names.push(self.graph.functions[&address].name.as_str());
            at = self.from[&address];
        }
        names.reverse();
        names.join(" > ")
    }
}

/// How much stack calls take.
pub(crate) struct Depth<'a> {
    graph: &'a Graph,
    closed: &'a BTreeSet<u64>,
    known: HashMap<u64, (u64, Vec<u64>)>,
    open: Vec<u64>,
    /// The ways in which functions come to call themselves.
    pub(crate) recursions: BTreeSet<String>,
}

impl<'a> Depth<'a> {
    pub(crate) fn new(graph: &'a Graph, closed: &'a BTreeSet<u64>) -> Depth<'a> {
        Depth {
            graph,
            closed,
            known: HashMap::new(),
            open: Vec::new(),
            recursions: BTreeSet::new(),
        }
    }

    /// Bytes of stack that a call of a function takes at most, where nothing recurses, and the way there.
    pub(crate) fn of(&mut self, address: u64) -> (u64, Vec<u64>) {
        let graph = self.graph;
        let is_closed = self.closed.contains(&address) && !self.open.is_empty();
        let Some(function) = graph.functions.get(&address).filter(|_| !is_closed) else {
            return (0, Vec::new());
        };
        if let Some(known) = self.known.get(&address) {
            return known.clone();
        }
        if let Some(start) = self.open.iter().position(|open| *open == address) {
            let circle = self.open[start..].iter().chain([&address]);
            let names: Vec<&str> = circle.map(|at| graph.functions[at].name.as_str()).collect();
            self.recursions.insert(names.join(" > "));
            return (0, Vec::new());
        }
        self.open.push(address);
        let mut deepest = (function.frame_bytes, Vec::new());
        for edge in &function.edges {
            let Target::Function(target) = edge.target else {
                continue;
            };
            if edge.is_tail && target == address {
                continue; // a loop
            }
            let (bytes, way) = self.of(target);
            let own = if edge.is_tail {
                0
            } else {
                function.frame_bytes
            };
            deepest = deepest.max((own + bytes, way));
        }
        self.open.pop();
        deepest.1.insert(0, address);
        self.known.insert(address, deepest.clone());
        deepest
    }

    /// A way in words, with the frames' sizes.
    pub(crate) fn describe(&self, way: &[u64]) -> String {
        let names = way.iter().map(|address| {
            let function = &self.graph.functions[address];
            format!("{} ({})", function.name, function.frame_bytes)
        });
        names.collect::<Vec<_>>().join(" > ")
    }
}
