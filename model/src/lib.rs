//! What a capture means.
#![forbid(unsafe_code)]
