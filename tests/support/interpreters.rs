//! The interpreters of this machine, as `scripts/pythons --list` finds them.

use super::installation::{project, target};
use super::scale;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// One interpreter.
#[derive(Clone, Debug)]
pub(crate) struct Interpreter {
    /// Where it comes from and its version, for instance `pyenv-3.8.18`.
    pub(crate) name: String,
    /// The executable.
    pub(crate) path: PathBuf,
    /// Major and minor version.
    pub(crate) version: (u32, u32),
    /// Whether it is a free-threaded build.
    pub(crate) free_threaded: bool,
}

impl Interpreter {
    /// Whether pytrace reads its Python stacks.
    pub(crate) fn has_stacks(&self) -> bool {
        !self.free_threaded
    }

    /// The values of PYTHONMALLOC that it starts with.
    pub(crate) fn allocators(&self) -> Vec<&'static str> {
        if self.free_threaded {
            return vec!["debug", "mimalloc", "mimalloc_debug"];
        }
        let mut all = vec![
            "malloc",
            "debug",
            "malloc_debug",
            "pymalloc",
            "pymalloc_debug",
        ];
        if self.version >= (3, 13) {
            all.extend(["mimalloc", "mimalloc_debug"]);
        }
        all
    }
}

/// Every CPython from 3.8 on.
pub(crate) fn known() -> &'static [Interpreter] {
    static ALL: OnceLock<Vec<Interpreter>> = OnceLock::new();
    ALL.get_or_init(|| list("--list"))
}

/// One of each version and kind, all in a soak: what does not depend on how an interpreter was built need not run on each.
pub(crate) fn one_per_version() -> impl Iterator<Item = &'static Interpreter> {
    let kind = |one: &Interpreter| (one.version, one.free_threaded);
    known().iter().enumerate().filter_map(move |(at, one)| {
        let is_last = !known()[at + 1..]
            .iter()
            .any(|other| kind(other) == kind(one));
        (is_last || scale::is_full()).then_some(one)
    })
}

/// Those whose frames can be read.
pub(crate) fn with_stacks() -> impl Iterator<Item = &'static Interpreter> {
    known()
        .iter()
        .filter(|interpreter| interpreter.has_stacks())
}

/// Those that a costly test takes: all whose frames can be read in the soak, else the usual one and the newest.
pub(crate) fn few() -> Vec<&'static Interpreter> {
    let newest = with_stacks().max_by_key(|one| one.version);
    let is_chosen = |one: &&Interpreter| {
        scale::is_full()
            || one.name == usual().name
            || newest.is_some_and(|newest| newest.name == one.name)
    };
    with_stacks().filter(is_chosen).collect()
}

/// CPythons before 3.8: counted, without Python stacks.
pub(crate) fn unknown() -> Vec<Interpreter> {
    list("--list-unknown")
}

/// The one that tests use when any will do: pyenv's 3.11, else Debian's, else the newest.
pub(crate) fn usual() -> &'static Interpreter {
    let of_3_11 = || known().iter().filter(|one| one.version == (3, 11));
    of_3_11()
        .find(|one| one.name.starts_with("pyenv"))
        .or_else(|| of_3_11().next())
        .or_else(|| with_stacks().last())
        .expect("known() is never empty")
}

/// The interpreter of the virtual environment that holds numpy, pandas and lxml (`scripts/test` makes it).
pub(crate) fn with_packages() -> Interpreter {
    let path = target().join("test-venv/bin/python");
    assert!(
        path.exists(),
        "{} is missing: scripts/test makes it",
        path.display()
    );
    describe("test-venv", path)
}

/// An interpreter with the packages of `tests/neighbours/requirements.txt`, which are installed when they are not there.
pub(crate) fn with_neighbours() -> Interpreter {
    let folder = target().join("neighbours-venv");
    let wanted = project().join("tests/neighbours/requirements.txt");
    let installed = folder.join("requirements.txt");
    if std::fs::read(&installed).ok() != std::fs::read(&wanted).ok() {
        let run = |command: &mut Command| {
            let status = command
                .status()
                .unwrap_or_else(|error| panic!("{command:?}: {error}"));
            assert!(status.success(), "{command:?}: {status}");
        };
        let newest =
            with_stacks().filter(|one| one.name.starts_with("pyenv") && one.version <= (3, 12));
        let python = newest.last().unwrap_or(usual());
        run(Command::new(&python.path).args(["-m", "venv"]).arg(&folder));
        run(Command::new(folder.join("bin/python"))
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "-r",
            ])
            .arg(&wanted));
        std::fs::copy(&wanted, &installed).expect("the folder was just made");
    }
    describe("neighbours-venv", folder.join("bin/python"))
}

fn list(option: &str) -> Vec<Interpreter> {
    let output = Command::new(project().join("scripts/pythons"))
        .arg(option)
        .output()
        .expect("scripts/pythons starts");
    assert!(
        output.status.success(),
        "scripts/pythons {option}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let found: Vec<_> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .map(|(name, path)| describe(name, PathBuf::from(path)))
        .collect();
    assert!(
        !found.is_empty() || option != "--list",
        "no CPython was found: run scripts/pythons"
    );
    found
}

fn describe(name: &str, path: PathBuf) -> Interpreter {
    let question = "import sys, sysconfig; print('%d %d' % sys.version_info[:2], \
                    int(bool(sysconfig.get_config_var('Py_GIL_DISABLED'))))";
    let output = Command::new(&path)
        .args(["-c", question])
        .env_remove("LD_PRELOAD")
        .output()
        .unwrap_or_else(|error| panic!("{name}: {} does not start: {error}", path.display()));
    let answer = String::from_utf8_lossy(&output.stdout).replace(['(', ')', ',', '\''], "");
    let numbers: Vec<u32> = answer
        .split_whitespace()
        .map(|word| {
            word.parse()
                .unwrap_or_else(|_| panic!("{name}: {answer:?}"))
        })
        .collect();
    let [major, minor, free_threaded] = numbers[..] else {
        panic!("{name}: {answer:?}");
    };
    Interpreter {
        name: name.to_owned(),
        path,
        version: (major, minor),
        free_threaded: free_threaded != 0,
    }
}
