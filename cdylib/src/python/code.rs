//! What is copied of a code object when one of its instructions is first seen in a stack: names, and the line.

use super::Python;
use super::frame::Place;
use super::layout::Layout;
use super::lines::{self, Reached};
use super::text;

/// Longest line table that is read; no compiler makes a longer one.
const LONGEST_LINE_TABLE: usize = 1 << 26;

impl Layout {
    /// The objects that a code object keeps and that are read of it: file and name, and the line table.
    ///
    /// # Safety
    /// `code` can be read like a code object.
    pub(crate) unsafe fn parts_of_code(&self, code: *const u8) -> [*const u8; 3] {
        let parts = [self.code_filename, self.code_name, self.code_line_table];
        // SAFETY: the caller's promise.
        parts.map(|offset| unsafe { code.add(offset).cast::<*const u8>().read() })
    }

    /// How far each of them is read, from its beginning.
    ///
    /// # Safety
    /// As for [`Layout::parts_of_code`], and the heads of the parts can be read.
    pub(crate) unsafe fn extents_of_code(&self, code: *const u8) -> [(*const u8, usize); 3] {
        // SAFETY: the caller's promise.
        unsafe {
            let [file, name, table] = self.parts_of_code(code);
            [
                (file, text::extent(self, file)),
                (name, text::extent(self, name)),
                (table, self.bytes_data + line_table_bytes(self, table)),
            ]
        }
    }
}

/// Bytes of a line table.
///
/// # Safety
/// The head of a bytes object can be read at `table`.
unsafe fn line_table_bytes(layout: &Layout, table: *const u8) -> usize {
    // SAFETY: the caller's promise.
    let size = unsafe { table.add(layout.bytes_size).cast::<isize>().read() };
    usize::try_from(size).unwrap_or(0).min(LONGEST_LINE_TABLE)
}

impl Python {
    /// File and function name of a code object.
    ///
    /// # Safety
    /// `code` is a live code object.
    pub(crate) unsafe fn names(&self, code: usize) -> (String, String) {
        let layout = self.layout();
        let code = code as *const u8;
        let unreadable = || String::from("?");
        // SAFETY: the caller's promise; both fields are strings that the code object keeps alive.
        unsafe {
            let file = code.add(layout.code_filename).cast::<*const u8>().read();
            let function = code.add(layout.code_name).cast::<*const u8>().read();
            (
                text::read(layout, file).unwrap_or_else(unreadable),
                text::read(layout, function).unwrap_or_else(unreadable),
            )
        }
    }

    /// Line of an instruction; 0 when the code has none there. `reached` belongs to the code object.
    ///
    /// # Safety
    /// `place.code` is a live code object.
    pub(crate) unsafe fn line(&self, place: Place, reached: &mut Reached) -> u32 {
        let layout = self.layout();
        let code = place.code as *const u8;
        // SAFETY: the caller's promise; the line table is a bytes object that the code object keeps alive.
        unsafe {
            let first_line = code.add(layout.code_first_line).cast::<i32>().read();
            let table = code.add(layout.code_line_table).cast::<*const u8>().read();
            if table.is_null() {
                return u32::try_from(first_line).unwrap_or(0);
            }
            let size = line_table_bytes(layout, table);
            let bytes = core::slice::from_raw_parts(table.add(layout.bytes_data), size);
            lines::line_of(layout.line_table, bytes, first_line, place.offset, reached).unwrap_or(0)
        }
    }
}
