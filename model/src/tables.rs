//! The tables and the latest state that a capture's records add up to.
//!
//! Invariant: every handle stored in a row is zero or names an earlier row, so look-ups succeed and walks of the stack
//! tree end. [`Model::apply`] alone establishes it; who fills the public fields by hand keeps it.

use std::collections::BTreeMap;

use pytrace_format::ids::{FrameId, ModuleId, SiteId, StackId, StringId};
use pytrace_format::record::{
    Allocator, Counters, Domain, End, Frame, Mark, Mode, Module, Moment, NativeName, Process,
    Pymalloc, Quality, Record, Scope, ScopeCounters, Settings, Shutdown, Site, Sizes, Stack,
    TimelinePoint,
};

use crate::ModelError;

/// One capture, gathered.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// Who was traced.
    pub process: Process,
    /// The settings in force.
    pub settings: Settings,
    /// The string table.
    pub strings: Vec<String>,
    /// The module table.
    pub modules: Vec<Module>,
    /// The frame table.
    pub frames: Vec<Frame>,
    /// The stack tree.
    pub stacks: Vec<Stack>,
    /// The call sites.
    pub sites: Vec<Site>,
    /// Their latest counters: `site_counters.len() == sites.len()`.
    pub site_counters: Vec<Counters>,
    /// Latest counters of the domains and the total.
    pub scopes: BTreeMap<Scope, ScopeCounters>,
    /// Latest size histograms.
    pub sizes: BTreeMap<Domain, Sizes>,
    /// Latest states of pymalloc.
    pub pymalloc: BTreeMap<Moment, Pymalloc>,
    /// How exact it is.
    pub quality: Quality,
    /// The timeline, in the order of its records.
    pub timeline: Vec<TimelinePoint>,
    /// The named moments, in the order of their records.
    pub marks: Vec<Mark>,
    /// What the tear-down did.
    pub shutdown: Shutdown,
    /// How it ended; `None` when the capture never said.
    pub end: Option<End>,
    /// Names of native frames that the traced process found itself.
    pub native_names: BTreeMap<FrameId, NativeName>,
    /// Functions that were inlined at the address of a native frame, innermost first. No record tells them: they are added
    /// by who reads the debug information.
    pub inlined: BTreeMap<FrameId, Vec<NativeName>>,
    /// It is put together of several, and some of them are of mode `counts`: the totals hold more than the call sites, and more than what
    /// is live or temporary. No record tells this either.
    pub counts_in_part: bool,
}

impl Model {
    /// Takes in the next record.
    ///
    /// # Errors
    /// A record that refers to a row which no earlier record made, or that would overflow a table. The model is then
    /// as it was before the call.
    pub fn apply(&mut self, record: Record) -> Result<(), ModelError> {
        match record {
            Record::Process(process) => self.process = process,
            Record::Settings(settings) => self.settings = settings,
            Record::String(string) => push("string", &mut self.strings, string)?,
            Record::Module(module) => {
                self.known_string(module.path)?;
                push("module", &mut self.modules, module)?;
            }
            Record::Frame(frame) => {
                match frame {
                    Frame::Python { function, file, .. } => {
                        self.known_string(function)?;
                        self.known_string(file)?;
                    }
                    Frame::Native { module, .. } => {
                        known("module", module.index(), self.modules.len())?;
                    }
                }
                push("frame", &mut self.frames, frame)?;
            }
            Record::Stack(stack) => {
                known("stack", stack.parent.index(), self.stacks.len())?;
                present("frame", stack.frame.index(), self.frames.len())?;
                push("stack", &mut self.stacks, stack)?;
            }
            Record::Site(site) => {
                known("stack", site.stack.index(), self.stacks.len())?;
                push("site", &mut self.sites, site)?;
                self.site_counters.push(Counters::default());
            }
            Record::NativeName(name) => {
                present("frame", name.frame.index(), self.frames.len())?;
                self.known_string(name.function)?;
                self.known_string(name.file)?;
                self.native_names.insert(name.frame, name);
            }
            Record::SiteCounters(of_site) => {
                let row = present("site", of_site.site.index(), self.site_counters.len())?;
                self.site_counters[row] = of_site.counters;
            }
            Record::ScopeCounters(of_scope) => {
                self.scopes.insert(of_scope.scope, of_scope);
            }
            Record::Sizes(sizes) => self.merge_sizes(sizes),
            Record::Pymalloc(pymalloc) => {
                self.pymalloc.insert(pymalloc.moment, pymalloc);
            }
            Record::Quality(quality) => self.quality = quality,
            Record::Timeline(point) => self.timeline.push(point),
            Record::Mark(mark) => self.marks.push(mark),
            Record::Shutdown(shutdown) => self.shutdown = shutdown,
            Record::End(end) => self.end = Some(end),
        }
        Ok(())
    }

    /// Takes in the buckets that changed: each supersedes the one that begins at the same size.
    fn merge_sizes(&mut self, changed: Sizes) {
        let Sizes { domain, buckets } = changed;
        let known = &mut self
            .sizes
            .entry(domain)
            .or_insert_with(|| Sizes {
                domain,
                buckets: Vec::new(),
            })
            .buckets;
        for bucket in buckets {
            match known.binary_search_by_key(&bucket.from, |known| known.from) {
                Ok(at) => known[at] = bucket,
                Err(at) => known.insert(at, bucket),
            }
        }
    }

    /// The string of a handle; empty for the zero handle (and for one that no record made).
    pub fn string(&self, id: StringId) -> &str {
        row(&self.strings, id.index()).map_or("", String::as_str)
    }

    /// The module of a handle, `None` for zero.
    pub fn module(&self, id: ModuleId) -> Option<&Module> {
        row(&self.modules, id.index())
    }

    /// The path of a module; empty for the zero handle.
    pub fn module_path(&self, id: ModuleId) -> &str {
        self.module(id)
            .map_or("", |module| self.string(module.path))
    }

    /// The frame of a handle, `None` for zero.
    pub fn frame(&self, id: FrameId) -> Option<&Frame> {
        row(&self.frames, id.index())
    }

    /// The call site of a handle, `None` for zero.
    pub fn site(&self, id: SiteId) -> Option<&Site> {
        row(&self.sites, id.index())
    }

    /// The frames of a stack, innermost first.
    pub fn stack_frames(&self, stack: StackId) -> StackFrames<'_> {
        StackFrames {
            model: self,
            next: stack,
        }
    }

    /// The call sites with their counters, in the order of the table. Sites of which nothing is told, since their domain
    /// is not shown or the program never got to them, are left out.
    pub fn sites_with_counters(&self) -> impl Iterator<Item = (&Site, &Counters)> {
        let all = self.sites.iter().zip(&self.site_counters);
        all.filter(|(_, counters)| **counters != Counters::default())
    }

    /// Counters of a domain or the total; zeros when the capture has none.
    pub fn scope(&self, scope: Scope) -> ScopeCounters {
        self.scopes.get(&scope).copied().unwrap_or(ScopeCounters {
            scope,
            counters: Counters::default(),
            max_live_bytes: 0,
            max_live_at_ns: 0,
            max_size_bytes: 0,
        })
    }

    /// Whether live bytes, peak, temporary allocations and call sites are known at all: mode counts keeps no table of live
    /// blocks and reads no stacks.
    pub fn has_live_table(&self) -> bool {
        self.settings.mode != Mode::Counts
    }

    /// Whether a domain was left out by the settings.
    pub fn hides_domains(&self) -> bool {
        let shown = &self.settings.domains;
        !shown.is_empty() && shown.len() < Domain::ALL.len()
    }

    /// Whether served bytes say what was set aside. mimalloc does not tell: its blocks count as they were asked for.
    pub fn knows_served_bytes(&self, scope: Scope) -> bool {
        let is_mimalloc = matches!(
            self.process.allocator,
            Allocator::Mimalloc | Allocator::MimallocDebug
        );
        let is_silent = |domain| {
            is_mimalloc
                && matches!(domain, Domain::Mem | Domain::Object)
                && self.scope(Scope::Domain(domain)).counters != Counters::default()
        };
        match scope {
            Scope::Domain(domain) => !is_silent(domain),
            Scope::Total => !Domain::ALL.into_iter().any(is_silent),
        }
    }

    /// Whether a module is the interpreter: the executable itself, or a libpython.
    pub fn is_interpreter(&self, id: ModuleId) -> bool {
        let path = self.module_path(id);
        let file = path.rsplit('/').next().unwrap_or(path);
        !path.is_empty() && (path == self.process.executable || file.starts_with("libpython3"))
    }

    fn known_string(&self, id: StringId) -> Result<(), ModelError> {
        known("string", id.index(), self.strings.len())
    }
}

/// Iterator over the frames of one stack, innermost first.
#[derive(Clone, Debug)]
pub struct StackFrames<'model> {
    model: &'model Model,
    next: StackId,
}

impl<'model> Iterator for StackFrames<'model> {
    type Item = (FrameId, &'model Frame);

    fn next(&mut self) -> Option<Self::Item> {
        let node = row(&self.model.stacks, self.next.index())?;
        // A parent is an earlier row; a table filled by hand that breaks this ends the walk instead of looping.
        self.next = if node.parent < self.next {
            node.parent
        } else {
            StackId(0)
        };
        Some((node.frame, self.model.frame(node.frame)?))
    }
}

fn row<T>(table: &[T], index: Option<usize>) -> Option<&T> {
    table.get(index?)
}

/// Accepts the zero handle and rows that exist.
fn known(table: &'static str, index: Option<usize>, rows: usize) -> Result<(), ModelError> {
    match index {
        None => Ok(()),
        Some(_) => present(table, index, rows).map(|_| ()),
    }
}

/// Accepts only rows that exist, and returns the index.
fn present(table: &'static str, index: Option<usize>, rows: usize) -> Result<usize, ModelError> {
    match index {
        Some(index) if index < rows => Ok(index),
        // An index comes from a u32 handle by subtracting one, so the row number fits.
        _ => Err(ModelError::UnknownRow {
            table,
            row: index.map_or(0, |index| index as u32 + 1),
            rows,
        }),
    }
}

fn push<T>(table: &'static str, rows: &mut Vec<T>, value: T) -> Result<(), ModelError> {
    if rows.len() >= u32::MAX as usize {
        return Err(ModelError::TableFull { table });
    }
    rows.push(value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use pytrace_format::record::SiteCounters;

    fn model_with_one_site() -> Model {
        let mut model = Model::default();
        for record in [
            Record::String("f".into()),
            Record::String("a.py".into()),
            Record::Frame(Frame::Python {
                function: StringId(1),
                file: StringId(2),
                line: 7,
            }),
            Record::Frame(Frame::Native {
                module: ModuleId(0),
                address: 0x40,
            }),
            Record::Stack(Stack {
                parent: StackId(0),
                frame: FrameId(1),
            }),
            Record::Stack(Stack {
                parent: StackId(1),
                frame: FrameId(2),
            }),
            Record::Site(Site {
                domain: Domain::Object,
                stack: StackId(2),
            }),
        ] {
            model.apply(record).unwrap();
        }
        model
    }

    #[test]
    fn frames_come_innermost_first() {
        let model = model_with_one_site();
        let ids: Vec<_> = model.stack_frames(StackId(2)).map(|(id, _)| id).collect();
        assert_eq!(ids, [FrameId(2), FrameId(1)]);
        assert_eq!(model.stack_frames(StackId(0)).count(), 0);
        assert_eq!(model.string(StringId(2)), "a.py");
        assert_eq!(model.string(StringId(0)), "");
        assert_eq!(model.string(StringId(99)), "");
    }

    #[test]
    fn later_counters_supersede_earlier_ones() {
        let mut model = model_with_one_site();
        for allocations in [3, 5] {
            let counters = Counters {
                allocations,
                ..Counters::default()
            };
            let record = Record::SiteCounters(SiteCounters {
                site: SiteId(1),
                counters,
            });
            model.apply(record).unwrap();
        }
        assert_eq!(model.site_counters[0].allocations, 5);
    }

    #[test]
    fn forward_references_are_rejected_and_change_nothing() {
        let counters = Counters::default();
        let name = NativeName {
            frame: FrameId(2),
            function: StringId(3),
            file: StringId(0),
            line: 0,
        };
        let rejected = [
            (
                Record::Module(Module {
                    path: StringId(3),
                    build_id: vec![],
                }),
                "string",
            ),
            (
                Record::Frame(Frame::Python {
                    function: StringId(1),
                    file: StringId(3),
                    line: 1,
                }),
                "string",
            ),
            (
                Record::Frame(Frame::Native {
                    module: ModuleId(1),
                    address: 1,
                }),
                "module",
            ),
            (
                Record::Stack(Stack {
                    parent: StackId(3),
                    frame: FrameId(1),
                }),
                "stack",
            ),
            (
                Record::Stack(Stack {
                    parent: StackId(0),
                    frame: FrameId(3),
                }),
                "frame",
            ),
            (
                Record::Stack(Stack {
                    parent: StackId(0),
                    frame: FrameId(0),
                }),
                "frame",
            ),
            (
                Record::Site(Site {
                    domain: Domain::Raw,
                    stack: StackId(u32::MAX),
                }),
                "stack",
            ),
            (
                Record::SiteCounters(SiteCounters {
                    site: SiteId(0),
                    counters,
                }),
                "site",
            ),
            (
                Record::SiteCounters(SiteCounters {
                    site: SiteId(2),
                    counters,
                }),
                "site",
            ),
            (Record::NativeName(name), "string"),
        ];
        for (record, in_table) in rejected {
            let mut model = model_with_one_site();
            let before = format!("{model:?}");
            match model.apply(record.clone()) {
                Err(ModelError::UnknownRow { table, .. }) => {
                    assert_eq!(table, in_table, "{record:?}")
                }
                other => panic!("{record:?} gave {other:?}"),
            }
            assert_eq!(format!("{model:?}"), before);
        }
    }
}
