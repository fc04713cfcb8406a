//! Names, numbers and widths that must not break a line or steer a terminal.

use crate::{model, model_of, summary};
use pytrace_format::record::*;
use pytrace_format::synth::{Synth, counted, realistic, with_native_stacks};
use pytrace_model::Model;
use pytrace_model::summary::{MIN_WIDTH, Style};
use pytrace_model::text::columns;

/// Every line fits, and nothing but letters, spaces and line ends reaches the terminal.
fn assert_calm(text: &str, width: usize) {
    for line in text.lines() {
        assert!(
            columns(line) <= width,
            "{} columns in {width}: {line:?}",
            columns(line)
        );
        assert_eq!(line, line.trim_end());
    }
    for character in text.chars() {
        let is_calm = character == '\n' || !character.is_control();
        let is_hidden = matches!(
            u32::from(character),
            0x200b..=0x200f | 0x2028..=0x202e | 0x2066..=0x2069 | 0xfeff
        );
        assert!(is_calm && !is_hidden, "{character:?}");
    }
}

fn widths() -> impl Iterator<Item = usize> {
    (0..=130).step_by(7).chain([40, 41, 80, 100, 300])
}

fn styles(footer: &str) -> impl Iterator<Item = Style> {
    widths().map(move |width| Style {
        width,
        footer: Some(footer.into()),
        ..Style::default()
    })
}

fn names() -> Vec<String> {
    vec![
        String::new(),
        " ".into(),
        "\x1b[31;1mred\x1b]0;title\x07".into(),
        "line\nbreak\r\ttab".into(),
        "\u{202e}desrever\u{2066}\u{200b}".into(),
        "漢字".repeat(80),
        "🐍".repeat(33),
        "e\u{301}\u{302}\u{303}".repeat(50),
        "very_long_name_without_a_break".repeat(20),
        "many short words ".repeat(30),
        "/a/deep/path".repeat(40),
        "\u{9b}31m\u{7f}\0".into(),
    ]
}

#[test]
fn names_of_the_program_steer_nothing() {
    for name in names() {
        let mut synth = Synth::new();
        let native = synth.native(&name, 0xffff_ffff_ffff_ffff, &name);
        let unnamed = synth.native(&format!("/l/{name}.so"), u64::MAX, "");
        let frames = [1, 2].map(|line| synth.python(&name, &name, line));
        for stack in [
            &[native, frames[0], frames[1]][..],
            &[unnamed, frames[1]],
            &[frames[0]],
        ] {
            let stack = synth.stack(stack);
            let counters = Counters {
                allocations: 1,
                requested_bytes: 9,
                ..Counters::default()
            };
            synth.site(Domain::Object, stack, counters);
        }
        synth.record(Record::Process(Process {
            program: name.clone(),
            python_version: name.clone(),
            no_stacks_reason: name.clone(),
            ..Process::default()
        }));
        let model = model(&synth);
        for style in styles(&name) {
            assert_calm(&summary(&model, &style), style.width.max(MIN_WIDTH));
        }
    }
}

#[test]
fn numbers_of_any_width_keep_the_lines() {
    for number in [0, 1, 999, 1_000_000, 123_456_789_012, u64::MAX] {
        let model = numbers_model(number);
        for style in styles("x.pytrace") {
            assert_calm(&summary(&model, &style), style.width.max(MIN_WIDTH));
        }
    }
}

fn numbers_model(number: u64) -> Model {
    let counters = Counters {
        allocations: number,
        reallocations: number,
        frees: number,
        requested_bytes: number,
        served_bytes: number,
        live_blocks: number,
        live_bytes: number,
        peak_bytes: number,
        temporary_allocations: number,
    };
    let mut synth = Synth::new();
    for domain in Domain::ALL {
        let line = synth.python("f", "a.py", domain as u32);
        let stack = synth.stack(&[line]);
        synth.site(domain, stack, counters);
        let buckets = (0..64)
            .map(|power| SizeBucket {
                from: 1 << power,
                to: number,
                allocations: number,
                requested_bytes: number,
                live_blocks: number,
            })
            .collect();
        synth.record(Record::Sizes(Sizes { domain, buckets }));
    }
    let mut records = synth.records().to_vec();
    for scope in Domain::ALL
        .map(Scope::Domain)
        .into_iter()
        .chain([Scope::Total])
    {
        records.push(Record::ScopeCounters(ScopeCounters {
            scope,
            counters,
            max_live_bytes: number,
            max_live_at_ns: number,
            max_size_bytes: number,
        }));
    }
    for moment in [Moment::Exit, Moment::ExitByEvents, Moment::Peak] {
        let class = SizeClass {
            size: number as u32,
            pools: number,
            blocks_in_use: number,
            blocks_free: number,
        };
        records.push(Record::Pymalloc(Pymalloc {
            moment,
            arena_bytes: number,
            pool_bytes: number,
            arenas: number,
            arenas_peak: number,
            arenas_allocated_total: number,
            arenas_freed_total: number,
            pools_total: number,
            pools_free: number,
            pools_partial: number,
            pools_full: number,
            classes: vec![class; 9],
            arena_bytes_in_use: vec![0, number / 2, number],
        }));
    }
    records.push(Record::Quality(Quality {
        events: number,
        lost_events: number,
        unmatched_frees: number,
        missed_frees: number,
        inherited_frees: number,
        unmatched_while_paused: number,
        truncated_stacks: number,
        peak_error_bytes: number,
        own_cpu_ns: number,
        own_memory_bytes: number,
    }));
    records.push(Record::Shutdown(Shutdown {
        allocations: number,
        frees: number,
        requested_bytes: number,
    }));
    records.push(Record::End(End {
        ended: Ended::Running,
        at_ns: number,
    }));
    model_of(&records)
}

#[test]
fn the_realistic_capture_fits_every_width() {
    let model = model(&realistic());
    for style in styles("a path/with spaces\n.pytrace") {
        assert_calm(&summary(&model, &style), style.width.max(MIN_WIDTH));
    }
}

#[test]
fn whole_native_stacks_fit_every_width() {
    let model = model(&with_native_stacks());
    for style in styles("x.pytrace") {
        assert_calm(&summary(&model, &style), style.width.max(MIN_WIDTH));
    }
}

#[test]
fn counts_of_any_program_fit_every_width() {
    let model = model(&counted(&realistic()));
    for style in styles("a path/with spaces\n.pytrace") {
        assert_calm(&summary(&model, &style), style.width.max(MIN_WIDTH));
    }
}

#[test]
fn a_deep_stack_of_imports_ends() {
    let mut synth = Synth::new();
    let frames: Vec<_> = (0..5_000)
        .map(|line| synth.python("_call", "<frozen importlib._bootstrap>", line % 50))
        .collect();
    let stack = synth.stack(&frames);
    synth.site(
        Domain::Raw,
        stack,
        Counters {
            allocations: 1,
            ..Counters::default()
        },
    );
    let text = summary(&model(&synth), &Style::default());
    assert_eq!(text.matches("(import)").count(), 1, "{text}");
}
