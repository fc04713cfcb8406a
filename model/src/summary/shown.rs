//! The useful part of a stack: the C function that asked, the innermost Python line, and who led there.

use pytrace_format::ids::{FrameId, StackId};
use pytrace_format::record::Frame;

use crate::origin::{Code, Origins};
use crate::text::{columns, cut_end, cut_start, escape_name};
use crate::{Model, label};

/// Python frames shown of a stack.
const PYTHON_FRAMES: usize = 3;

/// What stands for frames of the import machinery.
const IMPORT: &str = "(import)";

/// What is left of a path to make room for callers: enough for the file's name and the line.
const MIN_PLACE_WIDTH: usize = 24;

/// What stands between a frame and its caller.
const CALLED_BY: &str = " <- ";

/// Python frames looked at in search of them.
const MAX_FRAMES_SEARCHED: usize = 200;

/// Native frames looked at in search of one that is not the allocator's own.
const MAX_NATIVE_SEARCHED: usize = 8;

/// The part of a stack that is shown.
pub(super) struct ShownStack<'model> {
    model: &'model Model,
    native: Option<Shown<'model>>,
    /// Innermost first. When all of the innermost are of installed packages, the last one is the innermost of the
    /// program itself.
    python: Vec<Shown<'model>>,
}

/// What two stacks that are shown alike have in common.
pub(super) type Key = [u32; PYTHON_FRAMES + 1];

#[derive(Clone, Copy)]
struct Shown<'model> {
    id: FrameId,
    frame: &'model Frame,
    /// It belongs to the program itself, not to an installed package.
    is_own_code: bool,
    /// It stands for a run of frames of the import machinery.
    imports: bool,
    /// Frames between it and the one shown before it are left out.
    after_gap: bool,
}

impl<'model> Shown<'model> {
    fn of(id: FrameId, frame: &'model Frame) -> Shown<'model> {
        Shown {
            id,
            frame,
            is_own_code: false,
            imports: false,
            after_gap: false,
        }
    }
}

impl<'model> ShownStack<'model> {
    pub(super) fn find(
        model: &'model Model,
        origins: &Origins,
        stack: StackId,
    ) -> ShownStack<'model> {
        let mut python: Vec<Shown<'model>> = Vec::new();
        let mut has_own_code = false;
        let mut was_import = false;
        for (id, frame) in python_frames(model, origins, stack).take(MAX_FRAMES_SEARCHED) {
            let code = origins.code(id);
            let is_import = code == Code::ImportMachinery;
            if core::mem::replace(&mut was_import, is_import) && is_import {
                continue;
            }
            let mut shown = Shown {
                imports: is_import,
                is_own_code: matches!(code, Code::Own | Code::Made),
                ..Shown::of(id, frame)
            };
            if python.len() < PYTHON_FRAMES {
                python.push(shown);
                has_own_code |= shown.is_own_code;
            } else if has_own_code {
                break;
            } else if shown.is_own_code {
                shown.after_gap = true;
                python[PYTHON_FRAMES - 1] = shown;
                break;
            }
        }
        ShownStack {
            model,
            native: asking_function(model, stack),
            python,
        }
    }

    pub(super) fn key(&self, origins: &Origins) -> Key {
        const NONE: u32 = u32::MAX;
        const IMPORTS: u32 = u32::MAX - 1;
        let identity = |shown: &Shown<'_>| match shown.imports {
            true => IMPORTS,
            false => origins.identity(shown.id).unwrap_or(NONE),
        };
        let mut key = [NONE; PYTHON_FRAMES + 1];
        key[0] = self.native.as_ref().map_or(NONE, identity);
        for (part, shown) in key[1..].iter_mut().zip(&self.python) {
            *part = identity(shown);
        }
        key
    }

    /// `PyLong_New (libpython3.11.so)`; without the library where that is the interpreter's and both do not fit `width`.
    /// Empty without a native frame.
    pub(super) fn native_text(&self, width: usize) -> String {
        let named = self
            .native
            .and_then(|shown| label::native(self.model, shown.id, shown.frame));
        let (function, module) = named.unwrap_or_default();
        let function = label::without_parameters(&function).to_owned();
        if module.is_empty() {
            return function;
        }
        let text = format!("{function} ({module})");
        if columns(&text) > width && columns(&function) <= width && self.is_interpreter() {
            return function;
        }
        text
    }

    /// Whether the native frame is of the interpreter and has no name.
    pub(super) fn is_nameless_interpreter(&self) -> bool {
        let is_named = |shown: Shown<'_>| self.model.native_names.contains_key(&shown.id);
        self.is_interpreter() && !self.native.is_some_and(is_named)
    }

    /// The name of the native frame's module.
    pub(super) fn native_module(&self) -> String {
        match self.native.map(|shown| shown.frame) {
            Some(Frame::Native { module, .. }) => {
                label::module_name(self.model.module_path(*module))
            }
            _ => String::new(),
        }
    }

    fn is_interpreter(&self) -> bool {
        match self.native.map(|shown| shown.frame) {
            Some(Frame::Native { module, .. }) => self.model.is_interpreter(*module),
            _ => false,
        }
    }

    /// The innermost Python frame, and of its callers what fits `width` with it: all of them, else the nearest of the
    /// program's own code, for which a long path gives way, else the next one. `None` without Python frames.
    pub(super) fn python_text(&self, width: usize) -> Option<(String, String)> {
        let (first, callers) = self.python.split_first()?;
        let innermost = self.innermost_text(first, width, (width * 2 / 5).max(MIN_PLACE_WIDTH));
        let fitting = |innermost: &str, chains: &[String]| {
            let room = width - columns(innermost);
            chains.iter().find(|chain| columns(chain) <= room).cloned()
        };
        let mut chains = vec![self.chain(callers)];
        let own = callers.iter().position(|shown| shown.is_own_code);
        if let Some(own) = own.filter(|_| !first.is_own_code) {
            chains.push(self.chain(&callers[..=own]));
            let after_gap = own > 0 || callers[own].after_gap;
            chains.push(self.chain(&[Shown {
                after_gap,
                ..callers[own]
            }]));
            let short = self.innermost_text(first, width, MIN_PLACE_WIDTH);
            for innermost in [&innermost, &short] {
                if let Some(chain) = fitting(innermost, &chains) {
                    return Some((innermost.clone(), chain));
                }
            }
        }
        chains.extend(callers.first().map(|next| self.chain(&[*next])));
        let chain = fitting(&innermost, &chains);
        Some((innermost, chain.unwrap_or_default()))
    }

    fn innermost_text(&self, shown: &Shown<'_>, width: usize, path_width: usize) -> String {
        match self.names(shown) {
            None => cut_end(IMPORT, width),
            Some(names) => place_text(names, width, path_width),
        }
    }

    fn chain(&self, callers: &[Shown<'_>]) -> String {
        let mut chain = String::new();
        for shown in callers {
            chain.push_str(if shown.after_gap {
                " <- ... <- "
            } else {
                CALLED_BY
            });
            match self.names(shown) {
                None => chain.push_str(IMPORT),
                Some((function, place)) => {
                    let file = place.rsplit('/').next().unwrap_or_default();
                    chain.push_str(&format!("{function} {file}"));
                }
            }
        }
        chain
    }

    /// Function and `path:line`; `None` for the import machinery and native frames.
    fn names(&self, shown: &Shown<'_>) -> Option<(String, String)> {
        if shown.imports {
            return None;
        }
        names(self.model, shown.frame)
    }
}

/// The C function that asked: the innermost one that is not the allocator itself, or the allocator if there is nothing
/// else.
fn asking_function(model: &Model, stack: StackId) -> Option<Shown<'_>> {
    let is_allocator = |id: &FrameId| {
        let name = model.native_names.get(id);
        name.is_some_and(|name| label::is_allocator(model.string(name.function)))
    };
    let innermost = || {
        let natives = model.stack_frames(stack);
        natives
            .take_while(|(_, frame)| matches!(frame, Frame::Native { .. }))
            .take(MAX_NATIVE_SEARCHED)
    };
    let found = innermost().find(|(id, _)| !is_allocator(id));
    let (id, frame) = found.or_else(|| innermost().next())?;
    Some(Shown::of(id, frame))
}

/// The Python frames of a stack, innermost first.
fn python_frames<'model>(
    model: &'model Model,
    origins: &Origins,
    stack: StackId,
) -> impl Iterator<Item = (FrameId, &'model Frame)> {
    let mut next = origins.python_part(stack);
    core::iter::from_fn(move || {
        let node = model.stacks.get(next.index()?)?;
        next = origins.python_part(node.parent);
        Some((node.frame, model.frame(node.frame)?))
    })
}

/// `function  path:line` of a Python frame.
pub(super) fn place(model: &Model, frame: FrameId, width: usize) -> String {
    let names = model.frame(frame).and_then(|frame| names(model, frame));
    names.map_or_else(String::new, |names| place_text(names, width, width))
}

/// What stands for an import, and the line that led to it, if any.
pub(super) fn import_text(model: &Model, importer: FrameId, width: usize) -> (String, String) {
    let room = width.saturating_sub(columns(IMPORT) + columns(CALLED_BY));
    let caller = match place(model, importer, room) {
        place if place.is_empty() => place,
        place => format!("{CALLED_BY}{place}"),
    };
    (IMPORT.to_owned(), caller)
}

/// Function and `path:line`; `None` for native frames.
fn names(model: &Model, frame: &Frame) -> Option<(String, String)> {
    let Frame::Python {
        function,
        file,
        line,
    } = *frame
    else {
        return None;
    };
    let function = escape_name(&model.string(function).replace(".<locals>.", "."));
    let path = label::source_path(model.string(file));
    Some((
        function,
        if line == 0 {
            path
        } else {
            format!("{path}:{line}")
        },
    ))
}

/// `function  path:line`, shortened to `width`: the path from its start, at least to `path_width`, then the function
/// from its end.
fn place_text((function, place): (String, String), width: usize, path_width: usize) -> String {
    const GAP: &str = "  ";
    let place = cut_start(&place, path_width);
    // Each may use what the other leaves, and at least half.
    let room = width.saturating_sub(GAP.len());
    let function = cut_end(
        &function,
        (room / 2).max(room.saturating_sub(columns(&place))),
    );
    let place = cut_start(&place, room - columns(&function));
    format!("{function}{GAP}{place}")
}
