//! Compiles the programs of `tests/programs/`, each once per run: what another test has loaded must not change.

use super::installation::{program, target};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, Mutex};

/// What becomes of a C or C++ file.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Product {
    Executable,
    Library,
}

static MADE: LazyLock<Mutex<HashSet<PathBuf>>> = LazyLock::new(Mutex::default);

/// A file of the build folder, made by a compiler's command that `command` gives for its path.
fn made_once(name: &str, command: impl FnOnce(&Path) -> Command) -> PathBuf {
    let folder = target().join("test-programs");
    let output = folder.join(name);
    let mut made = MADE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if made.contains(&output) {
        return output;
    }
    std::fs::create_dir_all(&folder).expect("the build folder can be written");
    let mut command = command(&output);
    let result = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        result.status.success(),
        "{command:?}:\n{}",
        String::from_utf8_lossy(&result.stderr)
    );
    made.insert(output.clone());
    output
}

/// The compiler of a C or C++ file.
fn compiler(source: &str) -> Command {
    Command::new(if source.ends_with(".cpp") {
        "c++"
    } else {
        "cc"
    })
}

/// The compiled form of a C or C++ file of `tests/programs/`. Every function keeps a frame and a return address of its own, so
/// that the C caller of an allocation is the function that the source says.
pub(crate) fn compiled(source: &str, product: Product) -> PathBuf {
    let stem = source.trim_end_matches(".c").trim_end_matches(".cpp");
    let (name, options): (_, &[&str]) = match product {
        Product::Executable => (stem.to_owned(), &[]),
        Product::Library => (format!("{stem}.so"), &["-shared", "-fPIC"]),
    };
    made_once(&name, |output| {
        let mut command = compiler(source);
        command
            .args([
                "-O1",
                "-g",
                "-fno-optimize-sibling-calls",
                "-fno-builtin",
                "-Wall",
                "-Werror",
                "-pthread",
            ])
            .args(options)
            .arg(program(source))
            .arg("-o")
            .arg(output)
            .arg("-ldl");
        command
    })
}

/// A C or C++ file of `tests/programs/` as a shared library of this name with these options; a name is given to one library
/// only.
pub(crate) fn shared_library(source: &str, name: &str, options: &[&str]) -> PathBuf {
    made_once(name, |output| {
        let mut command = compiler(source);
        command
            .args(["-shared", "-fPIC", "-Wall"])
            .args(options)
            .arg(program(source))
            .arg("-o")
            .arg(output);
        command
    })
}

/// A Rust file of `tests/programs/` as a shared library.
pub(crate) fn rust_library(source: &str) -> PathBuf {
    made_once(&source.replace(".rs", "_rust.so"), |output| {
        let mut command = Command::new("rustc");
        command
            .args(["--edition=2024", "--crate-type=cdylib", "-Copt-level=1"])
            .arg(program(source))
            .arg("-o")
            .arg(output);
        command
    })
}
