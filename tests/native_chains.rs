//! Native frames against gdb: a debugger stops before each allocation of known chains of C, C++ and Python code, and the
//! recorded stack names the same functions in the same order, with Python's frames where the interpreter's loop runs.
//!
//! Run with pyenv's interpreters alone: gdb needs their symbols.

use crate::support::compile::shared_library;
use crate::support::installation::{library, program};
use crate::support::interpreters::with_stacks;
use crate::support::report::{Report, Site};
use crate::support::{Interpreter, Traced, for_each};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const OPTIONS: [&str; 4] = ["-O2", "-g", "-fomit-frame-pointer", "-Werror"];

/// What stands for Python frames, and for the interpreter's loop.
const PYTHON: &str = "(python)";

/// A function's name without arguments, parameters and return type of a template, suffixes of the compiler, the prefixes
/// under which libc knows its own functions.
fn plain(name: &str) -> String {
    let name = name.split(['(', '<', '.', '@']).next().unwrap_or(name);
    let name = name.rsplit(' ').next().unwrap_or(name);
    let name = name.strip_prefix("__GI_").unwrap_or(name);
    name.trim_start_matches('_').to_owned()
}

/// Neighbouring Python frames as one, up to the outermost: what is outside of it is not recorded.
fn merged(frames: impl Iterator<Item = Option<String>>) -> Vec<Option<String>> {
    let mut all: Vec<_> = frames.collect();
    all.dedup_by(|one, other| one == other && one.as_deref() == Some(PYTHON));
    let outermost = all
        .iter()
        .rposition(|frame| frame.as_deref() == Some(PYTHON));
    all.truncate(outermost.map_or(0, |at| at + 1));
    all
}

fn of_gdb(names: &[Option<String>]) -> Vec<Option<String>> {
    merged(names.iter().map(|name| {
        let name = name.as_deref()?;
        Some(if name.starts_with("_PyEval_EvalFrameDefault") {
            PYTHON.to_owned()
        } else {
            plain(name)
        })
    }))
}

/// What was recorded from the function on that gdb stopped in: `operator new` is called by that one.
fn of_site(site: &Site) -> Vec<Option<String>> {
    let is_new = |name: &Option<String>| {
        name.as_deref()
            .is_some_and(|name| name.starts_with("operator new"))
    };
    let frames = site.stack.iter().filter(|frame| !frame.inlined);
    merged(frames.skip_while(|frame| is_new(&frame.function)).map(
        |frame| match frame.kind.as_str() {
            "python" => Some(PYTHON.to_owned()),
            _ => frame.function.as_deref().map(plain),
        },
    ))
}

/// Where gdb knows no name, any will do.
fn agree(gdb: &[Option<String>], recorded: &[Option<String>]) -> bool {
    gdb.len() == recorded.len()
        && (gdb.iter().zip(recorded)).all(|(gdb, recorded)| gdb.is_none() || gdb == recorded)
}

fn build(source: &str, name: &str, more: &[&str]) -> PathBuf {
    shared_library(source, name, &[&OPTIONS[..], more].concat())
}

/// Runs one part of the program with these libraries under gdb, and compares as many stacks.
fn check(interpreter: &Interpreter, part: &str, libraries: &[PathBuf], stops: usize) {
    let run = Traced::command("gdb").unset("LD_PRELOAD");
    let stacks = run.folder().join("stacks.json");
    let set = |name: &str, value: &Path| format!("set ${name} = \"{}\"", value.display());
    let outcome = run
        .set("PYTRACE_NATIVE", "full")
        .arguments(["-nx", "-batch", "-ex"])
        .argument(set("library", library()))
        .argument("-ex")
        .argument(set("output", &stacks))
        .argument("-x")
        .argument(program("native_chains_gdb.py"))
        .argument("--args")
        .argument(&interpreter.path)
        .argument("-S")
        .argument(program("native_chains.py"))
        .argument(part)
        .arguments(libraries)
        .run()
        .success();
    let text = std::fs::read_to_string(&stacks)
        .unwrap_or_else(|error| panic!("gdb wrote nothing: {error}\n{}", outcome.stderr));
    let of_size: BTreeMap<u64, Vec<Option<String>>> =
        serde_json::from_str(&text).expect("the gdb script writes JSON");
    assert_eq!(of_size.len(), stops, "allocations at which gdb stopped");
    let report: Report = outcome.report();
    report.assert_exact();
    assert_eq!(report.quality.truncated_stacks, 0, "truncated_stacks");
    let mut wrong = Vec::new();
    for (size, names) in &of_size {
        let expected = of_gdb(names);
        let recorded: Vec<_> = (report.sites().iter())
            .filter(|site| site.domain == "malloc" && site.live_bytes == *size)
            .map(of_site)
            .collect();
        if !matches!(&recorded[..], [one] if agree(&expected, one)) {
            wrong.push(format!(
                "{size}:\n  gdb      {expected:?}\n  recorded {recorded:?}"
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} stacks:\n{}",
        wrong.len(),
        of_size.len(),
        wrong[..wrong.len().min(4)].join("\n")
    );
}

fn with_symbols() -> impl Iterator<Item = &'static Interpreter> {
    with_stacks().filter(|one| one.name.starts_with("pyenv"))
}

#[test]
fn native_stacks_equal_gdbs() {
    let libraries = [
        build("native_chains.c", "native_chains.so", &[]),
        build("native_chains.cpp", "native_chains_cpp.so", &[]),
    ];
    for_each(
        with_symbols(),
        |one| one.name.clone(),
        |interpreter| check(interpreter, "loaded", &libraries, 34),
    );
}

/// Libraries that were closed, each with another in its place later.
pub(crate) fn unloaded_libraries_equal_gdbs() {
    let libraries = [("of_the_first", 64), ("of_the_other", 640)].map(|(name, room)| {
        let defined = [format!("-DNAME={name}"), format!("-DROOM={room}")];
        let defined = defined.each_ref().map(String::as_str);
        build("native_unloaded.c", &format!("native_{name}.so"), &defined)
    });
    for_each(
        with_symbols(),
        |one| one.name.clone(),
        |interpreter| check(interpreter, "unloaded", &libraries, 8),
    );
}
