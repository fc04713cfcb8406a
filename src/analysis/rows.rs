//! Call sites, gathered into the rows of a report.
//!
//! Invariant: every site belongs to exactly one row, so sums over rows equal sums over sites.

use std::cmp::Reverse;
use std::collections::HashMap;

use pytrace_model::Model;
use pytrace_model::group::{add, by_frames};
use pytrace_model::ids::{ModuleId, StackId, StringId};
use pytrace_model::record::{Counters, Domain, Frame};

use super::{Metric, module_name};

/// What is one row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Grouping {
    /// One call site: one domain and one stack, as far as a reader can tell stacks apart.
    #[default]
    Site,
    /// All sites whose innermost Python frame is on the same line.
    Line,
    /// … in the same function.
    Function,
    /// … in the same file.
    File,
    /// … in the same module.
    Module,
}

impl Grouping {
    /// The name that the command line and reports use.
    pub fn name(self) -> &'static str {
        match self {
            Grouping::Site => "site",
            Grouping::Line => "line",
            Grouping::Function => "function",
            Grouping::File => "file",
            Grouping::Module => "module",
        }
    }
}

/// What the sites of one row have in common. Parts that the grouping leaves open are empty or 0.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RowKey {
    /// The function, where the row is a line or a function.
    pub function: String,
    /// The Python file, where the row is a line, a function or a file.
    pub file: String,
    /// The line, where the row is one.
    pub line: u32,
    /// The Python module, or the library when no Python code was running.
    pub module: String,
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What its sites have in common.
    pub subject: Subject,
    /// The stack of the site that counts most in it by the metric.
    pub stack: StackId,
    /// How many sites of the capture it has.
    pub sites: usize,
    /// Their counters, added up.
    pub counters: Counters,
}

/// What a row is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// One call site; its stack is the row's.
    Site(Domain),
    /// What a grouping put together.
    Group(RowKey),
}

/// All rows of the sites in `domains`, those that count most by `metric` first.
pub fn rows(
    model: &Model,
    grouping: Grouping,
    metric: Metric,
    domains: impl Fn(Domain) -> bool,
) -> Vec<Row> {
    let mut rows = match grouping {
        Grouping::Site => sites(model, domains),
        _ => groups(model, grouping, metric, domains),
    };
    // Equal rows keep the order of their first sites: the same capture gives the same report.
    rows.sort_by_key(|row| Reverse(metric.of(&row.counters)));
    rows
}

fn sites(model: &Model, domains: impl Fn(Domain) -> bool) -> Vec<Row> {
    let groups = by_frames(model).into_iter();
    let rows = groups
        .filter(|group| domains(group.domain))
        .map(|group| Row {
            subject: Subject::Site(group.domain),
            stack: group.stack,
            sites: group.sites,
            counters: group.counters,
        });
    rows.collect()
}

fn groups(
    model: &Model,
    grouping: Grouping,
    metric: Metric,
    domains: impl Fn(Domain) -> bool,
) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    // By handles first, so that names are put together once a place and not once a site.
    let mut row_of_place: HashMap<Place, usize> = HashMap::new();
    let mut row_of_key: HashMap<RowKey, usize> = HashMap::new();
    let mut most: Vec<u64> = Vec::new();
    let sites = model.sites_with_counters();
    for (site, counters) in sites.filter(|(site, _)| domains(site.domain)) {
        let place = Place::of(model, site.stack).at(grouping);
        let row = *row_of_place.entry(place).or_insert_with(|| {
            let key = place.key(model, grouping);
            *row_of_key.entry(key.clone()).or_insert_with(|| {
                most.push(0);
                rows.push(Row {
                    subject: Subject::Group(key),
                    stack: site.stack,
                    sites: 0,
                    counters: Counters::default(),
                });
                rows.len() - 1
            })
        });
        let value = metric.of(counters);
        if value > most[row] {
            most[row] = value;
            rows[row].stack = site.stack;
        }
        rows[row].sites += 1;
        add(&mut rows[row].counters, counters);
    }
    rows
}

/// Where a stack's innermost Python code is; the library when it has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Place {
    Python {
        function: StringId,
        file: StringId,
        line: u32,
    },
    Native(ModuleId),
    Nowhere,
}

impl Place {
    fn of(model: &Model, stack: StackId) -> Place {
        let mut innermost = Place::Nowhere;
        for (_, frame) in model.stack_frames(stack) {
            match *frame {
                Frame::Python {
                    function,
                    file,
                    line,
                } => {
                    return Place::Python {
                        function,
                        file,
                        line,
                    };
                }
                Frame::Native { module, .. } if innermost == Place::Nowhere => {
                    innermost = Place::Native(module);
                }
                Frame::Native { .. } => {}
            }
        }
        innermost
    }

    /// Without the parts that the grouping leaves open.
    fn at(self, grouping: Grouping) -> Place {
        match self {
            Place::Python {
                function,
                file,
                line,
            } => Place::Python {
                function: match grouping {
                    Grouping::File | Grouping::Module => StringId(0),
                    _ => function,
                },
                file,
                line: match grouping {
                    Grouping::Site | Grouping::Line => line,
                    _ => 0,
                },
            },
            other => other,
        }
    }

    fn key(self, model: &Model, grouping: Grouping) -> RowKey {
        match self {
            Place::Python {
                function,
                file,
                line,
            } => {
                let file = model.string(file);
                RowKey {
                    function: model.string(function).to_string(),
                    file: match grouping {
                        Grouping::Module => String::new(),
                        _ => file.to_string(),
                    },
                    line,
                    module: module_name(file),
                }
            }
            Place::Native(module) => RowKey {
                module: model.module_path(module).to_string(),
                ..RowKey::default()
            },
            Place::Nowhere => RowKey::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pytrace_format::synth::Synth;

    /// Two functions in a.py (lines 1, 2 of f; 2 of g), one in b.py, a library alone, the library called from f on
    /// line 1 (from two addresses of one function), and an empty stack.
    fn model() -> Model {
        let mut synth = Synth::new();
        let native = [64, 68].map(|address| synth.native("/lib/libx.so", address, "x"));
        let f1 = synth.python("f", "a.py", 1);
        let stacks = [
            vec![f1],
            vec![synth.python("f", "a.py", 2)],
            vec![synth.python("g", "a.py", 2)],
            vec![synth.python("f", "b.py", 1)],
            vec![native[0]],
            vec![native[0], f1],
            vec![native[1], f1],
            vec![],
        ];
        for (number, frames) in stacks.into_iter().enumerate() {
            let stack = synth.stack(&frames);
            let counters = Counters {
                allocations: 1,
                requested_bytes: 1 << number,
                ..Counters::default()
            };
            synth.site(Domain::Object, stack, counters);
        }
        let mut model = Model::default();
        for record in synth.records() {
            model.apply(record.clone()).unwrap();
        }
        model
    }

    fn shown(grouping: Grouping) -> Vec<String> {
        let rows = rows(&model(), grouping, Metric::Allocated, |_| true);
        let lines = rows.iter().map(|row| match &row.subject {
            Subject::Site(domain) => panic!("{domain:?}"),
            Subject::Group(key) => format!(
                "{}@{}:{} {} {} {}",
                key.function,
                key.file,
                key.line,
                key.module,
                row.sites,
                row.counters.requested_bytes
            ),
        });
        lines.collect()
    }

    #[test]
    fn sites_are_those_that_a_reader_can_tell_apart() {
        let rows = rows(&model(), Grouping::Site, Metric::Allocated, |_| true);
        let sites: Vec<_> = rows
            .iter()
            .map(|row| (row.sites, row.counters.requested_bytes))
            .collect();
        assert_eq!(
            sites,
            [(1, 128), (2, 96), (1, 16), (1, 8), (1, 4), (1, 2), (1, 1)]
        );
        assert!(
            rows.iter()
                .all(|row| row.subject == Subject::Site(Domain::Object))
        );
    }

    #[test]
    fn equal_rows_keep_the_order_of_the_capture() {
        let rows = rows(&model(), Grouping::Site, Metric::Live, |_| true);
        let bytes: Vec<_> = rows
            .iter()
            .map(|row| row.counters.requested_bytes)
            .collect();
        assert_eq!(bytes, [1, 2, 4, 8, 16, 96, 128]);
    }

    #[test]
    fn groups_go_by_the_innermost_python_frame() {
        let outside = ["@:0  1 128", "@:0 /lib/libx.so 1 16"];
        assert_eq!(
            shown(Grouping::Line),
            [
                outside[0],
                "f@a.py:1 a 3 97",
                outside[1],
                "f@b.py:1 b 1 8",
                "g@a.py:2 a 1 4",
                "f@a.py:2 a 1 2",
            ]
        );
        assert_eq!(
            shown(Grouping::Function),
            [
                outside[0],
                "f@a.py:0 a 4 99",
                outside[1],
                "f@b.py:0 b 1 8",
                "g@a.py:0 a 1 4",
            ]
        );
        assert_eq!(
            shown(Grouping::File),
            [outside[0], "@a.py:0 a 5 103", outside[1], "@b.py:0 b 1 8"]
        );
        assert_eq!(
            shown(Grouping::Module),
            [outside[0], "@:0 a 5 103", outside[1], "@:0 b 1 8"]
        );
    }

    #[test]
    fn the_stack_shown_is_the_heaviest() {
        let model = model();
        let row = &rows(&model, Grouping::Line, Metric::Allocated, |_| true)[1];
        assert_eq!(model.stack_frames(row.stack).count(), 2);
    }
}
