//! A program that opens libpython at run time is traced like an interpreter.

use crate::support::compile::{Product, compiled};
use crate::support::interpreters::known;
use crate::support::marker::{assert_line_is_exact, block_bytes};
use crate::support::{Interpreter, Traced, for_each, installation};
use std::path::PathBuf;

/// The shared libpython of an interpreter that lies in `PREFIX/bin`.
fn shared_library(interpreter: &Interpreter) -> Option<PathBuf> {
    let (major, minor) = interpreter.version;
    let prefix = interpreter.path.parent()?.parent()?;
    let path = prefix.join(format!("lib/libpython{major}.{minor}.so.1.0"));
    path.exists().then_some(path)
}

#[test]
fn a_c_program_that_opens_libpython_is_traced() {
    let program = compiled("embed.c", Product::Executable);
    let mut cells = Vec::new();
    for interpreter in known() {
        for visibility in ["local", "global"] {
            for allocator in ["", "malloc", "debug"] {
                if let Some(library) = shared_library(interpreter) {
                    cells.push((interpreter, library, visibility, allocator));
                }
            }
        }
    }
    assert!(!cells.is_empty(), "no interpreter has a shared libpython");
    for_each(
        cells,
        |(interpreter, _, visibility, allocator)| {
            format!("{} {visibility} {allocator}", interpreter.name)
        },
        |(interpreter, library, visibility, allocator)| {
            let prefix = library
                .parent()
                .and_then(|lib| lib.parent())
                .expect("it lies in PREFIX/lib");
            let mut run = Traced::command(&program)
                .argument(library)
                .argument(visibility)
                .argument(installation::program("marker.py"))
                .set("PYTHONHOME", prefix);
            if !allocator.is_empty() {
                run = run.set("PYTHONMALLOC", allocator);
            }
            let outcome = run.run().success();
            let report = outcome.report();
            report.assert_exact();
            assert_line_is_exact(&report, block_bytes(&outcome));
            let (major, minor) = interpreter.version;
            assert!(
                report
                    .process
                    .python_version
                    .starts_with(&format!("{major}.{minor}.")),
                "python_version {:?}",
                report.process.python_version
            );
            assert_eq!(
                report.process.executable,
                program.to_str().expect("a plain name")
            );
        },
    );
}

/// An interpreter that is ended and started again in the same process, several times.
#[test]
fn an_interpreter_that_is_started_again() {
    let program = compiled("embed.c", Product::Executable);
    let cells = known()
        .iter()
        .filter_map(|python| Some((python, shared_library(python)?)));
    for_each(
        cells,
        |(python, _)| python.name.clone(),
        |(_, library)| {
            let prefix = library.ancestors().nth(2).expect("it lies in PREFIX/lib");
            let run = || {
                Traced::command(&program)
                    .arguments([library.as_os_str(), "local".as_ref()])
                    .argument(installation::program("marker.py"))
                    .argument("3")
                    .set("PYTHONHOME", prefix)
            };
            let plain = run().untraced().run().success();
            let outcome = run().run().success();
            assert_eq!(outcome.stdout, plain.stdout);
            let report = outcome.report();
            assert_eq!(report.process.ended, "exit");
            report.assert_exact();
        },
    );
}
