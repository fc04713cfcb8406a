//! The capture format of pytrace.
#![forbid(unsafe_code)]

pub mod ids;
pub mod record;
