//! Names of native frames, found in the files that the program had mapped.
//!
//! The traced process names what it prints; the rest is named here, offline, and where debug information tells more (lines,
//! inlined functions) it takes the place of the name that the process found. Invariant: what is said of an address comes
//! from the very file that was mapped (see [`files`]), or is not said.

mod files;
mod lookup;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use pytrace_model::ids::{FrameId, ModuleId, StringId};
use pytrace_model::record::{Frame, NativeName, Record};
use pytrace_model::{Model, ModelError};

use crate::error::quoted;
use files::{Doubt, Files};
use lookup::Code;

/// How far the naming is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Addresses looked up.
    pub done: usize,
    /// Addresses in all.
    pub all: usize,
}

/// Names the native frames, and returns a line on every file whose frames stay without names or lines. `progress` is called
/// often.
pub fn name_native_frames(model: &mut Model, mut progress: impl FnMut(Progress)) -> Vec<String> {
    let by_module = native_frames(model);
    let all = by_module.values().map(Vec::len).sum();
    let mut done = 0;
    let mut notes = Vec::new();
    let mut names = Names::default();
    for (module, frames) in by_module {
        let path = model.module_path(module);
        // The kernel's own mapping has no file.
        if path.is_empty() || path.starts_with('[') {
            done += frames.len();
            continue;
        }
        let build_id = model
            .module(module)
            .map(|module| module.build_id.as_slice());
        let files = match Files::of_module(Path::new(path), build_id.unwrap_or_default()) {
            Ok(files) => files,
            Err(doubt) => {
                done += frames.len();
                notes.extend(note(model, path, &frames, &doubt));
                continue;
            }
        };
        // The call is before the address that it returns to, which can even lie in the next function.
        let calls: Vec<_> = frames
            .iter()
            .map(|&(address, _)| address.saturating_sub(1))
            .collect();
        let found = lookup::functions(&files, &calls, || {
            done += 1;
            progress(Progress { done, all });
        });
        for ((_, frame), codes) in frames.into_iter().zip(found) {
            if let Err(full) = names.add(model, frame, codes) {
                notes.push(format!("native frames stay without names: {full}"));
                return notes;
            }
        }
    }
    notes
}

/// The native frames of each module, by return address: neighbours are in the same part of the debug information.
fn native_frames(model: &Model) -> BTreeMap<ModuleId, Vec<(u64, FrameId)>> {
    let mut by_module: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (frame, number) in model.frames.iter().zip(1..) {
        if let Frame::Native { module, address } = *frame {
            let frames = by_module.entry(module).or_default();
            frames.push((address, FrameId(number)));
        }
    }
    by_module.values_mut().for_each(|frames| frames.sort());
    by_module
}

/// What is missing of the frames of a file that is not believed. Lines alone are missed only where another file is in the
/// place of the right one: a capture may be read far from the libraries that it names.
fn note(model: &Model, path: &str, frames: &[(u64, FrameId)], doubt: &Doubt) -> Option<String> {
    let is_nameless = |(_, frame): &&(u64, FrameId)| !model.native_names.contains_key(frame);
    let (what, number) = match frames.iter().filter(is_nameless).count() {
        0 if *doubt != Doubt::Changed => return None,
        0 => ("source lines", frames.len()),
        nameless => ("names", nameless),
    };
    let number = match number {
        1 => "a frame".to_string(),
        number => format!("{number} frames"),
    };
    let path = quoted(path);
    Some(format!("no {what} for {number} in {path}: {doubt}"))
}

/// Puts names into a model, each text once.
#[derive(Default)]
struct Names {
    strings: HashMap<String, StringId>,
}

impl Names {
    /// Takes over what was found at a frame's address, unless the model knows as much.
    fn add(
        &mut self,
        model: &mut Model,
        frame: FrameId,
        mut codes: Vec<Code>,
    ) -> Result<(), ModelError> {
        let Some(holder) = codes.pop() else {
            return Ok(());
        };
        if holder.line == 0 && codes.is_empty() && model.native_names.contains_key(&frame) {
            return Ok(());
        }
        let holder = self.native_name(model, frame, holder)?;
        model.apply(Record::NativeName(holder))?;
        let inlined = codes
            .into_iter()
            .map(|code| self.native_name(model, frame, code));
        let inlined: Vec<_> = inlined.collect::<Result<_, _>>()?;
        if !inlined.is_empty() {
            model.inlined.insert(frame, inlined);
        }
        Ok(())
    }

    fn native_name(
        &mut self,
        model: &mut Model,
        frame: FrameId,
        code: Code,
    ) -> Result<NativeName, ModelError> {
        Ok(NativeName {
            frame,
            function: self.string(model, code.function)?,
            file: match code.file {
                Some(file) => self.string(model, file)?,
                None => StringId(0),
            },
            line: code.line,
        })
    }

    fn string(&mut self, model: &mut Model, text: String) -> Result<StringId, ModelError> {
        if let Some(&known) = self.strings.get(&text) {
            return Ok(known);
        }
        model.apply(Record::String(text.clone()))?;
        // The table numbers its rows from 1 in a u32, which `apply` has checked.
        let id = StringId(u32::try_from(model.strings.len()).unwrap_or(0));
        self.strings.insert(text, id);
        Ok(id)
    }
}
