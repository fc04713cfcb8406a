//! Options as `PYTRACE_*` variables, and whether the library takes those of the environment.

use std::env;
use std::ffi::{OsStr, OsString};
use std::ops::RangeInclusive;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use clap::ValueEnum;
use pytrace_model::record::Domain;

use super::args::{Children, Mode, Native, RunArguments, means_none, spelling};

/// The options as variables.
pub(crate) fn of_options(arguments: &RunArguments, folder: &Path) -> Vec<(&'static str, OsString)> {
    let mut settings = Vec::new();
    let mut set = |name, value: Option<OsString>| settings.extend(value.map(|value| (name, value)));
    set("PYTRACE_MODE", arguments.mode.map(spelling));
    set("PYTRACE_NATIVE", arguments.native.map(spelling));
    set(
        "PYTRACE_DEPTH",
        arguments.depth.map(|depth| depth.to_string().into()),
    );
    set("PYTRACE_CHILDREN", arguments.children.map(spelling));
    set(
        "PYTRACE_SUMMARY",
        arguments.summary.as_deref().map(|to| summary(to, folder)),
    );
    settings
}

/// A relative path starts here, whatever folder the program changes to.
fn summary(typed: &OsStr, folder: &Path) -> OsString {
    if means_none(typed) || typed == "stderr" || typed.as_bytes().is_empty() {
        return typed.to_os_string();
    }
    folder.join(typed).into_os_string()
}

/// Whether the library refuses a setting of this run. It has said so then, and traced nothing.
pub(crate) fn are_refused(arguments: &RunArguments) -> bool {
    let options = of_options(arguments, Path::new("/"));
    let is_refused = |(name, value): &(OsString, OsString)| {
        let wins = options.iter().find(|(option, _)| name == option);
        let value = wins.map_or(value, |(_, value)| value);
        match (name.to_str(), value.to_str()) {
            (Some(name), Some(value)) => !is_accepted(name, value),
            _ => false,
        }
    };
    env::vars_os().any(|setting| is_refused(&setting))
        || options.iter().any(|(name, value)| {
            value
                .to_str()
                .is_some_and(|value| !is_accepted(name, value))
        })
}

/// Whether the library takes this value of a variable. What it does not read is no matter to it.
fn is_accepted(name: &str, value: &str) -> bool {
    match name {
        "PYTRACE" => ["on", "off"].contains(&value),
        "PYTRACE_SUMMARY" => !value.is_empty(),
        "PYTRACE_TOP" => is_within(value, 0..=1000),
        "PYTRACE_MODE" => is_one_of::<Mode>(value),
        "PYTRACE_NATIVE" => is_one_of::<Native>(value),
        "PYTRACE_DEPTH" => is_within(value, 0..=4096),
        "PYTRACE_DOMAINS" => value
            .split(',')
            .all(|word| Domain::ALL.iter().any(|domain| domain.name() == word)),
        "PYTRACE_CHILDREN" => is_one_of::<Children>(value),
        "PYTRACE_START" => ["on", "paused"].contains(&value),
        "PYTRACE_INTERVAL_MS" => is_within(value, 10..=60_000),
        _ => true,
    }
}

fn is_one_of<T: ValueEnum>(value: &str) -> bool {
    T::from_str(value, false).is_ok()
}

fn is_within(value: &str, accepted: RangeInclusive<u32>) -> bool {
    value.bytes().all(|byte| byte.is_ascii_digit())
        && value.parse().is_ok_and(|number| accepted.contains(&number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_judged_as_the_library_does() {
        for (name, good, bad) in [
            ("PYTRACE", "on", "yes"),
            ("PYTRACE_SUMMARY", "a file", ""),
            ("PYTRACE_TOP", "0", "+1"),
            ("PYTRACE_MODE", "sites", "SITES"),
            ("PYTRACE_NATIVE", "off", "none"),
            ("PYTRACE_DEPTH", "4096", "4097"),
            ("PYTRACE_DOMAINS", "mem,mmap", "mem,"),
            ("PYTRACE_CHILDREN", "none", ""),
            ("PYTRACE_START", "paused", "off"),
            ("PYTRACE_INTERVAL_MS", "10", "9"),
        ] {
            assert!(is_accepted(name, good), "{name}={good}");
            assert!(!is_accepted(name, bad), "{name}={bad}");
        }
        assert!(is_accepted("PYTRACE_MOED", "anything"));
    }
}
