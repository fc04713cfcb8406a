//! Pure functions from a model to the rows of a report.

mod filter;
mod metric;
mod module_name;
mod rows;

pub use filter::{Filter, Remainder};
pub use metric::Metric;
pub use module_name::module_name;
pub use rows::{Grouping, Row, RowKey, Subject, rows};
