//! pytrace: from a program to its capture, and from a capture to a report.
//!
//! ```text
//! launch    a program under the preload library      capture   a file, read into a Model
//! merge     captures of several processes, as one  check     limits that a capture has to hold
//! symbols   names of native frames, found offline    analysis  pure: Model → rows
//! report    Model and rows → text, JSON              doctor    can an interpreter be traced here
//! diff      what changed between captures          amount    sizes and shares as people type them
//! error     what can go wrong
//! ```
//!
//! Invariant: nothing here prints or exits; the `pytrace` program (`main.rs`, `cli/`) does.
#![forbid(unsafe_code)]

pub mod amount;
pub mod analysis;
pub mod capture;
pub mod check;
pub mod diff;
pub mod doctor;
pub mod error;
pub mod launch;
pub mod merge;
pub mod report;
pub mod symbols;
