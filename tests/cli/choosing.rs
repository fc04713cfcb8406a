//! What a report is about: lines of source, the sites that a filter asks for, a folder of captures.

use super::Pytrace;
use super::report::{counters, json_of, report, small};
use pytrace_format::record::{Domain, Mode, Process, Record};
use pytrace_format::synth::{Synth, realistic};
use serde_json::{Value, json};

#[test]
fn lines_stand_in_their_source_unless_it_has_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.py");
    let source: Vec<_> = (1..20)
        .map(|line| format!("\ttext {line} \u{1b}[31m"))
        .collect();
    std::fs::write(&path, source.join("\n")).unwrap();
    let listing = |started_at_unix_ns: u64| {
        let mut synth = Synth::new();
        synth.record(Record::Process(Process {
            started_at_unix_ns,
            ..Process::default()
        }));
        for line in [5, 12] {
            let frame = synth.python("f", path.to_str().unwrap(), line);
            let stack = synth.stack(&[frame]);
            synth.site(Domain::Mem, stack, counters(1, u64::from(line)));
        }
        report(&synth.file(), &["--by", "line"]).stdout
    };
    let text = listing(4_000_000_000_000_000_000);
    for part in [
        "lines by bytes asked for, in their files (2 of 2; more with --top)\n",
        "allocated      live   at peak  line\n",
        "\n      5 B       5 B       5 B      5      text 5 \\x1b[31m\n",
        "\n                                   7      text 7 \\x1b[31m\n",
        "\n                                   ⋮\n",
        "\n                                  10      text 10 ",
        "\n     12 B      12 B      12 B     12      text 12 ",
    ] {
        assert!(text.contains(part), "{part:?} in\n{text}");
    }
    assert!(
        !text.contains("text 8 ") && !text.contains("text 15 "),
        "{text}"
    );
    let text = listing(1);
    for part in [
        "without its text: the file has changed since the program was started",
        "\n      5 B       5 B       5 B      5\n",
    ] {
        assert!(text.contains(part), "{part:?} in\n{text}");
    }
    assert!(!text.contains("text 5"), "{text}");
}

#[test]
fn a_filter_leaves_what_it_asks_for_and_says_so() {
    let words = [
        "--filter",
        "any-function=_PyLong_New",
        "--filter",
        "size=..4K",
    ];
    let found = json_of(&small(Mode::Sites), &words);
    let sites = found["sites"].as_array().unwrap();
    assert_eq!((sites.len(), &sites[0]["domain"]), (1, &json!("object")));
    assert_eq!(
        found["filter"],
        json!({
            "terms": ["any-function=_PyLong_New", "size=..4K"], "sites": 2, "of_sites": 3,
            "requested_bytes": 150, "of_requested_bytes": 1150
        })
    );
    assert_eq!(found["total"]["requested_bytes"], 1150);
    let text = report(&small(Mode::Sites).file(), &words).stdout;
    for part in [
        "only call sites with any-function=_PyLong_New and size=..4K\n",
        "2 of 3 call sites, 13.0% of bytes asked for (150 B of 1.12 KiB)",
        "call sites by bytes asked for (1 row for 2 call sites)",
    ] {
        assert!(text.contains(part), "{part:?} in\n{text}");
    }
    let answer = report(&small(Mode::Sites).file(), &["--filter", "flie=x"]);
    assert_eq!(
        answer.refusal(),
        "--filter: no such key: flie (did you mean file?); keys are file, function, module, any-file, any-function, \
         any-module, domain, size"
    );
}

#[test]
fn a_folder_is_reported_as_one() {
    let folder = |words: &[&str]| {
        Pytrace::new("report")
            .file("a.pytrace", small(Mode::Sites).file())
            .file("b.pytrace.1", realistic().file())
            .file("c.pytrace", "")
            .word(".")
            .words(words)
            .run()
    };
    let answer = folder(&["--format", "json"]);
    assert_eq!(answer.code(), 0);
    assert!(
        answer
            .stderr
            .starts_with("pytrace: left out: './c.pytrace' is empty, not a capture; "),
        "{}",
        answer.stderr
    );
    let found: Value = serde_json::from_str(&answer.stdout).unwrap();
    let alone = [small(Mode::Sites), realistic()].map(|synth| json_of(&synth, &[]));
    for counter in ["allocations", "requested_bytes", "live_bytes", "peak_bytes"] {
        let sum: u64 = alone
            .iter()
            .map(|report| report["total"][counter].as_u64().unwrap())
            .sum();
        assert_eq!(found["total"][counter], sum, "{counter}");
        let sites = found["sites"].as_array().unwrap().iter();
        let in_total = sites.filter(|site| site["domain"] != "mmap");
        let of_sites: u64 = in_total.map(|site| site[counter].as_u64().unwrap()).sum();
        assert_eq!(of_sites, sum, "{counter}");
    }
    assert_eq!(found["total"]["peak_at_s"], Value::Null);
    let processes = found["processes"].as_array().unwrap();
    assert_eq!(processes.len(), 2);
    for process in processes {
        let of_file = &alone[usize::from(process["capture"] != "./a.pytrace")];
        for field in ["settings", "total", "pymalloc", "timeline", "marks"] {
            assert_eq!(process[field], of_file[field], "{field}");
        }
        assert_eq!(process["pid"], of_file["process"]["pid"]);
    }
    let text = folder(&[]).stdout;
    for part in [
        "pytrace: 2 processes in 2 runs, ",
        "\nprocess ",
        "\nall processes, added up: ",
        "\nexact: ",
        "call sites by bytes asked for (",
    ] {
        assert!(text.contains(part), "{part:?} in\n{text}");
    }
}
