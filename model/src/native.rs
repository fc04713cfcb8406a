//! The functions at a native frame's address: the one that holds the code, and those that the compiler put into it there.
//!
//! The traced process names the first alone ([`Model::native_names`]); who reads debug information adds the others
//! ([`Model::inlined`]). Both are one call to a reader, so they stand for one frame of a stack.

use pytrace_format::ids::FrameId;
use pytrace_format::record::NativeName;

use crate::Model;

/// One function at a native frame's address. Parts that are not known are empty or 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NativeCode<'model> {
    /// Its name, demangled.
    pub function: &'model str,
    /// Source file.
    pub file: &'model str,
    /// The line that was running, or that the next function inwards was called from.
    pub line: u32,
    /// Whether it was inlined into the next function outwards.
    pub is_inlined: bool,
}

impl Model {
    /// The functions at a native frame's address, innermost first. The last one holds the code; it is there without a
    /// name, too.
    pub fn native_code(&self, frame: FrameId) -> impl Iterator<Item = NativeCode<'_>> {
        let inlined = self.inlined.get(&frame).map_or(&[][..], Vec::as_slice);
        let inlined = inlined.iter().map(|name| self.code(name, true));
        let holder = self.native_names.get(&frame);
        let holder = holder.map_or(
            NativeCode {
                function: "",
                file: "",
                line: 0,
                is_inlined: false,
            },
            |name| self.code(name, false),
        );
        inlined.chain([holder])
    }

    fn code(&self, name: &NativeName, is_inlined: bool) -> NativeCode<'_> {
        NativeCode {
            function: self.string(name.function),
            file: self.string(name.file),
            line: name.line,
            is_inlined,
        }
    }
}
