//! The useful part of a stack: the C function that asked, the innermost Python line, and who led there.

use pytrace_format::ids::{FrameId, StackId};
use pytrace_format::record::Frame;

use crate::text::{columns, cut_end, cut_start, escape_name};
use crate::{Model, label};

/// Python frames shown of a stack.
const PYTHON_FRAMES: usize = 3;

/// Frames looked at in search of them.
const MAX_FRAMES_SEARCHED: usize = 200;

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

impl<'model> ShownStack<'model> {
    pub(super) fn find(model: &'model Model, stack: StackId) -> ShownStack<'model> {
        let mut native: Option<(Shown<'model>, bool)> = None;
        let mut python: Vec<Shown<'model>> = Vec::new();
        let mut has_own_code = false;
        let mut was_import = false;
        for (id, frame) in model.stack_frames(stack).take(MAX_FRAMES_SEARCHED) {
            let mut shown = Shown {
                id,
                frame,
                is_own_code: false,
                imports: false,
                after_gap: false,
            };
            let Frame::Python { file, .. } = *frame else {
                // The first that is not the allocator itself, or the allocator if there is nothing else.
                let is_allocator = model
                    .native_names
                    .get(&id)
                    .is_some_and(|name| label::is_allocator(model.string(name.function)));
                let is_better =
                    native.is_none_or(|(_, was_allocator)| was_allocator && !is_allocator);
                if python.is_empty() && is_better {
                    native = Some((shown, is_allocator));
                }
                continue;
            };
            let file = model.string(file);
            let is_import = label::is_import_machinery(file);
            if core::mem::replace(&mut was_import, is_import) && is_import {
                continue;
            }
            shown.imports = is_import;
            shown.is_own_code = !label::is_installed(file);
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
            native: native.map(|(shown, _)| shown),
            python,
        }
    }

    pub(super) fn key(&self, identities: &[u32]) -> Key {
        const NONE: u32 = u32::MAX;
        const IMPORTS: u32 = u32::MAX - 1;
        let identity = |shown: &Shown<'_>| match shown.imports {
            true => IMPORTS,
            false => shown
                .id
                .index()
                .and_then(|row| identities.get(row))
                .copied()
                .unwrap_or(NONE),
        };
        let mut key = [NONE; PYTHON_FRAMES + 1];
        key[0] = self.native.as_ref().map_or(NONE, identity);
        for (part, shown) in key[1..].iter_mut().zip(&self.python) {
            *part = identity(shown);
        }
        key
    }

    /// `PyLong_New (libpython3.11.so)`; empty without a native frame.
    pub(super) fn native_text(&self) -> String {
        let named = self
            .native
            .and_then(|shown| label::native(self.model, shown.id, shown.frame));
        match named {
            None => String::new(),
            Some((function, module)) if module.is_empty() => function,
            Some((function, module)) => format!("{function} ({module})"),
        }
    }

    /// The innermost Python frame, and of its callers what fits `width` with it: all of them, else the nearest of the
    /// program's own code, else the next one. Empty without Python frames.
    pub(super) fn python_text(&self, width: usize) -> (String, String) {
        let Some((first, callers)) = self.python.split_first() else {
            return (String::new(), String::new());
        };
        let innermost = self.innermost_text(first, width);
        let room = width - columns(&innermost);
        let mut choices = vec![self.chain(callers)];
        let own = if first.is_own_code {
            None
        } else {
            callers.iter().position(|shown| shown.is_own_code)
        };
        if let Some(own) = own {
            choices.push(self.chain(&callers[..=own]));
            let after_gap = own > 0 || callers[own].after_gap;
            choices.push(self.chain(&[Shown {
                after_gap,
                ..callers[own]
            }]));
        }
        choices.extend(callers.first().map(|next| self.chain(&[*next])));
        let chain = choices.into_iter().find(|chain| columns(chain) <= room);
        (innermost, chain.unwrap_or_default())
    }

    fn chain(&self, callers: &[Shown<'_>]) -> String {
        let mut chain = String::new();
        for shown in callers {
            chain.push_str(if shown.after_gap {
                " <- ... <- "
            } else {
                " <- "
            });
            match self.names(shown) {
                None => chain.push_str("(import)"),
                Some((function, place)) => {
                    let file = place.rsplit('/').next().unwrap_or_default();
                    chain.push_str(&format!("{function} {file}"));
                }
            }
        }
        chain
    }

    /// `function  path:line`, shortened to `width`: the path from its start, then the function from its end.
    fn innermost_text(&self, shown: &Shown<'_>, width: usize) -> String {
        const GAP: &str = "  ";
        let Some((function, place)) = self.names(shown) else {
            return cut_end("(import)", width);
        };
        // A long path leaves no room for the callers, and its end says enough.
        let place = cut_start(&place, (width * 2 / 5).max(24));
        // Each may use what the other leaves, and at least half.
        let room = width - GAP.len();
        let function = cut_end(
            &function,
            (room / 2).max(room.saturating_sub(columns(&place))),
        );
        let place = cut_start(&place, room - columns(&function));
        format!("{function}{GAP}{place}")
    }

    /// Function and `path:line`; `None` for the import machinery and native frames.
    fn names(&self, shown: &Shown<'_>) -> Option<(String, String)> {
        let Frame::Python {
            function,
            file,
            line,
        } = *shown.frame
        else {
            return None;
        };
        if shown.imports {
            return None;
        }
        let function = escape_name(&self.model.string(function).replace(".<locals>.", "."));
        let path = label::source_path(self.model.string(file));
        Some((
            function,
            if line == 0 {
                path
            } else {
                format!("{path}:{line}")
            },
        ))
    }
}
