//! Differences of captures made by hand.

use pytrace_format::record::{Counters, Domain, Process, Record, Scope};
use pytrace_format::synth::{Synth, counted, realistic};
use pytrace_model::Model;

use super::*;
use crate::capture::Ending;

fn capture(synth: &Synth) -> (PathBuf, Capture) {
    let mut model = Model::default();
    for record in synth.records() {
        model.apply(record.clone()).unwrap();
    }
    let capture = Capture {
        model,
        ending: Ending::Exit,
        unread: None,
    };
    (PathBuf::from("a.pytrace"), capture)
}

fn difference(before: &[Synth], after: &[Synth]) -> Difference {
    let side = |synths: &[Synth]| synths.iter().map(capture).collect();
    Difference::of(side(before), side(after), Metric::Allocated, |_| Vec::new()).unwrap()
}

fn text_of(difference: &Difference) -> String {
    let mut out = Vec::new();
    text::write(difference, None, 100, false, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn bytes(requested_bytes: u64) -> Counters {
    Counters {
        allocations: 1,
        requested_bytes,
        ..Counters::default()
    }
}

/// A capture of sites: function, line of it, line of its caller `main`, bytes. Rows of tables are numbered as they come.
fn program(sites: &[(&str, u32, u32, u64)]) -> Synth {
    let mut synth = Synth::new();
    for &(function, line, caller_line, requested) in sites {
        let frames = [
            synth.python(function, "app.py", line),
            synth.python("main", "app.py", caller_line),
        ];
        let stack = synth.stack(&frames);
        synth.site(Domain::Object, stack, bytes(requested));
    }
    synth.scopes_from_sites();
    synth
}

/// What became of each site: function, kind, whether it moved, change.
fn kinds(difference: &Difference) -> Vec<(String, &'static str, bool, i128)> {
    let rows = difference.sites.iter().map(|row| {
        let (_, frame) = difference.tables.stack_frames(row.stack).next().unwrap();
        let pytrace_model::record::Frame::Python { function, .. } = *frame else {
            panic!("{frame:?}");
        };
        let change = row.samples.change(|counters| counters.requested_bytes);
        (
            difference.tables.string(function).to_string(),
            row.kind(Metric::Allocated).name(),
            row.moved_from.is_some(),
            change.difference(),
        )
    });
    rows.collect()
}

fn kind(
    function: &str,
    kind: &'static str,
    moved: bool,
    change: i128,
) -> (String, &'static str, bool, i128) {
    (function.to_string(), kind, moved, change)
}

#[test]
fn a_capture_does_not_differ_from_itself() {
    for synth in [realistic(), counted(&realistic())] {
        let difference = difference(std::slice::from_ref(&synth), std::slice::from_ref(&synth));
        assert!(difference.is_nothing());
        assert!(difference.sites.is_empty() && difference.sizes.is_empty());
        let text = text_of(&difference);
        assert!(text.ends_with("\nno difference\n"), "{text}");
    }
}

#[test]
fn sites_appear_vanish_grow_shrink_and_move() {
    let before = program(&[
        ("same", 1, 100, 10),
        ("gone", 2, 100, 20),
        ("more", 3, 100, 30),
        ("less", 4, 100, 40),
        ("moved", 5, 100, 50),
        ("both", 6, 100, 60),
    ]);
    let after = program(&[
        ("fresh", 7, 100, 1),
        ("both", 8, 101, 67),
        ("moved", 9, 100, 50),
        ("less", 4, 100, 35),
        ("more", 3, 100, 33),
        ("same", 1, 100, 10),
    ]);
    let difference = difference(&[before], &[after]);
    assert_eq!(
        kinds(&difference),
        [
            kind("gone", "vanished", false, -20),
            kind("both", "grew", true, 7),
            kind("less", "shrank", false, -5),
            kind("more", "grew", false, 3),
            kind("fresh", "appeared", false, 1),
            kind("moved", "moved", true, 0),
        ]
    );
    let text = text_of(&difference);
    assert!(
        text.contains("moved: 6 → 8 in both, 100 → 101 in main"),
        "{text}"
    );
    assert!(
        text.contains("1 appeared, 1 vanished, 2 grew, 1 shrank, 1 only moved"),
        "{text}"
    );
}

#[test]
fn rows_add_up_to_the_difference_of_the_totals() {
    let before = program(&[
        ("f", 1, 9, 10),
        ("f", 2, 9, 20),
        ("f", 3, 9, 30),
        ("g", 1, 9, 5),
    ]);
    // Three lines became two: they are matched as one row of all that moved.
    let after = program(&[("f", 11, 9, 15), ("f", 12, 9, 46), ("h", 1, 9, 4)]);
    let difference = difference(&[before], &[after]);
    let sum: i128 = kinds(&difference).iter().map(|row| row.3).sum();
    let (_, total) = difference
        .scopes
        .iter()
        .find(|(scope, _)| *scope == Scope::Total)
        .unwrap();
    assert_eq!(
        sum,
        total
            .change(|counters| counters.requested_bytes)
            .difference()
    );
    assert_eq!(
        kinds(&difference),
        [
            kind("g", "vanished", false, -5),
            kind("h", "appeared", false, 4),
            kind("f", "grew", true, 1)
        ]
    );
}

/// Without the gaps of a table.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn sets_tell_what_is_outside_of_their_own_spread() {
    let runs = |noisy: [u64; 3], steady: u64| {
        noisy.map(|noisy| program(&[("noisy", 1, 9, noisy), ("steady", 2, 9, steady)]))
    };
    let old = runs([100, 120, 140], 10);
    let difference = difference(&old, &runs([110, 150, 130], 11));
    assert_eq!(kinds(&difference), [kind("steady", "grew", false, 1)]);
    let text = text_of(&difference);
    let total = "130 B (110 B … 150 B)  141 B (121 B … 161 B)    same  within the runs' own spread";
    assert!(squeezed(&text).contains(&squeezed(total)), "{text}");
    let huge = [1 << 30, (1 << 30) + 1].map(|size| program(&[("huge", 1, 9, size)]));
    let text = text_of(&self::difference(
        &huge,
        &[program(&[("huge", 1, 9, 1 << 31)])],
    ));
    assert!(text.contains("1.00 GiB (± 1 B)"), "{text}");
    let same = self::difference(&old, &runs([105, 125, 145], 10));
    assert!(same.is_nothing());
    assert!(text_of(&same).contains("no difference outside of the runs' own spread"));
}

#[test]
fn what_the_sides_do_not_share_is_said_or_refused() {
    let mut other = program(&[("f", 1, 9, 10)]);
    other.record(Record::Process(Process {
        python_version: "3.13.0\u{1b}[31m".into(),
        ..Process::default()
    }));
    let difference = difference(&[program(&[("f", 1, 9, 10)])], &[other]);
    assert!(difference.is_nothing());
    assert!(
        difference
            .notes
            .iter()
            .any(|note| note.contains(r"3.13.0\x1b[31m after")),
        "{:?}",
        difference.notes
    );
    let counts = [counted(&realistic())];
    let difference = self::difference(&counts, &[realistic()]);
    assert!(difference.sites.is_empty() && !difference.knows_live);
    // Histograms of mode counts do not know what is live: that is no change.
    assert!(difference.sizes.is_empty(), "{:?}", difference.sizes);
    let side = || vec![capture(&counts[0])];
    assert!(Difference::of(side(), side(), Metric::Peak, |_| Vec::new()).is_err());
}

#[test]
fn json_has_the_numbers_of_both_sides() {
    let before = program(&[("f", 1, 9, 10)]);
    let after = program(&[("f", 3, 9, 17)]);
    let mut out = Vec::new();
    json::write(&difference(&[before], &[after]), None, &mut out).unwrap();
    let found: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(found["schema"], "pytrace.diff/1");
    assert_eq!(found["different"], true);
    let site = &found["sites"][0];
    assert_eq!(
        (&site["kind"], &site["moved"]),
        (&"grew".into(), &true.into())
    );
    let expected = serde_json::json!({
        "before": 10, "after": 17, "change": 7, "changed": true,
        "before_range": [10, 10], "after_range": [17, 17],
    });
    assert_eq!(site["requested_bytes"], expected);
    assert_eq!(found["total"]["requested_bytes"], expected);
    assert_eq!(found["domains"]["object"]["requested_bytes"], expected);
    assert_eq!(site["stack"][0]["line"], 3);
    assert_eq!(site["stack_before"][0]["line"], 1);
}
