//! Whole summaries, held against the files in `expected/`. `UPDATE_EXPECTED=1` writes the files anew: look at them.

use std::path::Path;

use crate::{model, summary};
use pytrace_format::record::{Allocator, Counters, Domain, End, Ended, Scope};
use pytrace_format::synth::{Synth, counted, realistic, with_native_stacks};
use pytrace_model::Model;
use pytrace_model::summary::Style;

fn check(name: &str, model: &Model, style: &Style) {
    let found = summary(model, style);
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/expected")
        .join(name);
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(&path, &found).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == expected, "{name} has changed; it is now:\n{found}");
}

fn style(width: usize) -> Style {
    Style {
        width,
        footer: Some("pytrace-pipeline.py-41207.pytrace".into()),
        ..Style::default()
    }
}

#[test]
fn a_realistic_program_at_every_width() {
    let model = model(&realistic());
    for width in [100, 80, 40] {
        check(&format!("realistic-{width}.txt"), &model, &style(width));
    }
}

#[test]
fn colours_change_nothing_but_colours() {
    let model = model(&realistic());
    let plain = summary(&model, &style(100));
    let coloured = summary(
        &model,
        &Style {
            colour: true,
            ..style(100)
        },
    );
    assert!(!plain.contains('\x1b'));
    assert!(coloured.contains("\x1b[1mpytrace: pipeline.py"));
    let mut stripped = String::new();
    for (index, part) in coloured.split("\x1b[").enumerate() {
        let kept = if index == 0 {
            part
        } else {
            part.split_once('m').unwrap().1
        };
        stripped.push_str(kept);
    }
    assert_eq!(stripped, plain);
}

#[test]
fn counts_mode_has_no_live_bytes_and_no_sites() {
    let model = model(&counted(&realistic()));
    for width in [100, 40] {
        check(&format!("counts-{width}.txt"), &model, &style(width));
    }
}

#[test]
fn whole_native_stacks_show_the_function_that_asked() {
    let model = model(&with_native_stacks());
    check("native.txt", &model, &style(100));
}

#[test]
fn doubtful_numbers_of_a_debug_build_on_malloc() {
    let mut model = model(&realistic());
    model.process.allocator = Allocator::MallocDebug;
    model.process.free_threaded = true;
    model.process.no_stacks_reason = "memory does not look as expected for CPython 3.11.7".into();
    model.settings.domains = vec![Domain::Mem, Domain::Object];
    model.pymalloc.clear();
    model.quality.lost_events = 1_234;
    model.quality.missed_frees = 5;
    model.quality.truncated_stacks = 6;
    model.quality.peak_error_bytes = 70_000;
    model.end = Some(End {
        ended: Ended::Signal,
        at_ns: 80_000_000_000,
    });
    check(
        "doubtful.txt",
        &model,
        &Style {
            top: 3,
            ..style(100)
        },
    );
}

#[test]
fn a_capture_of_nothing_is_still_a_summary() {
    check("nothing.txt", &Model::default(), &Style::default());
}

#[test]
fn sites_that_are_shown_alike_are_one() {
    let mut synth = Synth::new();
    let inner = ["c", "b", "a"].map(|name| synth.python(name, "app.py", 1));
    for (line, bytes) in [(10, 100), (20, 50)] {
        let outer = synth.python("main", "app.py", line);
        let stack = synth.stack(&[inner[0], inner[1], inner[2], outer]);
        let counters = Counters {
            allocations: 1,
            requested_bytes: bytes,
            ..Counters::default()
        };
        synth.site(Domain::Object, stack, counters);
    }
    synth.scopes_from_sites();
    let text = summary(&model(&synth), &Style::default());
    assert_eq!(
        text.matches("c  app.py:1 <- b app.py:1 <- a app.py:1")
            .count(),
        1,
        "{text}"
    );
    assert!(text.contains(" 100% 150 B     2 75 B"), "{text}");
}

#[test]
fn mappings_lead_no_list_but_their_own() {
    let mut synth = Synth::new();
    let line = synth.python("reserve", "app.py", 1);
    let stack = synth.stack(&[line]);
    let counters = Counters {
        allocations: 1,
        requested_bytes: 1 << 30,
        ..Counters::default()
    };
    synth.site(Domain::Mmap, stack, counters);
    assert!(summary(&model(&synth), &Style::default()).contains("reserve  app.py:1"));

    let line = synth.python("compute", "app.py", 2);
    let stack = synth.stack(&[line]);
    synth.site(
        Domain::Mem,
        stack,
        Counters {
            requested_bytes: 1,
            ..counters
        },
    );
    synth.scopes_from_sites();
    let model = model(&synth);
    let text = summary(&model, &Style::default());
    assert!(text.contains(" 100%   1 B"), "{text}");
    assert!(!text.contains("reserve"), "{text}");
    assert_eq!(model.scope(Scope::Total).counters.requested_bytes, 1);
}

#[test]
fn the_programs_own_line_is_found_behind_library_frames() {
    let mut synth = Synth::new();
    let library = "/v/lib/python3.12/site-packages/lib";
    let frames = [
        synth.python("deepest", &format!("{library}/d.py"), 1),
        synth.python("deep", &format!("{library}/c.py"), 2),
        synth.python("shallow", &format!("{library}/b.py"), 3),
        synth.python("entry", &format!("{library}/a.py"), 4),
        synth.python("work", "/home/ann/app.py", 5),
        synth.python("<module>", "/home/ann/app.py", 6),
    ];
    let stack = synth.stack(&frames);
    synth.site(
        Domain::Mem,
        stack,
        Counters {
            allocations: 1,
            ..Counters::default()
        },
    );
    let shown_at = |width| {
        let text = summary(
            &model(&synth),
            &Style {
                width,
                ..Style::default()
            },
        );
        text.lines()
            .find(|line| line.contains("deepest"))
            .unwrap()
            .trim()
            .to_owned()
    };
    assert_eq!(
        shown_at(100),
        "deepest  lib/d.py:1 <- deep c.py:2 <- ... <- work app.py:5"
    );
    assert_eq!(shown_at(60), "deepest  lib/d.py:1 <- ... <- work app.py:5");
    assert_eq!(shown_at(40), "deepest  lib/d.py:1 <- deep c.py:2");
}
