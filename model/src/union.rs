//! Several captures on one set of tables, so that what they have in common has one handle.
//!
//! Rows are the same when their content is: strings by text, modules by path and build id, frames by function, file and
//! line or by module and address, stacks frame by frame, sites by domain and stack. Addresses in no known module are
//! compared as they are, which is right for forked processes and chance for others.
//!
//! Invariant: that of [`Model`]: a row refers to earlier rows only. One pass over each capture, since its parents come
//! before their children.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, Hash};

use pytrace_format::fast_map::FastMap;
use pytrace_format::ids::{FrameId, ModuleId, SiteId, StackId, StringId};
use pytrace_format::record::{Domain, Frame, Module, NativeName, Record, Site, Stack};

use crate::{Model, ModelError};

/// The tables of the captures added so far.
///
/// ```
/// use pytrace_model::{Model, union::Union};
///
/// # let (before, after) = (Model::default(), Model::default());
/// let mut union = Union::new();
/// let of_before = union.add(&before)?;
/// let of_after = union.add(&after)?;
/// // Sites of both with the same domain and stack are one site of `union.tables()`.
/// for (site, counters) in of_before.sites().zip(&before.site_counters) {
///     let _ = (union.tables().site(site), counters);
/// }
/// # let _ = of_after;
/// # Ok::<(), pytrace_model::ModelError>(())
/// ```
#[derive(Debug, Default)]
pub struct Union {
    tables: Model,
    strings: HashMap<String, StringId>,
    modules: HashMap<(StringId, Vec<u8>), ModuleId>,
    frames: HashMap<FrameKey, FrameId>,
    stacks: FastMap<(StackId, FrameId), StackId>,
    sites: FastMap<(u32, StackId), SiteId>,
}

/// Where the rows of one capture are in a union.
#[derive(Clone, Debug, Default)]
pub struct Mapping {
    strings: Vec<StringId>,
    modules: Vec<ModuleId>,
    frames: Vec<FrameId>,
    stacks: Vec<StackId>,
    sites: Vec<SiteId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum FrameKey {
    Python(StringId, StringId, u32),
    Native(ModuleId, u64),
}

impl Union {
    /// A union of nothing.
    pub fn new() -> Union {
        Union::default()
    }

    /// Takes in the strings, modules, frames (with the names of native ones), stacks and sites of a capture, and tells
    /// where they are. Its counters stay where they are: whether they add up is for the caller to know.
    ///
    /// # Errors
    /// A table of the union that has no room for another row.
    pub fn add(&mut self, model: &Model) -> Result<Mapping, ModelError> {
        let mut mapping = Mapping::default();
        for text in &model.strings {
            let string = self.string(text)?;
            mapping.strings.push(string);
        }
        for module in &model.modules {
            let module = self.module(mapping.string(module.path), &module.build_id)?;
            mapping.modules.push(module);
        }
        for frame in &model.frames {
            let frame = self.frame(mapping.frame_content(frame))?;
            mapping.frames.push(frame);
        }
        // The tree is most of a capture: the first one's rows are all new.
        self.stacks
            .reserve(model.stacks.len().saturating_sub(self.stacks.len()));
        mapping.stacks.reserve_exact(model.stacks.len());
        let mut last = StackId(0);
        for stack in &model.stacks {
            let (parent, frame) = (mapping.stack(stack.parent), mapping.frame(stack.frame));
            // Captures of one program have most rows in the same order, and the next row is nearer than any map's.
            let next = self.tables.stacks.get(last.0 as usize);
            last = if next == Some(&Stack { parent, frame }) {
                StackId(last.0 + 1)
            } else {
                self.stack((parent, frame))?
            };
            mapping.stacks.push(last);
        }
        for site in &model.sites {
            let site = self.site((site.domain, mapping.stack(site.stack)))?;
            mapping.sites.push(site);
        }
        self.add_names(model, &mapping);
        Ok(mapping)
    }

    /// The tables. The counters of their sites are zeros, and nothing else of the model is filled in.
    pub fn tables(&self) -> &Model {
        &self.tables
    }

    /// The tables, to go on with: `site_counters` has a row of zeros for every site.
    pub fn into_tables(self) -> Model {
        self.tables
    }

    fn string(&mut self, text: &str) -> Result<StringId, ModelError> {
        if let Some(&known) = self.strings.get(text) {
            return Ok(known);
        }
        self.tables.apply(Record::String(text.to_owned()))?;
        let id = StringId(last_row(&self.tables.strings));
        self.strings.insert(text.to_owned(), id);
        Ok(id)
    }

    fn module(&mut self, path: StringId, build_id: &[u8]) -> Result<ModuleId, ModelError> {
        let key = (path, build_id.to_vec());
        let tables = &mut self.tables;
        intern(&mut self.modules, key, |(path, build_id)| {
            let (path, build_id) = (*path, build_id.clone());
            tables.apply(Record::Module(Module { path, build_id }))?;
            Ok(ModuleId(last_row(&tables.modules)))
        })
    }

    fn frame(&mut self, key: FrameKey) -> Result<FrameId, ModelError> {
        let tables = &mut self.tables;
        intern(&mut self.frames, key, |key| {
            tables.apply(Record::Frame(match *key {
                FrameKey::Python(function, file, line) => Frame::Python {
                    function,
                    file,
                    line,
                },
                FrameKey::Native(module, address) => Frame::Native { module, address },
            }))?;
            Ok(FrameId(last_row(&tables.frames)))
        })
    }

    fn stack(&mut self, key: (StackId, FrameId)) -> Result<StackId, ModelError> {
        let tables = &mut self.tables;
        intern(&mut self.stacks, key, |&(parent, frame)| {
            tables.apply(Record::Stack(Stack { parent, frame }))?;
            Ok(StackId(last_row(&tables.stacks)))
        })
    }

    fn site(&mut self, (domain, stack): (Domain, StackId)) -> Result<SiteId, ModelError> {
        let tables = &mut self.tables;
        intern(&mut self.sites, (domain as u32, stack), |_| {
            tables.apply(Record::Site(Site { domain, stack }))?;
            Ok(SiteId(last_row(&tables.sites)))
        })
    }

    /// Names of frames that no capture before has named.
    fn add_names(&mut self, model: &Model, mapping: &Mapping) {
        let brought_over = |name: &NativeName| NativeName {
            frame: mapping.frame(name.frame),
            function: mapping.string(name.function),
            file: mapping.string(name.file),
            line: name.line,
        };
        for name in model.native_names.values().map(brought_over) {
            self.tables.native_names.entry(name.frame).or_insert(name);
        }
        for (&frame, names) in &model.inlined {
            let known = self.tables.inlined.entry(mapping.frame(frame));
            known.or_insert_with(|| names.iter().map(brought_over).collect());
        }
    }
}

impl Mapping {
    /// The string of the union for one of the capture; zero stays zero.
    pub fn string(&self, id: StringId) -> StringId {
        row(&self.strings, id.index())
    }

    /// The module of the union for one of the capture; zero stays zero.
    pub fn module(&self, id: ModuleId) -> ModuleId {
        row(&self.modules, id.index())
    }

    /// The frame of the union for one of the capture; zero stays zero.
    pub fn frame(&self, id: FrameId) -> FrameId {
        row(&self.frames, id.index())
    }

    /// The stack of the union for one of the capture; the empty one stays empty.
    pub fn stack(&self, id: StackId) -> StackId {
        row(&self.stacks, id.index())
    }

    /// The site of the union for one of the capture; zero stays zero.
    pub fn site(&self, id: SiteId) -> SiteId {
        row(&self.sites, id.index())
    }

    /// What [`sites`](Mapping::sites) gives, when nothing else is asked any more: the rest, a number for each row, is let go.
    pub fn into_sites(self) -> Vec<SiteId> {
        self.sites
    }

    /// The sites of the union for those of the capture, in the order of its table.
    pub fn sites(&self) -> impl Iterator<Item = SiteId> {
        self.sites.iter().copied()
    }

    fn frame_content(&self, frame: &Frame) -> FrameKey {
        match *frame {
            Frame::Python {
                function,
                file,
                line,
            } => FrameKey::Python(self.string(function), self.string(file), line),
            Frame::Native { module, address } => FrameKey::Native(self.module(module), address),
        }
    }
}

fn row<Id: Copy + Default>(rows: &[Id], index: Option<usize>) -> Id {
    let row = index.and_then(|index| rows.get(index));
    row.copied().unwrap_or_default()
}

/// The handle of the row that was added last.
fn last_row<T>(rows: &[T]) -> u32 {
    // `Model::apply` refuses rows that a u32 cannot number.
    u32::try_from(rows.len()).unwrap_or(0)
}

fn intern<Key: Eq + Hash, Id: Copy>(
    known: &mut HashMap<Key, Id, impl BuildHasher>,
    key: Key,
    add: impl FnOnce(&Key) -> Result<Id, ModelError>,
) -> Result<Id, ModelError> {
    match known.entry(key) {
        Entry::Occupied(known) => Ok(*known.get()),
        Entry::Vacant(new) => {
            let id = add(new.key())?;
            Ok(*new.insert(id))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pytrace_format::record::Counters;
    use pytrace_format::synth::{Synth, realistic, with_native_stacks};

    fn model(synth: &Synth) -> Model {
        let mut model = Model::default();
        for record in synth.records() {
            model.apply(record.clone()).unwrap();
        }
        model
    }

    /// A stack in words: everything that tells it from others.
    fn words(model: &Model, stack: StackId) -> Vec<String> {
        let frames = model.stack_frames(stack);
        let word = |(id, frame): (FrameId, &Frame)| match *frame {
            Frame::Python {
                function,
                file,
                line,
            } => {
                format!("{} {} {line}", model.string(function), model.string(file))
            }
            Frame::Native { module, address } => {
                let names: Vec<_> = model.native_code(id).map(|code| code.function).collect();
                let build_id = model.module(module).map(|module| &module.build_id);
                let path = model.module_path(module);
                format!("{path} {build_id:?} {address} {names:?}")
            }
        };
        frames.map(word).collect()
    }

    fn assert_kept(model: &Model, mapping: &Mapping, union: &Union) {
        let tables = union.tables();
        for (number, site) in (1..).zip(&model.sites) {
            let brought = tables.site(mapping.site(SiteId(number))).unwrap();
            assert_eq!(brought.domain, site.domain);
            assert_eq!(words(tables, brought.stack), words(model, site.stack));
        }
        assert_eq!(tables.sites.len(), tables.site_counters.len());
    }

    #[test]
    fn a_capture_added_twice_is_there_once() {
        for synth in [realistic(), with_native_stacks()] {
            let model = model(&synth);
            let mut union = Union::new();
            let first = union.add(&model).unwrap();
            let rows = |union: &Union| {
                let tables = union.tables();
                let names = (tables.native_names.len(), tables.inlined.len());
                (tables.strings.len(), tables.stacks.len(), names)
            };
            let before = rows(&union);
            let second = union.add(&model).unwrap();
            assert_eq!(rows(&union), before);
            assert_eq!(before.1, model.stacks.len());
            assert_kept(&model, &first, &union);
            assert_eq!(first.sites, second.sites);
        }
    }

    #[test]
    fn rows_in_another_order_find_each_other() {
        let capture = |lines: &[u32], address: u64| {
            let mut synth = Synth::new();
            let base = synth.python("main", "a.py", 1);
            let caller = synth.native("/l.so", address, "f");
            for &line in lines {
                let called = synth.python("g", "b.py", line);
                let stack = synth.stack(&[caller, called, base]);
                synth.site(Domain::Object, stack, Counters::default());
            }
            model(&synth)
        };
        let (first, second) = (capture(&[1, 2], 7), capture(&[3, 2], 7));
        let mut union = Union::new();
        let of_first = union.add(&first).unwrap();
        let of_second = union.add(&second).unwrap();
        assert_eq!(of_first.sites, [SiteId(1), SiteId(2)]);
        assert_eq!(of_second.sites, [SiteId(3), SiteId(2)]);
        assert_kept(&first, &of_first, &union);
        assert_kept(&second, &of_second, &union);
        assert_eq!(
            (union.tables().frames.len(), union.tables().strings.len()),
            (5, 6)
        );
        // Another address of the same function is another frame: who cannot tell them apart groups them.
        let of_third = union.add(&capture(&[1, 2], 8)).unwrap();
        assert_eq!(of_third.sites, [SiteId(4), SiteId(5)]);
    }

    #[test]
    fn names_that_one_capture_lacks_come_from_another() {
        let capture = |function: &str| {
            let mut synth = Synth::new();
            let caller = synth.native("/l.so", 7, function);
            let stack = synth.stack(&[caller]);
            synth.site(Domain::Raw, stack, Counters::default());
            model(&synth)
        };
        let mut union = Union::new();
        for function in ["", "named", "other"] {
            union.add(&capture(function)).unwrap();
        }
        let names: Vec<_> = union.tables().native_code(FrameId(1)).collect();
        assert_eq!(names[0].function, "named");
    }

    #[test]
    fn handles_without_a_row_stay_zero() {
        let mapping = Union::new().add(&Model::default()).unwrap();
        assert_eq!(mapping.string(StringId(0)), StringId(0));
        assert_eq!(mapping.stack(StackId(9)), StackId(0));
        assert_eq!(mapping.site(SiteId(1)), SiteId(0));
    }
}
