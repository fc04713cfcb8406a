//! Whether an interpreter can be traced here, and what would be recorded.
//!
//! [`probe`] runs the interpreter, this module judges what it left. Nothing is assumed about the program that is called an
//! interpreter: it may be a shell, loop for ever, or not exist.

mod checks;
mod evidence;
pub mod probe;
pub mod settings;

pub use checks::{Check, Checkup, Verdict};
