//! What a capture means: its records gathered into tables, and the summary drawn from them.
//!
//! The model is filled record by record ([`Model::apply`]) and knows nothing of files: the command line feeds it from a
//! capture, the preload library from the very records that it writes. What people read is drawn here too ([`summary`],
//! [`text`]), so that the exit summary and the text report are one.
#![forbid(unsafe_code)]

mod error;
pub mod group;
pub mod label;
pub mod listed;
mod native;
pub mod origin;
pub mod sizes;
pub mod summary;
mod tables;
pub mod text;
pub mod union;

pub use error::ModelError;
pub use native::NativeCode;
pub use tables::{Model, StackFrames};

pub use pytrace_format::{ids, record};
