//! What the hooks do, as bits that each of them tests.

/// Births are recorded.
pub(crate) const BIRTHS: u8 = 1;
/// Deaths and resizes are recorded.
pub(crate) const DEATHS: u8 = 2;
/// Stacks are read; the end of the program is watched for.
pub(crate) const STACKS: u8 = 4;

/// Beside the others: something is to be done by a mem or object hook (the background thread is to be started).
pub(crate) const ATTENTION: u8 = 8;

/// Beside the others, from the start: threads count calls and record no events.
pub(crate) const COUNTS: u8 = 16;

/// Nothing is recorded: calls are passed on.
pub(crate) const OFF: u8 = 0;
/// Everything is recorded.
pub(crate) const RECORDING: u8 = BIRTHS | DEATHS | STACKS;
/// Everything is counted.
pub(crate) const COUNTING: u8 = RECORDING | COUNTS;
/// Only what ends known blocks.
pub(crate) const PAUSED: u8 = DEATHS | STACKS;
/// The interpreter tears down: counted, without stacks.
pub(crate) const TEAR_DOWN: u8 = BIRTHS | DEATHS;

/// Bits that say nothing about what is recorded.
pub(super) const FLAGS: u8 = ATTENTION | COUNTS;
