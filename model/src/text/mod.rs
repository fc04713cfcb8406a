//! Text for people: numbers, names that are safe to print, columns.
//!
//! Small and without dependencies but one, since the traced process formats its exit summary with it.

mod escape;
mod fit;
mod number;
mod table;

pub use escape::{escape_name, is_printed, shell_word};
pub use fit::{columns, cut_end, cut_start};
pub use number::{compact_count, count, duration, percent, size, whole_size};
pub use table::{Align, Column, Table};
