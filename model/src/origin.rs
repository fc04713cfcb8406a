//! Whose doing a stack is: a line of the program itself, an import, or the interpreter without any Python code.
//!
//! A parent comes before its children in the table, so one walk over the nodes tells it for all stacks, however deep. What
//! can be told of a frame is found once, since lists ask for it once a site.

use pytrace_format::ids::{FrameId, ModuleId, StackId};
use pytrace_format::record::Frame;

use crate::group::frame_identities;
use crate::{Model, label};

/// What runs when a stack allocates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cause {
    /// No Python code: the interpreter starts, or a thread of a library is at work.
    #[default]
    NoPython,
    /// Python code.
    Code,
    /// An import of installed code, at any depth.
    Import,
}

/// Whose doing one stack is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// What runs.
    pub cause: Cause,
    /// The innermost line of the program's own code; 0 when none led there.
    pub line: FrameId,
}

/// The origins of all stacks of a model.
#[derive(Clone, Debug)]
pub struct Origins {
    nodes: Vec<Node>,
    codes: Vec<Code>,
    identities: Vec<u32>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Node {
    origin: Origin,
    /// The stack from its innermost Python frame on; 0 when it has none.
    python: StackId,
    /// Whether that frame is the program's own code.
    is_own_code: bool,
    /// Whether there is a frame of the interpreter itself, native or of what it runs to find itself.
    has_interpreter: bool,
}

/// Whose code a frame is, as far as its file tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// A library's.
    Native,
    /// The interpreter's own: native, or what it runs to find itself.
    Interpreter,
    ImportMachinery,
    Installed,
    Own,
    /// Not from a file: `python -c`, or made by whoever runs it.
    Made,
}

impl Origins {
    /// Finds the origins of all stacks.
    pub fn of(model: &Model) -> Origins {
        let codes = codes(model);
        let mut nodes: Vec<Node> = Vec::with_capacity(model.stacks.len());
        for (stack, number) in model.stacks.iter().zip(1..) {
            let caller = stack.parent.index().and_then(|row| nodes.get(row));
            let caller = caller.copied().unwrap_or_default();
            let code = stack.frame.index().and_then(|row| codes.get(row));
            let node = match code.copied().unwrap_or(Code::Native) {
                Code::Native => caller,
                Code::Interpreter => Node {
                    has_interpreter: true,
                    ..caller
                },
                code => called(model, caller, StackId(number), code),
            };
            nodes.push(node);
        }
        Origins {
            nodes,
            codes,
            identities: frame_identities(model),
        }
    }

    /// The origin of a stack.
    pub fn get(&self, stack: StackId) -> Origin {
        let node = stack.index().and_then(|row| self.nodes.get(row));
        node.map_or(Origin::default(), |node| node.origin)
    }

    /// The stack from its innermost Python frame on; 0 when it has none. What the interpreter runs to find itself does not
    /// count. However many native frames there are, going from one Python frame to the next is one step.
    pub fn python_part(&self, stack: StackId) -> StackId {
        let node = stack.index().and_then(|row| self.nodes.get(row));
        node.map_or(StackId(0), |node| node.python)
    }

    /// Whether the interpreter itself has a part in a stack, or nothing is known of it.
    pub(crate) fn has_interpreter(&self, stack: StackId) -> bool {
        let node = stack.index().and_then(|row| self.nodes.get(row));
        node.is_none_or(|node| node.has_interpreter)
    }

    /// For each frame, the first row of the frames that a reader cannot tell from it.
    pub fn frame_identities(&self) -> &[u32] {
        &self.identities
    }

    /// Whose code a frame is.
    pub(crate) fn code(&self, frame: FrameId) -> Code {
        let code = frame.index().and_then(|row| self.codes.get(row));
        code.copied().unwrap_or(Code::Native)
    }

    /// What two frames have in common that a reader cannot tell apart.
    pub(crate) fn identity(&self, frame: FrameId) -> Option<u32> {
        self.identities.get(frame.index()?).copied()
    }
}

/// The node of a stack whose innermost frame is of Python and called by `caller`.
fn called(model: &Model, caller: Node, stack: StackId, code: Code) -> Node {
    let frame = innermost(model, stack);
    let is_own_code = match code {
        Code::Own => true,
        // What code made and runs is part of it.
        Code::Made => {
            let runner = innermost(model, caller.python);
            runner == FrameId(0) || caller.is_own_code && file(model, runner) == file(model, frame)
        }
        Code::Native | Code::Interpreter | Code::ImportMachinery | Code::Installed => false,
    };
    let origin = if is_own_code {
        Origin {
            cause: Cause::Code,
            line: frame,
        }
    } else {
        Origin {
            cause: match caller.origin.cause {
                _ if code == Code::ImportMachinery => Cause::Import,
                Cause::NoPython => Cause::Code,
                cause => cause,
            },
            line: caller.origin.line,
        }
    };
    Node {
        origin,
        python: stack,
        is_own_code,
        ..caller
    }
}

fn innermost(model: &Model, stack: StackId) -> FrameId {
    let node = stack.index().and_then(|row| model.stacks.get(row));
    node.map_or(FrameId(0), |node| node.frame)
}

/// Whose code each frame is.
fn codes(model: &Model) -> Vec<Code> {
    let modules = (1..=model.modules.len()).map(|row| u32::try_from(row).unwrap_or(0));
    let of_module: Vec<_> = modules
        .map(|row| model.is_interpreter(ModuleId(row)))
        .collect();
    let mut of_file = vec![None; model.strings.len()];
    let code_of = |frame: &Frame| match *frame {
        Frame::Native { module, .. } => match module.index().and_then(|row| of_module.get(row)) {
            Some(true) => Code::Interpreter,
            _ => Code::Native,
        },
        Frame::Python { file, .. } => match file.index().and_then(|row| of_file.get_mut(row)) {
            Some(known) => *known.get_or_insert_with(|| code_of_file(model.string(file))),
            None => code_of_file(""),
        },
    };
    model.frames.iter().map(code_of).collect()
}

fn code_of_file(file: &str) -> Code {
    if file == "<frozen getpath>" {
        Code::Interpreter
    } else if label::is_import_machinery(file) {
        Code::ImportMachinery
    } else if label::is_installed(file) {
        Code::Installed
    } else if file.starts_with('<') && !file.starts_with("<ipython-input") {
        Code::Made
    } else {
        Code::Own
    }
}

fn file(model: &Model, frame: FrameId) -> &str {
    match model.frame(frame) {
        Some(Frame::Python { file, .. }) => model.string(*file),
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pytrace_format::synth::Synth;

    const MACHINERY: (&str, u32) = ("<frozen importlib._bootstrap>", 1);
    const LIBRARY: &str = "/v/lib/python3.12/site-packages/lib/a.py";

    /// The cause of a stack of (file, line), innermost first, and the line that it is put down to.
    fn origin(files: &[(&str, u32)]) -> (Cause, Option<(String, u32)>) {
        let mut synth = Synth::new();
        let mut frames = vec![synth.native("/l.so", 7, "malloc_caller")];
        frames.extend(
            files
                .iter()
                .map(|(file, line)| synth.python("f", file, *line)),
        );
        let stack = synth.stack(&frames);
        let mut model = Model::default();
        for record in synth.records() {
            model.apply(record.clone()).unwrap();
        }
        let origin = Origins::of(&model).get(stack);
        let line = match model.frame(origin.line) {
            Some(Frame::Python { line, .. }) => Some((file(&model, origin.line).to_owned(), *line)),
            _ => None,
        };
        (origin.cause, line)
    }

    fn line(file: &str, line: u32) -> Option<(String, u32)> {
        Some((file.to_owned(), line))
    }

    #[test]
    fn code_is_put_down_to_the_programs_innermost_line() {
        let app = [("app.py", 3), ("app.py", 9)];
        assert_eq!(origin(&app), (Cause::Code, line("app.py", 3)));
        let through = [(LIBRARY, 1), (LIBRARY, 2), ("app.py", 9)];
        assert_eq!(origin(&through), (Cause::Code, line("app.py", 9)));
        assert_eq!(origin(&[(LIBRARY, 1)]), (Cause::Code, None));
        assert_eq!(origin(&[]), (Cause::NoPython, None));
        assert_eq!(origin(&[("<frozen getpath>", 1)]), (Cause::NoPython, None));
    }

    #[test]
    fn imports_are_put_down_to_the_line_that_imports() {
        let import = [(LIBRARY, 1), MACHINERY, (LIBRARY, 8), MACHINERY];
        let by = |importer: &[(&str, u32)]| origin(&[&import[..], importer].concat());
        assert_eq!(by(&[]), (Cause::Import, None));
        assert_eq!(by(&[("app.py", 2)]), (Cause::Import, line("app.py", 2)));
        let installed = ("/usr/lib/python3.12/http/server.py", 88);
        assert_eq!(by(&[installed]), (Cause::Import, None));
        // A module of the program that is being imported is the program.
        let module = [("mod.py", 1), MACHINERY, ("app.py", 2)];
        assert_eq!(origin(&module), (Cause::Code, line("mod.py", 1)));
    }

    #[test]
    fn code_from_no_file_belongs_to_who_runs_it() {
        let typed = [("<string>", 4), ("<string>", 1)];
        assert_eq!(origin(&typed), (Cause::Code, line("<string>", 4)));
        let made = [("<string>", 3), ("app.py", 9)];
        assert_eq!(origin(&made), (Cause::Code, line("app.py", 9)));
        let at_start = [("<string>", 1), ("<frozen site>", 186), MACHINERY];
        assert_eq!(origin(&at_start), (Cause::Import, None));
    }
}
