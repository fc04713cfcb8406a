//! `pytrace report` on captures of mode counts: what is not known is null or left out, and asking for it is refused.

use super::report::{json_of, report, small};
use pytrace_format::record::{Mode, Record, TimelinePoint};
use pytrace_format::synth::{counted, realistic};
use serde_json::{Value, json};

#[test]
fn counts_mode_has_nulls_where_a_live_table_is_needed() {
    let mut synth = small(Mode::Sites);
    synth.record(Record::Timeline(TimelinePoint {
        live_bytes: 5,
        allocations: 6,
        ..TimelinePoint::default()
    }));
    let found = json_of(&counted(&synth), &[]);
    assert_eq!(found["sites"], Value::Null);
    assert_eq!(found.get("groups"), None);
    assert_eq!(found["total"]["peak_at_s"], Value::Null);
    assert_eq!(found["timeline"][0]["live_bytes"], Value::Null);
    assert_eq!(found["timeline"][0]["allocations"], 6);
    let bucket = &found["domains"]["object"]["sizes"]["buckets"][0];
    assert_eq!(
        (&bucket["allocations"], &bucket["live_blocks"]),
        (&json!(5), &Value::Null)
    );
    for counters in [&found["total"], &found["domains"]["object"]] {
        assert_eq!(
            counters["live_blocks"].as_u64().map(|blocks| blocks > 0),
            Some(true)
        );
        for name in [
            "live_bytes",
            "peak_bytes",
            "max_live_bytes",
            "temporary_allocations",
        ] {
            assert_eq!(counters[name], Value::Null, "{name}");
        }
    }
}

#[test]
fn counts_mode_has_a_text_without_lists_and_refuses_to_sort_them() {
    let capture = counted(&realistic()).file();
    for words in [[].as_slice(), &["--metric", "slack", "--top", "3"]] {
        let answer = report(&capture, words);
        assert_eq!((answer.code(), answer.stderr.as_str()), (0, ""));
        let text = answer.stdout;
        assert!(text.contains("mode counts does not tell where"), "{text}");
        let heading = text.lines().find(|line| line.starts_with("domain"));
        let last = heading.and_then(|line| line.split_whitespace().last());
        assert_eq!(last, Some("blocks"), "{text}");
        assert!(!text.contains("call sites by") && !text.contains("lines of the program"));
    }
    for (words, asked) in [
        (["--metric", "live"].as_slice(), "--metric live needs"),
        (&["--metric", "peak", "--format", "json"], "--metric peak"),
        (&["--metric", "temporary"], "--metric temporary"),
        (&["--by", "line"], "--by line"),
    ] {
        let answer = report(&capture, words);
        let line = answer.refusal();
        assert!(line.starts_with(asked) && line.contains("--mode sites"));
    }
    let answer = report(&capture, &["--events", "--format", "csv"]);
    assert!(answer.refusal().ends_with("with --mode events"));
}
