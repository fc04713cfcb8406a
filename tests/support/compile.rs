//! Compiles the C programs of `tests/programs/`, each once per run.

use super::installation::{program, target};
use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{LazyLock, Mutex};

/// What becomes of a C file.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Product {
    Executable,
    Library,
}

static DONE: LazyLock<Mutex<HashMap<(String, Product), PathBuf>>> = LazyLock::new(Mutex::default);

/// The compiled form of a C file of `tests/programs/`. Every function keeps a frame and a return address of its own, so
/// that the C caller of an allocation is the function that the source says.
pub(crate) fn compiled(source: &str, product: Product) -> PathBuf {
    let mut done = DONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    done.entry((source.to_owned(), product))
        .or_insert_with(|| compile(source, product))
        .clone()
}

fn compile(source: &str, product: Product) -> PathBuf {
    let folder = target().join("test-programs");
    std::fs::create_dir_all(&folder).expect("the build folder can be written");
    let stem = source.trim_end_matches(".c");
    let (output, options): (_, &[&str]) = match product {
        Product::Executable => (folder.join(stem), &[]),
        Product::Library => (folder.join(format!("{stem}.so")), &["-shared", "-fPIC"]),
    };
    let mut command = Command::new("cc");
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
        .arg(&output)
        .arg("-ldl");
    let result = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        result.status.success(),
        "{command:?}:\n{}",
        String::from_utf8_lossy(&result.stderr)
    );
    output
}

/// A C or C++ file of `tests/programs/` as a shared library of this name, with these options.
pub(crate) fn shared_library(source: &str, name: &str, options: &[&str]) -> PathBuf {
    let folder = target().join("test-programs");
    std::fs::create_dir_all(&folder).expect("the build folder can be written");
    let output = folder.join(name);
    let compiler = if source.ends_with(".cpp") {
        "c++"
    } else {
        "cc"
    };
    let mut command = Command::new(compiler);
    command
        .args(["-shared", "-fPIC", "-Wall"])
        .args(options)
        .arg(program(source))
        .arg("-o")
        .arg(&output);
    let result = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        result.status.success(),
        "{command:?}:\n{}",
        String::from_utf8_lossy(&result.stderr)
    );
    output
}

/// A Rust file of `tests/programs/` as a shared library.
pub(crate) fn rust_library(source: &str) -> PathBuf {
    let folder = target().join("test-programs");
    std::fs::create_dir_all(&folder).expect("the build folder can be written");
    let output = folder.join(source.replace(".rs", "_rust.so"));
    let mut command = Command::new("rustc");
    command
        .args(["--edition=2024", "--crate-type=cdylib", "-Copt-level=1"])
        .arg(program(source))
        .arg("-o")
        .arg(&output);
    let result = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        result.status.success(),
        "{command:?}:\n{}",
        String::from_utf8_lossy(&result.stderr)
    );
    output
}
