//! Why a record was not taken into the model.

use core::fmt;

/// A record that contradicts the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModelError {
    /// A record refers to a row that no earlier record made.
    UnknownRow {
        /// The table: `string`, `module`, `frame`, `stack` or `site`.
        table: &'static str,
        /// The row asked for.
        row: u32,
        /// Rows that the table has.
        rows: usize,
    },
    /// A table has more rows than handles can number.
    TableFull {
        /// The table.
        table: &'static str,
    },
}

impl fmt::Display for ModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ModelError::UnknownRow { table, row, rows } => write!(
                f,
                "a record refers to row {row} of the {table} table, which has {rows} rows at that point"
            ),
            ModelError::TableFull { table } => {
                write!(
                    f,
                    "the {table} table has more rows than its handles can number"
                )
            }
        }
    }
}

impl core::error::Error for ModelError {}
