//! What a capture means: its records gathered into tables.
//!
//! The model is filled record by record ([`Model::apply`]) and knows nothing of files: the command line feeds it from a
//! capture, the preload library from the very records that it writes.
#![forbid(unsafe_code)]

mod error;
mod tables;

pub use error::ModelError;
pub use tables::{Model, StackFrames};

pub use pytrace_format::{ids, record};
