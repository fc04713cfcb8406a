//! Files for speedscope, held against speedscope's own schema: of captures made by hand and of programs, hostile names among both.

use super::Pytrace;
use super::exports::hostile;
use crate::support::Traced;
use crate::support::installation::target;
use crate::support::interpreters::usual;
use pytrace_format::synth::{Synth, with_native_stacks};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Reports, written one by one.
struct Documents {
    folder: tempfile::TempDir,
    paths: Vec<PathBuf>,
}

impl Documents {
    fn add(&mut self, capture: &Path, words: &[&str]) {
        let path = self
            .folder
            .path()
            .join(format!("{}.json", self.paths.len()));
        let answer = Pytrace::new("report")
            .word(capture)
            .words(["--format", "speedscope", "-o"])
            .word(&path)
            .words(words)
            .run();
        assert_eq!(answer.code(), 0, "{}", answer.stderr);
        self.paths.push(path);
    }

    fn add_made(&mut self, synth: &Synth, words: &[&str]) {
        let capture = self.folder.path().join("made.pytrace");
        std::fs::write(&capture, synth.file()).expect("the folder is ours");
        self.add(&capture, words);
    }
}

#[test]
fn files_for_speedscope_are_what_its_schema_says() {
    let schema = target().join("speedscope/file-format-schema.json");
    let python = target().join("test-venv/bin/python");
    let has_jsonschema = Command::new(&python)
        .args(["-c", "import jsonschema"])
        .output();
    if !schema.exists() || !has_jsonschema.is_ok_and(|output| output.status.success()) {
        let (schema, python) = (schema.display(), python.display());
        eprintln!("skipped: {schema} is not there, or {python} lacks jsonschema");
        return;
    }
    let mut documents = Documents {
        folder: tempfile::tempdir().expect("a temporary folder can be made"),
        paths: Vec::new(),
    };
    documents.add_made(&hostile(), &[]);
    documents.add_made(&hostile(), &["--metric", "allocations"]);
    documents.add_made(&with_native_stacks(), &[]);
    // A profile without a sample.
    documents.add_made(&hostile(), &["--filter", "file=nowhere.py"]);
    for native in ["caller", "full"] {
        let outcome = Traced::script(usual(), "hostile_names.py")
            .argument(crate::faults::nameless())
            .set("PYTRACE_NATIVE", native)
            .run()
            .success();
        // Python takes 10 s for all sites. The names are at those that ask for most.
        documents.add(&outcome.capture(), &["--top", "1000"]);
    }
    let program = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/programs/speedscope_schema.py"
    );
    let output = Command::new(&python)
        .arg(program)
        .arg(&schema)
        .args(&documents.paths)
        .output()
        .expect("Python starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert_eq!(printed.lines().count(), documents.paths.len(), "{printed}");
    assert!(printed.contains("\n3.json 0 0\n"), "{printed}");
}
