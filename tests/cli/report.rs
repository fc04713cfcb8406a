//! `pytrace report`, on captures made by hand.

use super::{Answer, Pytrace};
use pytrace_format::record::{
    Allocator, Counters, Domain, End, Ended, Mark, Mode, Moment, Process, Pymalloc, Quality,
    Record, Settings, Shutdown, SizeClass, TimelinePoint,
};
use pytrace_format::synth::{Synth, realistic};
use serde_json::{Value, json};
use std::process::Stdio;

pub(super) fn report(capture: &[u8], words: &[&str]) -> Answer {
    Pytrace::new("report")
        .file("a.pytrace", capture)
        .word("a.pytrace")
        .words(words)
        .run()
}

pub(super) fn json_of(synth: &Synth, words: &[&str]) -> Value {
    let answer = report(&synth.file(), &[&["--format", "json"], words].concat());
    assert_eq!(answer.code(), 0, "{}", answer.stderr);
    serde_json::from_str(&answer.stdout).expect("the report is JSON")
}

/// A capture of two sites, one of them in two places of one native function.
pub(super) fn small(mode: Mode) -> Synth {
    let mut synth = Synth::new();
    synth.record(Record::Process(Process {
        pid: 4_100_000_000,
        parent_pid: 7,
        started_at_unix_ns: 1_700_000_000_123_456_789,
        argv0: "python3".into(),
        program: "app.py".into(),
        executable: "/usr/bin/python3".into(),
        python_version: "3.11.7".into(),
        free_threaded: false,
        tree: "t:7".into(),
        allocator: Allocator::Pymalloc,
        no_stacks_reason: String::new(),
    }));
    synth.record(Record::Settings(Settings {
        mode,
        domains: Domain::ALL.to_vec(),
        interval_ms: 100,
        ..Settings::default()
    }));
    let line = synth.python("main", "/usr/lib/python3.11/json/decoder.py", 7);
    for (address, allocations) in [(0x40, 2), (0x80, 3)] {
        let caller = synth.native("/lib/libp.so", address, "_PyLong_New");
        let stack = synth.stack(&[caller, line]);
        synth.site(Domain::Object, stack, counters(allocations, 30));
    }
    let nameless = synth.native("", 0x1234, "");
    let stack = synth.stack(&[nameless]);
    synth.site(Domain::Malloc, stack, counters(1, 1000));
    synth.scopes_from_sites();
    synth.sizes(Domain::Object, &[(30, 5, 5)]);
    synth
}

pub(super) fn counters(allocations: u64, size: u64) -> Counters {
    Counters {
        allocations,
        reallocations: 0,
        frees: 0,
        requested_bytes: allocations * size,
        served_bytes: allocations * (size + 2),
        live_blocks: allocations,
        live_bytes: allocations * size,
        peak_bytes: allocations * size,
        temporary_allocations: 1,
    }
}

pub(super) fn end(ended: Ended) -> Record {
    Record::End(End {
        ended,
        at_ns: 2_500_000_000,
    })
}

#[test]
fn json_has_every_field_of_the_interface() {
    let mut synth = small(Mode::Sites);
    synth.record(Record::Pymalloc(Pymalloc {
        moment: Moment::Exit,
        arena_bytes: 65536,
        pool_bytes: 4096,
        arenas: 2,
        arenas_peak: 3,
        arenas_allocated_total: 4,
        arenas_freed_total: 2,
        pools_total: 32,
        pools_free: 30,
        pools_partial: 1,
        pools_full: 1,
        classes: vec![SizeClass {
            size: 32,
            pools: 2,
            blocks_in_use: 200,
            blocks_free: 54,
        }],
        arena_bytes_in_use: vec![6400, 0],
    }));
    synth.record(Record::Quality(Quality {
        events: 11,
        own_cpu_ns: 500_000_000,
        ..Quality::default()
    }));
    synth.record(Record::Timeline(TimelinePoint {
        at_ns: 100_000_000,
        live_bytes: 5,
        rss_bytes: 0,
        arenas: 1,
        allocations: 6,
    }));
    synth.record(Record::Mark(Mark {
        at_ns: 1_000_000_000,
        name: "loaded\n".into(),
    }));
    synth.record(Record::Shutdown(Shutdown {
        allocations: 1,
        frees: 2,
        requested_bytes: 3,
    }));
    synth.record(end(Ended::Exit));
    let answer = report(&synth.file(), &["--format", "json"]);
    assert_eq!((answer.code(), answer.stderr.as_str()), (0, ""));
    assert!(answer.stdout.ends_with("}\n") && answer.stdout.lines().count() == 1);
    let found: Value = serde_json::from_str(&answer.stdout).unwrap();

    assert_eq!(found["schema"], "pytrace.report/1");
    assert_eq!(
        found["process"],
        json!({
            "pid": 4_100_000_000_u32, "parent_pid": 7, "argv0": "python3", "program": "app.py",
            "executable": "/usr/bin/python3", "python_version": "3.11.7", "free_threaded": false, "tree": "t:7",
            "started_at": "2023-11-14T22:13:20.123456Z", "duration_s": 2.5, "ended": "exit"
        })
    );
    assert_eq!(
        found["settings"],
        json!({
            "mode": "sites", "native": "caller", "depth": 0, "domains": ["raw", "mem", "object", "malloc", "mmap"],
            "interval_ms": 100, "allocator": "pymalloc"
        })
    );
    assert_eq!(
        found["quality"],
        json!({
            "events": 11, "lost_events": 0, "unmatched_frees": 0, "missed_frees": 0, "inherited_frees": 0,
            "unmatched_while_paused": 0, "truncated_stacks": 0, "peak_error_bytes": 0, "own_cpu_s": 0.5,
            "own_memory_bytes": 0, "complete": true, "no_stacks_reason": null,
            "notes": []
        })
    );
    assert_eq!(
        found["domains"]["object"],
        json!({
            "allocations": 5, "reallocations": 0, "frees": 0, "requested_bytes": 150, "served_bytes": 160,
            "live_blocks": 5, "live_bytes": 150, "peak_bytes": 150, "max_live_bytes": 150, "temporary_allocations": 2,
            "served_known": true,
            "sizes": {
                "p50": 30, "p90": 30, "p99": 30, "p999": 30, "max": 30, "mean": 30.0,
                "buckets": [ { "from": 30, "to": 30, "allocations": 5, "requested_bytes": 150, "live_blocks": 5 } ]
            }
        })
    );
    assert_eq!(
        found["total"],
        json!({
            "allocations": 6, "reallocations": 0, "frees": 0, "requested_bytes": 1150, "served_bytes": 1162,
            "live_blocks": 6, "live_bytes": 1150, "peak_bytes": 1150, "max_live_bytes": 1150,
            "temporary_allocations": 3, "served_known": true, "peak_at_s": 1.0
        })
    );
    assert_eq!(
        found["pymalloc"],
        json!({
            "arena_bytes": 65536, "pool_bytes": 4096, "arenas": 2, "arenas_peak": 3, "arenas_allocated_total": 4,
            "arenas_freed_total": 2, "pools_total": 32, "pools_free": 30, "pools_partial": 1, "pools_full": 1,
            "bytes_in_use": 6400, "bytes_free": 30 * 4096 + 54 * 32, "bytes_overhead": 2 * 4096 - 254 * 32,
            "size_classes": [ { "size": 32, "pools": 2, "blocks_in_use": 200, "blocks_free": 54 } ],
            "arena_bytes_in_use": [6400, 0], "source": "memory", "at_peak": null, "by_events": null
        })
    );
    assert_eq!(
        found["sites"],
        json!([
            {
                "domain": "malloc", "allocations": 1, "reallocations": 0, "frees": 0, "requested_bytes": 1000,
                "served_bytes": 1002, "live_blocks": 1, "live_bytes": 1000, "peak_bytes": 1000,
                "temporary_allocations": 1,
                "stack": [
                    { "kind": "native", "function": null, "file": null, "line": null, "module": null,
                      "address": 0x1234 }
                ]
            },
            {
                "domain": "object", "allocations": 5, "reallocations": 0, "frees": 0, "requested_bytes": 150,
                "served_bytes": 160, "live_blocks": 5, "live_bytes": 150, "peak_bytes": 150,
                "temporary_allocations": 2,
                "stack": [
                    { "kind": "native", "function": "_PyLong_New", "file": null, "line": null,
                      "module": "/lib/libp.so", "address": 0x40 },
                    { "kind": "python", "function": "main", "file": "/usr/lib/python3.11/json/decoder.py", "line": 7,
                      "module": "json.decoder" }
                ]
            }
        ])
    );
    assert_eq!(
        found["timeline"],
        json!([ { "t_s": 0.1, "live_bytes": 5, "rss_bytes": null, "arenas": 1, "allocations": 6 } ])
    );
    assert_eq!(
        found["marks"],
        json!([ { "t_s": 1.0, "name": "loaded\n" } ])
    );
    assert_eq!(
        found["shutdown"],
        json!({ "allocations": 1, "frees": 2, "requested_bytes": 3 })
    );
}

#[test]
fn sites_add_up_to_their_domains() {
    let found = json_of(&realistic(), &[]);
    let sites = found["sites"].as_array().unwrap();
    for (name, domain) in found["domains"].as_object().unwrap() {
        for counter in [
            "allocations",
            "requested_bytes",
            "served_bytes",
            "live_bytes",
            "peak_bytes",
        ] {
            let of_domain = sites.iter().filter(|site| site["domain"] == name.as_str());
            let sum: u64 = of_domain.map(|site| site[counter].as_u64().unwrap()).sum();
            assert_eq!(Some(sum), domain[counter].as_u64(), "{name} {counter}");
        }
    }
}

#[test]
fn metric_and_top_choose_the_sites() {
    let by = |metric: &str, top: &str| {
        let found = json_of(&small(Mode::Sites), &["--metric", metric, "--top", top]);
        let sites = found["sites"].as_array().unwrap().clone();
        sites
            .iter()
            .map(|site| site["domain"].as_str().unwrap().to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(by("allocated", "9"), ["malloc", "object"]);
    assert_eq!(by("allocations", "9"), ["object", "malloc"]);
    assert_eq!(by("slack", "1"), ["object"]);
}

#[test]
fn groups_stand_beside_all_sites() {
    let found = json_of(
        &small(Mode::Sites),
        &["--by", "file", "--top", "1", "--metric", "allocations"],
    );
    assert_eq!(found["sites"].as_array().unwrap().len(), 2);
    let groups = found["groups"].as_array().unwrap();
    assert_eq!(groups.len(), 1);
    assert_eq!(groups[0]["file"], "/usr/lib/python3.11/json/decoder.py");
    assert_eq!(
        (&groups[0]["line"], &groups[0]["function"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(
        (
            groups[0]["sites"].as_u64(),
            groups[0]["allocations"].as_u64()
        ),
        (Some(2), Some(5))
    );
}

#[test]
fn the_end_that_nobody_wrote_is_lost() {
    for (record, ended, complete) in [
        (Some(Ended::Signal), "signal", true),
        (Some(Ended::Exec), "exec", true),
        (Some(Ended::Running), "lost", false),
        (None, "lost", false),
    ] {
        let mut synth = small(Mode::Sites);
        record
            .into_iter()
            .for_each(|ended| synth.record(end(ended)));
        let found = json_of(&synth, &[]);
        assert_eq!(found["process"]["ended"], ended);
        assert_eq!(found["quality"]["complete"], complete);
        let text = report(&synth.file(), &[]).stdout;
        assert_eq!(
            text.starts_with("lost: the process is gone"),
            ended == "lost",
            "{text}"
        );
    }
}

#[test]
fn text_shows_whole_stacks_and_escapes_names() {
    let mut synth = small(Mode::Sites);
    let evil = synth.python("f\u{1b}[31m", "a\nb.py", 3);
    let stack = synth.stack(&[evil]);
    synth.site(Domain::Mem, stack, counters(1, 1 << 20));
    let answer = report(&synth.file(), &[]);
    assert_eq!(answer.code(), 0);
    assert!(!answer.stdout.contains('\u{1b}'));
    for part in [
        "call sites by bytes asked for (3 rows for 4 call sites)",
        "f\\x1b[31m  a\\nb.py:3",
        "_PyLong_New (libp.so)",
        "main  json/decoder.py:7",
    ] {
        assert!(
            answer.stdout.contains(part),
            "{part:?} in\n{}",
            answer.stdout
        );
    }
    let answer = report(&synth.file(), &["--top", "1", "--by", "function"]);
    assert!(
        answer.stdout.contains(
            "functions by bytes asked for (1 of 3 rows for 4 call sites; more with --top)"
        )
    );
}

#[test]
fn text_sums_up_imports_and_the_start_and_puts_mappings_beside() {
    let mut synth = small(Mode::Sites);
    let app = [1, 2].map(|line| synth.python("<module>", "/home/ann/app.py", line));
    let library = synth.python("<module>", "/v/lib/python3.12/site-packages/lib.py", 1);
    let machinery = synth.python("_load", "<frozen importlib._bootstrap>", 7);
    let start = synth.native("/usr/bin/python3", 0x10, "Py_Main");
    for (domain, frames) in [
        (Domain::Mem, &[machinery, app[0]][..]),
        (Domain::Mem, &[library, machinery, app[0]]),
        (Domain::Object, &[library, machinery, app[0]]),
        (Domain::Raw, &[start]),
        (Domain::Mmap, &[library, machinery, app[0]]),
        (Domain::Mem, &[app[1]]),
    ] {
        let stack = synth.stack(frames);
        synth.site(domain, stack, counters(1, 10));
    }
    let text = report(&synth.file(), &[]).stdout;
    for part in [
        "call sites by bytes asked for (5 rows for 8 call sites)",
        "several domains, 3 allocations",
        "        (import) in 3 call sites\n        <module>  /home/ann/app.py:1\n",
        "        (no Python code) in 1 call site\n",
        "        <module>  /home/ann/app.py:2\n",
        "mappings, beside the total: call sites by bytes asked for (1 row for 1 call site)",
        "        <module>  lib.py:1\n        (import: 1 frame of importlib)\n        <module>  /home/ann/app.py:1\n",
    ] {
        assert!(text.contains(part), "{part:?} in\n{text}");
    }
    let lines = text.split("lines of the program").nth(1).unwrap();
    assert!(
        lines.contains("<module>  /home/ann/app.py:1  (import)"),
        "{text}"
    );
}

#[test]
fn text_keeps_its_numbers_within_the_width() {
    let mut synth = small(Mode::Sites);
    let line = synth.python("f", "a.py", 3);
    let stack = synth.stack(&[line]);
    let everything = Counters {
        allocations: 123_456_789,
        reallocations: 123_456_789,
        frees: 1,
        requested_bytes: 123_456_789,
        served_bytes: 223_456_789,
        live_blocks: 123_456_788,
        live_bytes: 123_456_789,
        peak_bytes: 123_456_789,
        temporary_allocations: 123_456_789,
    };
    synth.site(Domain::Mem, stack, everything);
    for words in [
        [].as_slice(),
        &["--by", "function"],
        &["--metric", "temporary", "--by", "module"],
    ] {
        let text = report(&synth.file(), words).stdout;
        assert!(text.contains("123,456,789"), "{text}");
        let widest = text.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(100), "{widest:?} columns in\n{text}");
    }
}

#[test]
fn text_lists_the_marks() {
    let mut synth = small(Mode::Sites);
    for number in 0..23 {
        synth.record(Record::Mark(Mark {
            at_ns: 1_500_000_000,
            name: format!("mark {number}\u{1b}"),
        }));
    }
    let text = report(&synth.file(), &[]).stdout;
    for part in [
        "\nmarks\n    1.50 s  mark 0\\x1b\n",
        "\n         3  more, with",
    ] {
        assert!(text.contains(part), "{part:?} in\n{text}");
    }
    assert_eq!(text.matches("mark 1").count(), 11, "1 and 10 to 19");
}

#[test]
fn a_report_can_go_to_a_file() {
    let answer = report(
        &small(Mode::Sites).file(),
        &["--format", "json", "-o", "out.json"],
    );
    assert_eq!((answer.code(), answer.stdout.as_str()), (0, ""));
    let written: Value =
        serde_json::from_slice(&std::fs::read(answer.path("out.json")).unwrap()).unwrap();
    assert_eq!(written["schema"], "pytrace.report/1");
    let answer = report(&small(Mode::Sites).file(), &["-o", "missing/out.json"]);
    assert!(
        answer
            .refusal()
            .starts_with("'missing/out.json' could not be written")
    );
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    for words in [[].as_slice(), &["--format", "json"]] {
        let mut pytrace = Pytrace::new("report")
            .file("a.pytrace", small(Mode::Sites).file())
            .word("a.pytrace")
            .words(words);
        let mut child = pytrace
            .command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(
            (output.status.code(), output.stderr.as_slice()),
            (Some(0), b"".as_slice())
        );
    }
}

#[test]
fn a_library_that_may_have_changed_gives_no_names() {
    let mut synth = small(Mode::Sites);
    let other = synth.native("/bin/sh", 0x1000, "");
    let stack = synth.stack(&[other]);
    synth.site(Domain::Raw, stack, counters(1, 1));
    // A distribution's shell has a build id, and another one than these.
    for (recorded, reason) in [
        (vec![7; 20], "the file has changed since the capture"),
        (
            Vec::new(),
            "the capture has no build id to tell whether the file is still the same",
        ),
    ] {
        let mut synth_with_ids = Synth::new();
        for mut record in synth.records().iter().cloned() {
            if let Record::Module(module) = &mut record {
                module.build_id.clone_from(&recorded);
            }
            synth_with_ids.record(record);
        }
        let answer = report(&synth_with_ids.file(), &["--format", "json"]);
        assert_eq!(
            answer.only_line(),
            format!("no names for a frame in '/bin/sh': {reason}")
        );
        let found: Value = serde_json::from_str(&answer.stdout).unwrap();
        let sites = found["sites"].as_array().unwrap();
        let raw = sites.iter().find(|site| site["domain"] == "raw").unwrap();
        assert_eq!(raw["stack"][0]["function"], Value::Null);
        assert_eq!(raw["stack"][0]["address"], 0x1000);
        let text = report(&synth_with_ids.file(), &[]).stdout;
        assert!(text.contains("sh+0x1000"), "{text}");
    }
}
