//! Names of native frames, found in the files that the program had mapped.
//!
//! The traced process names what it prints; the rest is named here, offline. Invariant: a file is believed only when its
//! build id is the one in the capture, so a library that was replaced since then gives no names instead of wrong ones.
//! Files that never had a build id are believed: nothing tells that they changed.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use addr2line::Loader;
use object::read::ReadCache;
use object::read::elf::ElfFile64;
use object::{Endianness, Object, ObjectSection, ObjectSymbol, SymbolKind};
use pytrace_model::ids::{FrameId, ModuleId, StringId};
use pytrace_model::record::{Frame, NativeName, Record};
use pytrace_model::{Model, ModelError};

use crate::error::{quoted, reason};

/// Names the native frames that have no name yet, and returns a line on every file whose frames stay nameless.
pub fn name_native_frames(model: &mut Model) -> Vec<String> {
    let mut notes = Vec::new();
    for (module, frames) in nameless_frames(model) {
        let path = match model.module_path(module) {
            "" => continue,
            // The kernel's own mapping has no file.
            path if path.starts_with('[') => continue,
            path => PathBuf::from(path),
        };
        let build_id = model
            .module(module)
            .map_or(Vec::new(), |module| module.build_id.clone());
        let file = match SymbolFile::open(&path, &build_id) {
            Ok(file) => file,
            Err(reason) => {
                let number = match frames.len() {
                    1 => "a frame".to_string(),
                    number => format!("{number} frames"),
                };
                notes.push(format!(
                    "no names for {number} in {}: {reason}",
                    quoted(&path)
                ));
                continue;
            }
        };
        for (frame, return_address) in frames {
            // The call is before the address that it returns to, which can even lie in the next function.
            if let Some(name) = file.name_of(return_address.saturating_sub(1))
                && let Err(full) = add_name(model, frame, name)
            {
                notes.push(format!("native frames stay without names: {full}"));
                return notes;
            }
        }
    }
    notes
}

fn add_name(model: &mut Model, frame: FrameId, name: Name) -> Result<(), ModelError> {
    let function = add_string(model, name.function)?;
    let file = match name.file {
        Some(file) => add_string(model, file)?,
        None => StringId(0),
    };
    model.apply(Record::NativeName(NativeName {
        frame,
        function,
        file,
        line: name.line,
    }))
}

fn nameless_frames(model: &Model) -> BTreeMap<ModuleId, Vec<(FrameId, u64)>> {
    let mut nameless: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (frame, number) in model.frames.iter().zip(1..) {
        if let Frame::Native { module, address } = *frame
            && !model.native_names.contains_key(&FrameId(number))
        {
            nameless
                .entry(module)
                .or_default()
                .push((FrameId(number), address));
        }
    }
    nameless
}

fn add_string(model: &mut Model, string: String) -> Result<StringId, ModelError> {
    model.apply(Record::String(string))?;
    // The table numbers its rows from 1 in a u32, which `apply` has checked.
    Ok(StringId(u32::try_from(model.strings.len()).unwrap_or(0)))
}

/// What is known about an address.
#[derive(Debug, PartialEq, Eq)]
struct Name {
    function: String,
    file: Option<String>,
    line: u32,
}

/// A file with symbols: the module itself, or the debug file that its build id leads to.
struct SymbolFile {
    /// Functions in ascending order: address, size, name.
    functions: Vec<(u64, u64, String)>,
    /// Lines and inlined functions, where the file has debug information.
    lines: Option<Loader>,
}

impl SymbolFile {
    fn open(path: &Path, build_id: &[u8]) -> Result<SymbolFile, String> {
        let mut file = read(path)?;
        if file.build_id != build_id {
            return Err(match build_id {
                [] => "the capture has no build id to tell whether the file is still the same",
                _ => "the file has changed since the capture",
            }
            .to_string());
        }
        if !file.has_lines
            && let Some(debug_path) = debug_file(build_id)
            && let Ok(debug_file) = read(&debug_path)
            && debug_file.build_id == build_id
        {
            file = Contents {
                has_lines: debug_file.has_lines,
                path: debug_path,
                functions: match debug_file.functions.is_empty() {
                    true => file.functions,
                    false => debug_file.functions,
                },
                ..file
            };
        }
        Ok(SymbolFile {
            lines: file
                .has_lines
                .then(|| Loader::new(&file.path).ok())
                .flatten(),
            functions: file.functions,
        })
    }

    fn name_of(&self, address: u64) -> Option<Name> {
        self.line_name(address).or_else(|| {
            let after = self
                .functions
                .partition_point(|function| function.0 <= address);
            let (start, size_bytes, name) = self.functions.get(after.checked_sub(1)?)?;
            (address - start < *size_bytes).then(|| Name {
                function: demangled(name),
                file: None,
                line: 0,
            })
        })
    }

    fn line_name(&self, address: u64) -> Option<Name> {
        let mut frames = self.lines.as_ref()?.find_frames(address).ok()?;
        let frame = frames.next().ok()??;
        let function = frame.function?;
        let location = frame.location;
        Some(Name {
            function: function.demangle().ok()?.into_owned(),
            file: location.as_ref().and_then(|at| at.file).map(str::to_string),
            line: location.and_then(|at| at.line).unwrap_or(0),
        })
    }
}

struct Contents {
    path: PathBuf,
    build_id: Vec<u8>,
    functions: Vec<(u64, u64, String)>,
    has_lines: bool,
}

fn read(path: &Path) -> Result<Contents, String> {
    let file = File::open(path)
        .map_err(|error| format!("the file cannot be opened ({})", reason(&error)))?;
    let cache = ReadCache::new(file);
    let elf = ElfFile64::<Endianness, _>::parse(&cache)
        .map_err(|error| format!("the file cannot be read ({error})"))?;
    let mut functions: Vec<_> = elf
        .symbols()
        .chain(elf.dynamic_symbols())
        .filter(|symbol| {
            symbol.is_definition() && symbol.kind() == SymbolKind::Text && symbol.size() > 0
        })
        .filter_map(|symbol| {
            Some((
                symbol.address(),
                symbol.size(),
                symbol.name().ok()?.to_string(),
            ))
        })
        .collect();
    // Names of one function: the shortest, without the leading underscores of aliases, says it best.
    functions.sort_by(|one, other| {
        let rank = |function: &(u64, u64, String)| (function.0, function.1, function.2.len());
        rank(one)
            .cmp(&rank(other))
            .then_with(|| one.2.cmp(&other.2))
    });
    functions.dedup_by_key(|function| (function.0, function.1));
    Ok(Contents {
        path: path.to_path_buf(),
        build_id: elf.build_id().ok().flatten().unwrap_or_default().to_vec(),
        has_lines: elf
            .section_by_name(".debug_info")
            .is_some_and(|section| section.size() > 0),
        functions,
    })
}

/// Where distributions install debug information: `/usr/lib/debug/.build-id/ab/cdef….debug`.
fn debug_file(build_id: &[u8]) -> Option<PathBuf> {
    let (first, rest) = build_id.split_first()?;
    let rest: String = rest.iter().map(|byte| format!("{byte:02x}")).collect();
    let path = PathBuf::from(format!("/usr/lib/debug/.build-id/{first:02x}/{rest}.debug"));
    path.exists().then_some(path)
}

fn demangled(name: &str) -> String {
    addr2line::demangle_auto(Cow::Borrowed(name), None).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// This test's own executable, which has symbols, and lines where it was built with them.
    fn this_program() -> Contents {
        read(&std::env::current_exe().unwrap()).unwrap()
    }

    #[test]
    fn a_frame_is_named_after_the_call_and_not_the_return() {
        let program = this_program();
        let function = program
            .functions
            .iter()
            .find(|function| function.2.contains("name_native_frames"))
            .unwrap();
        let mut model = Model::default();
        let path = program.path.display().to_string();
        for record in [
            Record::String(path),
            Record::Module(pytrace_model::record::Module {
                path: StringId(1),
                build_id: program.build_id.clone(),
            }),
            // The return address of a call that is the last instruction of the function lies behind it.
            Record::Frame(Frame::Native {
                module: ModuleId(1),
                address: function.0 + function.1,
            }),
        ] {
            model.apply(record).unwrap();
        }
        assert_eq!(name_native_frames(&mut model), Vec::<String>::new());
        let name = &model.native_names[&FrameId(1)];
        let found = model.string(name.function);
        assert!(found.starts_with("pytrace::symbols::"), "{found}");
    }

    #[test]
    fn an_address_between_functions_has_no_name() {
        let file = SymbolFile {
            functions: vec![(0x10, 8, "_ZN3foo3barEv".into()), (0x40, 8, "plain".into())],
            lines: None,
        };
        let name = |address| file.name_of(address).map(|name| name.function);
        assert_eq!(name(0x0f), None);
        assert_eq!(name(0x10).as_deref(), Some("foo::bar()"));
        assert_eq!(name(0x17).as_deref(), Some("foo::bar()"));
        assert_eq!(name(0x18), None);
        assert_eq!(name(0x47).as_deref(), Some("plain"));
        assert_eq!(name(0x48), None);
    }

    #[test]
    fn a_file_with_another_build_id_is_not_believed() {
        let path = std::env::current_exe().unwrap();
        let Err(reason) = SymbolFile::open(&path, b"another") else {
            panic!("it was believed");
        };
        assert_eq!(reason, "the file has changed since the capture");
        assert!(SymbolFile::open(Path::new("/no/such/file"), b"").is_err());
    }
}
