//! pytrace: the report library and command line.
#![forbid(unsafe_code)]
