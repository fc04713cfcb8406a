//! The `pytrace` command.
fn main() {}
