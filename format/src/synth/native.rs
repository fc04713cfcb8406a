//! A capture with whole native stacks (`native=full`): C that calls back into Python, an import, a library's own thread, the
//! interpreter's start. The numbers are invented.

use super::Synth;
use crate::ids::FrameId;
use crate::record::{Counters, Domain, End, Ended, Native, Process, Quality, Record, Settings};

const PYTHON: &str = "/usr/lib/x86_64-linux-gnu/libpython3.12.so.1.0";
const EXECUTABLE: &str = "/home/ann/.venv/bin/python3.12";
const LIBC: &str = "/lib/x86_64-linux-gnu/libc.so.6";
const POOL: &str = "/home/ann/.venv/lib/python3.12/site-packages/pool/_pool.abi3.so";
const BOOTSTRAP: &str = "<frozen importlib._bootstrap>";

/// Native frames below a Python frame in the deepest of the stacks.
const DEEP: u64 = 300;

/// The capture. No frame has a line, as the traced process tells none.
pub fn with_native_stacks() -> Synth {
    let mut synth = Synth::new();
    synth.record(Record::Process(Process {
        pid: 5_512,
        program: "rank.py".into(),
        executable: EXECUTABLE.into(),
        python_version: "3.12.1".into(),
        ..Process::default()
    }));
    synth.record(Record::Settings(Settings {
        native: Native::Full,
        domains: Domain::ALL.to_vec(),
        interval_ms: 100,
        ..Settings::default()
    }));
    sites(&mut synth);
    synth.scopes_from_sites();
    synth.record(Record::Quality(Quality {
        events: 2_000,
        own_cpu_ns: 4_000_000,
        own_memory_bytes: 9_000_000,
        ..Quality::default()
    }));
    synth.record(Record::End(End {
        ended: Ended::Exit,
        at_ns: 412_000_000,
    }));
    synth
}

fn sites(synth: &mut Synth) {
    let main = synth.python("<module>", "/home/ann/rank.py", 21);
    let rank = synth.python("rank", "/home/ann/rank.py", 14);
    let key = synth.python("rank.<locals>.key", "/home/ann/rank.py", 12);
    let importer = synth.python("<module>", "/home/ann/rank.py", 2);
    let own_module = synth.python("<module>", "/home/ann/scores.py", 5);
    let machinery = [1176, 690].map(|line| synth.python("_load", BOOTSTRAP, line));

    let python = |synth: &mut Synth, functions: &[&str]| -> Vec<FrameId> {
        let frames = functions.iter().map(|name| {
            let letters = name.bytes().map(u64::from);
            let address = letters.fold(0, |sum, letter| (sum * 31 + letter) % 0x10_0000);
            synth.native(PYTHON, 0x10_0000 + address, name)
        });
        frames.collect()
    };
    let new_float = python(
        synth,
        &["_PyObject_Malloc", "PyFloat_FromDouble", "float_mul"],
    );
    let sort = python(
        synth,
        &[
            "list_sort_impl",
            "PyObject_VectorcallMethod",
            "builtin_sorted",
        ],
    );
    let import = python(synth, &["PyImport_ImportModuleLevelObject"]);
    let exec = python(synth, &["PyEval_EvalCode", "builtin_exec"]);
    let start = python(
        synth,
        &["PyConfig_Read", "Py_InitializeFromConfig", "Py_RunMain"],
    );
    let duplicate = synth.native(LIBC, 0x8_e5ca, "strdup");
    let begin = synth.native(EXECUTABLE, 0x40_1046, "");
    let worker = [
        synth.native(POOL, 0x1_2350, ""),
        synth.native(
            POOL,
            0x1_0bb4,
            "<pool::Worker as core::ops::FnOnce>::call_once",
        ),
        synth.native(LIBC, 0x8_9134, "start_thread"),
    ];
    let in_no_module = synth.native("", 0x7f00_dead_beef, "");
    let deep: Vec<_> = (0..DEEP)
        .map(|number| synth.native(POOL, 0x2_0000 + number * 16, &format!("visit_{number}")))
        .collect();

    let mut site = |domain, parts: &[&[FrameId]], number: u64, size: u64| {
        let stack = synth.stack(&parts.concat());
        let counters = Counters {
            allocations: number,
            frees: number,
            requested_bytes: number * size,
            served_bytes: number * size.next_multiple_of(16),
            temporary_allocations: number / 2,
            peak_bytes: size,
            ..Counters::default()
        };
        synth.site(domain, stack, counters);
    };
    let called_back: &[&[FrameId]] = &[&new_float, &[key], &sort, &[rank, main]];
    site(Domain::Object, called_back, 900, 24);
    site(Domain::Mem, &[&sort, &[rank, main]], 1, 7_200);
    let imported: &[&[FrameId]] = &[
        &new_float,
        &[own_module],
        &exec,
        &[machinery[0]],
        &exec,
        &[machinery[1]],
        &import,
        &[importer],
    ];
    site(Domain::Object, imported, 11, 24);
    site(Domain::Object, &imported[3..], 40, 120);
    site(Domain::Malloc, &[&[duplicate], &start, &[begin]], 3, 17);
    site(Domain::Raw, &[&start, &[begin]], 30, 64);
    site(Domain::Malloc, &[&worker], 5, 4_096);
    site(Domain::Malloc, &[&[in_no_module], &[rank, main]], 2, 100);
    site(Domain::Malloc, &[&deep, &[rank], &deep, &[main]], 7, 1_000);
}
