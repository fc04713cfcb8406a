//! `pytrace report` on native stacks: names, lines and inlined functions from real files, and stacks of every shape.

use super::report::{counters, json_of, report};
use object::Object;
use pytrace_format::ids::{FrameId, ModuleId, SiteId, StackId, StringId};
use pytrace_format::record::{
    Domain, Frame, Module, NativeName, Record, Site, SiteCounters, Stack,
};
use pytrace_format::synth::{Synth, with_native_stacks};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A program with inlined functions, compiled in a folder of its own.
struct Inlined {
    folder: TempDir,
    program: PathBuf,
    /// Return address of the call in the innermost one.
    address: u64,
}

fn run(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}:\n{stderr}");
    String::from_utf8(output.stdout).unwrap()
}

impl Inlined {
    fn compiled(options: &[&str]) -> Inlined {
        let folder = TempDir::new().unwrap();
        let program = folder.path().join("inlined");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/inlined.c");
        std::fs::copy(source, folder.path().join("inlined.c")).unwrap();
        let mut cc = Command::new("cc");
        cc.current_dir(folder.path());
        run(cc
            .args([
                "-O1",
                "-g",
                "-Wall",
                "-Werror",
                "inlined.c",
                "-o",
                "inlined",
            ])
            .args(options));
        let address = run(&mut Command::new(&program)).trim().parse().unwrap();
        Inlined {
            folder,
            program,
            address,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn objcopy(&self, words: &[&str]) {
        let mut objcopy = Command::new("objcopy");
        run(objcopy.current_dir(self.folder.path()).args(words));
    }

    /// Moves what a debugger needs to another file, which the program names.
    fn split(&self) {
        self.objcopy(&["--only-keep-debug", "inlined", "inlined.debug"]);
        self.objcopy(&[
            "--strip-all",
            "--add-gnu-debuglink=inlined.debug",
            "inlined",
        ]);
    }

    fn build_id(&self) -> Vec<u8> {
        let file = std::fs::read(&self.program).unwrap();
        let elf = object::File::parse(&*file).unwrap();
        elf.build_id().unwrap().unwrap_or_default().to_vec()
    }

    /// A capture of one site: the call in the program, named by the traced process when `name` is not empty.
    fn capture(&self, build_id: &[u8], name: &str) -> Synth {
        let mut synth = Synth::new();
        let module = synth.module(self.program.to_str().unwrap(), build_id);
        let call = synth.native_in(module, self.address, name);
        let line = synth.python("main", "app.py", 7);
        let stack = synth.stack(&[call, line]);
        synth.site(Domain::Malloc, stack, counters(1, 10));
        synth
    }

    /// The native entries of that site: function, line, whether it was inlined.
    fn entries(&self, name: &str) -> Vec<(Value, Value, bool)> {
        let found = json_of(&self.capture(&self.build_id(), name), &[]);
        let stack = found["sites"][0]["stack"].as_array().unwrap();
        let (python, native) = stack.split_last().unwrap();
        assert_eq!(python["function"], "main");
        let entries = native.iter().map(|entry| {
            assert_eq!(entry["kind"], "native");
            assert_eq!(entry["module"], self.program.to_str().unwrap());
            assert_eq!(entry["address"], self.address);
            if !entry["line"].is_null() {
                assert!(entry["file"].as_str().unwrap().ends_with("/inlined.c"));
            }
            let is_inlined = entry.get("inlined").is_some_and(|inlined| inlined == true);
            (entry["function"].clone(), entry["line"].clone(), is_inlined)
        });
        entries.collect()
    }
}

fn all_three() -> Vec<(Value, Value, bool)> {
    vec![
        (json!("inner"), json!(15), true),
        (json!("middle"), json!(22), true),
        (json!("outer"), json!(27), false),
    ]
}

#[test]
fn inlined_functions_have_an_entry_each() {
    let program = Inlined::compiled(&[]);
    assert_eq!(program.entries(""), all_three());
    // What the process found itself is less.
    assert_eq!(program.entries("outer"), all_three());
    let text = report(&program.capture(&program.build_id(), "").file(), &[]).stdout;
    let lines: Vec<_> = text
        .lines()
        .filter(|line| line.contains("inlined.c:"))
        .map(|line| line.trim().split_once("  ").unwrap())
        .map(|(function, place)| (function, place.rsplit('/').next().unwrap()))
        .collect();
    assert_eq!(
        lines,
        [
            ("inner (inlined, inlined)", "inlined.c:15"),
            ("middle (inlined, inlined)", "inlined.c:22"),
            ("outer (inlined)", "inlined.c:27"),
        ],
        "{text}"
    );
}

#[test]
fn without_debug_information_the_function_that_holds_the_code_is_named() {
    let program = Inlined::compiled(&[]);
    program.objcopy(&["--strip-debug", "inlined"]);
    assert_eq!(program.entries(""), [(json!("outer"), Value::Null, false)]);
    program.objcopy(&["--strip-all", "inlined"]);
    assert_eq!(program.entries(""), [(Value::Null, Value::Null, false)]);
    let kept = [(json!("by_process"), Value::Null, false)];
    assert_eq!(program.entries("by_process"), kept);
}

#[test]
fn debug_files_are_found_by_link_and_believed_by_build_id() {
    let program = Inlined::compiled(&["-Wl,--build-id"]);
    program.split();
    assert_eq!(program.entries(""), all_three());
    std::fs::create_dir(program.path(".debug")).unwrap();
    std::fs::rename(
        program.path("inlined.debug"),
        program.path(".debug/inlined.debug"),
    )
    .unwrap();
    assert_eq!(program.entries(""), all_three());

    let other = Inlined::compiled(&["-Wl,--build-id", "-O2"]);
    other.split();
    std::fs::copy(
        other.path("inlined.debug"),
        program.path(".debug/inlined.debug"),
    )
    .unwrap();
    assert_eq!(program.entries(""), [(Value::Null, Value::Null, false)]);
}

#[test]
fn debug_files_without_a_build_id_are_believed_by_checksum() {
    let program = Inlined::compiled(&["-Wl,--build-id=none"]);
    assert!(program.build_id().is_empty());
    program.split();
    assert_eq!(program.entries(""), all_three());
    let mut debug_file = std::fs::read(program.path("inlined.debug")).unwrap();
    debug_file.push(0);
    std::fs::write(program.path("inlined.debug"), debug_file).unwrap();
    assert_eq!(program.entries(""), [(Value::Null, Value::Null, false)]);
}

#[test]
fn a_changed_library_is_said_so_wherever_the_report_is_read() {
    let program = Inlined::compiled(&[]);
    for (name, missing) in [("", "no names"), ("outer", "no source lines")] {
        let capture = program.capture(b"another build", name);
        let note = format!(
            "{missing} for a frame in '{}': the file has changed since the capture",
            program.program.display()
        );
        let answer = report(&capture.file(), &["--format", "json"]);
        assert_eq!(answer.only_line(), note);
        let found: Value = serde_json::from_str(&answer.stdout).unwrap();
        assert_eq!(found["quality"]["notes"], json!([note]));
        let entry = &found["sites"][0]["stack"][0];
        assert_eq!(entry["function"].as_str().unwrap_or_default(), name);
        assert_eq!(entry["line"], Value::Null);

        let answer = report(&capture.file(), &[]);
        assert_eq!(answer.only_line(), note);
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words(&answer.stdout).ends_with(&words(&note)));
    }
}

#[test]
fn a_library_that_is_not_here_is_missed_only_where_names_are() {
    for (name, notes) in [("", 1), ("outer", 0)] {
        let program = Inlined::compiled(&[]);
        let capture = program.capture(&program.build_id(), name);
        std::fs::remove_file(&program.program).unwrap();
        let found = json_of(&capture, &[]);
        let found = found["quality"]["notes"].as_array().unwrap();
        assert_eq!(found.len(), notes, "{found:?}");
    }
}

#[test]
fn two_files_of_one_path_are_two_libraries() {
    let program = Inlined::compiled(&[]);
    let mut synth = Synth::new();
    let path = program.program.to_str().unwrap();
    for build_id in [program.build_id(), b"before".to_vec(), b"after".to_vec()] {
        let module = synth.module(path, &build_id);
        let call = synth.native_in(module, program.address, "");
        let stack = synth.stack(&[call]);
        synth.site(Domain::Malloc, stack, counters(1, 10));
    }
    let answer = report(&synth.file(), &["--format", "json"]);
    assert_eq!(answer.stderr.matches("has changed").count(), 2);
    let found: Value = serde_json::from_str(&answer.stdout).unwrap();
    let sites = found["sites"].as_array().unwrap();
    let entries: Vec<_> = sites
        .iter()
        .map(|site| site["stack"].as_array().unwrap().len())
        .collect();
    assert_eq!(entries, [3, 1, 1]);
}

#[test]
fn files_that_are_no_libraries_are_not_read() {
    for path in [
        "/dev/zero",
        "/proc/self/mem",
        "/",
        "relative",
        "/etc/passwd",
    ] {
        let mut synth = Synth::new();
        let call = synth.native(path, 0x1000, "");
        let stack = synth.stack(&[call]);
        synth.site(Domain::Malloc, stack, counters(1, 10));
        let answer = report(&synth.file(), &["--format", "json"]);
        assert_eq!(answer.code(), 0);
        let line = answer.only_line();
        assert!(line.starts_with(&format!("no names for a frame in '{path}': ")));
    }
}

#[test]
fn any_damage_to_a_library_is_survived() {
    let program = Inlined::compiled(&["-Wl,--build-id=none"]);
    let whole = std::fs::read(&program.program).unwrap();
    let capture = program.capture(&[], "").file();
    for step in 0..60 {
        let mut damaged = whole.clone();
        // Sections, symbols and debug information are in the later part of the file.
        let at = whole.len() - 1 - step * whole.len() / 90;
        damaged[at..]
            .iter_mut()
            .take(64)
            .for_each(|byte| *byte ^= 0xa5);
        if step % 3 == 0 {
            damaged.truncate(at);
        }
        std::fs::write(&program.program, damaged).unwrap();
        let answer = report(&capture, &[]);
        assert_eq!(answer.code(), 0, "{}", answer.stderr);
        assert!(!answer.stderr.contains("panicked"), "{}", answer.stderr);
    }
}

#[test]
fn whole_stacks_are_written_as_they_are() {
    let answer = report(&with_native_stacks().file(), &[]);
    let expected = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/expected/native.txt");
    let (_, lists) = answer.stdout.split_once("lines of the program").unwrap();
    // A run of hundreds of frames is one line here.
    let mut lines: Vec<&str> = lists.lines().collect();
    let is_visit = |line: &str| line.trim().starts_with("visit_");
    lines.dedup_by(|next, line| is_visit(next) && is_visit(line));
    let found = lines.join("\n") + "\n";
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(&expected, &found).unwrap();
    }
    let expected = std::fs::read_to_string(expected).unwrap_or_default();
    assert!(
        found == expected,
        "the text has changed; it is now:\n{found}"
    );
    assert_eq!(answer.stdout.matches("        visit_").count(), 600);
}

#[test]
fn native_frames_are_not_in_the_way_of_python_ones() {
    let found = json_of(&with_native_stacks(), &["--by", "line"]);
    let groups = found["groups"].as_array().unwrap();
    let of = |line: u64, file: &str| {
        let is_it = |group: &&Value| group["line"] == line && group["file"] == file;
        let group = groups.iter().find(is_it).unwrap();
        group["allocations"].as_u64().unwrap()
    };
    assert_eq!(of(12, "/home/ann/rank.py"), 900);
    assert_eq!(of(14, "/home/ann/rank.py"), 1 + 2 + 7);
    assert_eq!(of(5, "/home/ann/scores.py"), 11);
    let without_python = groups.iter().filter(|group| group["line"].is_null());
    assert_eq!(without_python.count(), 3, "{groups:?}");
}

#[test]
fn names_in_libraries_steer_no_terminal() {
    let mut synth = Synth::new();
    let evil = "f\u{1b}]0;title\u{7}\n\u{202e}";
    let call = synth.native(&format!("/no/{evil}.so"), u64::MAX, evil);
    let file = synth.string(&format!("/src/{evil}/{evil}.c"));
    for record in synth.records().to_vec() {
        if let Record::NativeName(name) = record {
            let (file, line) = (file, u32::MAX);
            synth.record(Record::NativeName(NativeName { file, line, ..name }));
        }
    }
    let stack = synth.stack(&[call]);
    synth.site(Domain::Malloc, stack, counters(1, 10));
    let text = report(&synth.file(), &[]).stdout;
    let is_calm = |character: char| character == '\n' || !character.is_control();
    assert!(text.chars().all(is_calm) && !text.contains('\u{202e}'));
    assert!(text.contains("f\\x1b]0;title"), "{text}");
    assert!(text.contains(".c:4294967295"), "{text}");
}

#[test]
fn a_stack_of_a_hundred_thousand_frames_is_reported() {
    let mut records = vec![
        Record::String("/no/such/lib.so".into()),
        Record::String("f".into()),
        Record::Module(Module {
            path: StringId(1),
            build_id: Vec::new(),
        }),
    ];
    let frames = 1_000;
    for number in 0..frames {
        records.push(Record::Frame(if number % 10 == 9 {
            Frame::Python {
                function: StringId(2),
                file: StringId(2),
                line: number,
            }
        } else {
            Frame::Native {
                module: ModuleId(1),
                address: u64::from(number),
            }
        }));
    }
    let depth = 100_000;
    for number in 0..depth {
        records.push(Record::Stack(Stack {
            parent: StackId(number),
            frame: FrameId(number % frames + 1),
        }));
    }
    let mut synth = Synth::new();
    records.into_iter().for_each(|record| synth.record(record));
    synth.record(Record::Site(Site {
        domain: Domain::Mem,
        stack: StackId(depth),
    }));
    synth.record(Record::SiteCounters(SiteCounters {
        site: SiteId(1),
        counters: counters(1, 10),
    }));
    let found = json_of(&synth, &[]);
    let stack = found["sites"][0]["stack"].as_array().unwrap();
    assert_eq!(stack.len(), depth as usize);
    let text = report(&synth.file(), &[]).stdout;
    assert!(text.lines().count() > depth as usize);
}
