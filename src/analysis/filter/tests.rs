//! Which sites terms leave, and what is said of terms that are none.

use super::*;
use pytrace_format::synth::Synth;

/// Sites of 1, 2, 4, 8 and 16 allocations of 10 bytes each, the last one of 160 at once.
fn model() -> Model {
    let mut synth = Synth::new();
    let frame = synth.python("Frame.read", "/v/site-packages/pandas/io/a.py", 1);
    let main = synth.python("main", "/home/ann/app.py", 2);
    let native = synth.native("/usr/lib/libx.so.1", 64, "ns::take(int)");
    let stacks = [
        (Domain::Object, vec![native, frame, main]),
        (Domain::Raw, vec![main]),
        (Domain::Mem, vec![native]),
        (Domain::Mmap, vec![native, main]),
        (Domain::Object, vec![]),
    ];
    for (number, (domain, frames)) in stacks.into_iter().enumerate() {
        let stack = synth.stack(&frames);
        let counters = Counters {
            allocations: if number == 4 { 1 } else { 1 << number },
            requested_bytes: 10 << number,
            ..Counters::default()
        };
        synth.site(domain, stack, counters);
    }
    let mut model = Model::default();
    for record in synth.records() {
        model.apply(record.clone()).unwrap();
    }
    model
}

fn parsed(terms: &[&str]) -> Result<Filter, String> {
    let terms: Vec<_> = terms.iter().map(|term| (*term).to_owned()).collect();
    Filter::parse(&terms)
}

/// The tens of bytes of the sites that are left.
fn left(terms: &[&str]) -> Vec<u64> {
    let mut model = model();
    parsed(terms).unwrap().apply(&mut model);
    let sites = model.sites_with_counters();
    sites
        .map(|(_, counters)| counters.requested_bytes / 10)
        .collect()
}

#[test]
fn sites_are_chosen_by_what_they_are() {
    for (terms, expected) in [
        (&[][..], &[1, 2, 4, 8, 16][..]),
        (&["file=a.py"], &[1]),
        (&["file=pandas/*"], &[1]),
        (&["file=andas/*"], &[]),
        (&["file=*/app.py"], &[2, 8]),
        (&["any-file=app.py"], &[1, 2, 8]),
        (&["function=read"], &[1]),
        (&["function=Frame.*"], &[1]),
        (&["function=main,read"], &[1, 2, 8]),
        (&["any-function=ns::take"], &[1, 4, 8]),
        (&["function=ns::take"], &[]),
        (&["module=pandas"], &[1]),
        (&["module=pandas.io.?"], &[1]),
        (&["module=libx.so"], &[4]),
        (&["any-module=libx.so*"], &[1, 4, 8]),
        (&["domain=mem,raw"], &[2, 4]),
        (&["size=11.."], &[16]),
        (&["size=10"], &[1, 2, 4, 8]),
        (&["size=..9"], &[]),
        (&["any-file=app.py", "domain=object"], &[1]),
    ] {
        assert_eq!(left(terms), expected, "{terms:?}");
    }
}

/// What a report shows as one site is chosen as one, by the mean of all of it.
#[test]
fn sites_that_read_alike_stay_together() {
    let mut synth = Synth::new();
    for (address, requested_bytes) in [(64, 10), (128, 1000)] {
        let frame = synth.native("/usr/lib/libx.so.1", address, "take");
        let stack = synth.stack(&[frame]);
        let counters = Counters {
            allocations: 1,
            requested_bytes,
            ..Counters::default()
        };
        synth.site(Domain::Malloc, stack, counters);
    }
    for (term, expected) in [("size=500..510", 2), ("size=..100", 0), ("size=1000..", 0)] {
        let mut model = Model::default();
        for record in synth.records() {
            model.apply(record.clone()).unwrap();
        }
        parsed(&[term]).unwrap().apply(&mut model);
        assert_eq!(model.sites_with_counters().count(), expected, "{term}");
    }
}

#[test]
fn what_is_left_is_a_share_of_what_lists_lead_with() {
    let remainder = |term| {
        let left = parsed(&[term]).unwrap().apply(&mut model());
        let (kept, all) = left.counters;
        (left.sites, kept.requested_bytes, all.requested_bytes)
    };
    assert_eq!(remainder("file=app.py"), ((1, 4), 20, 230));
    assert_eq!(remainder("domain=mmap"), ((1, 1), 80, 80));
    assert_eq!(remainder("file=missing"), ((0, 4), 0, 230));
}

#[test]
fn wrong_terms_are_told_apart() {
    for (term, part) in [
        ("file", "write KEY=VALUE; keys are file, function"),
        ("flie=x", "no such key: flie (did you mean file?)"),
        ("x=1", "no such key: x; keys are"),
        ("domain=objct", "did you mean object?"),
        ("file=", "file= wants a name"),
        ("function=a,", "function= wants a name"),
        ("size=4K..1K", "begins after its end"),
        ("size=", "a range such as 512..4K"),
        ("size=x..", "a range such as 512..4K"),
    ] {
        let error = parsed(&[term]).unwrap_err();
        assert!(error.contains(part), "{term}: {error}");
    }
}

#[test]
fn patterns_stand_for_whole_texts() {
    for (pattern, text, expected) in [
        ("", "", true),
        ("*", "", true),
        ("a*b*c", "aXbYbc", true),
        ("a*b", "abc", false),
        ("?", "漢", true),
        ("?", "", false),
        ("*.py", "x.pyc", false),
    ] {
        assert_eq!(is_match(pattern, text), expected, "{pattern} {text}");
    }
    let hard = format!("{}b", "*a".repeat(50));
    assert!(!is_match(&hard, &"a".repeat(5_000)), "and that soon");
}
