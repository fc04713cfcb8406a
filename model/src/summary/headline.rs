//! What was traced, and how far the numbers can be trusted.

use core::fmt;

use pytrace_format::record::{Allocator, Ended, Native};

use super::screen::{Screen, Tone};
use crate::Model;
use crate::text::{count, duration, escape_name, size};

pub(super) fn draw<W: fmt::Write>(model: &Model, screen: &mut Screen<'_, W>) -> fmt::Result {
    screen.flow(Tone::Strong, "", &commas(traced(model)))?;
    draw_quality(model, screen)
}

pub(super) fn draw_quality<W: fmt::Write>(
    model: &Model,
    screen: &mut Screen<'_, W>,
) -> fmt::Result {
    let (tone, quality) = quality(model);
    screen.flow(tone, "", &commas(quality))?;
    let reason = &model.process.no_stacks_reason;
    if !reason.is_empty() {
        screen.flow(
            Tone::Warning,
            "",
            &[format!("no Python stacks: {}", escape_name(reason))],
        )?;
    }
    Ok(())
}

fn traced(model: &Model) -> Vec<String> {
    let process = &model.process;
    let settings = &model.settings;
    let program = if process.program.is_empty() {
        "python"
    } else {
        &process.program
    };
    let mut said = vec![
        format!("pytrace: {}", escape_name(program)),
        format!("pid {}", process.pid),
    ];
    if !process.python_version.is_empty() {
        let threads = if process.free_threaded {
            " free-threaded"
        } else {
            ""
        };
        said.push(format!(
            "CPython {}{threads}",
            escape_name(&process.python_version)
        ));
    }
    if process.allocator != Allocator::Unknown {
        said.push(process.allocator.name().to_owned());
    }
    said.push(format!("mode {}", settings.mode.name()));
    if settings.native != Native::default() {
        said.push(format!("native {}", settings.native.name()));
    }
    if model.hides_domains() {
        let shown: Vec<_> = settings
            .domains
            .iter()
            .map(|domain| domain.name())
            .collect();
        said.push(format!("only {}", shown.join(" + ")));
    }
    said.push(match model.end {
        None => "end not recorded".to_owned(),
        Some(end) => {
            let ran = duration(end.at_ns);
            match end.ended {
                Ended::Exit => format!("ran {ran}"),
                Ended::Exec => format!("ran {ran} until exec"),
                Ended::Signal => format!("ran {ran} until its signal"),
                Ended::Running => format!("recorded for {ran}"),
            }
        }
    });
    said
}

fn quality(model: &Model) -> (Tone, Vec<String>) {
    let quality = &model.quality;
    let is_exact = quality.lost_events == 0 && quality.missed_frees == 0;
    let verdict = if is_exact { "exact" } else { "not exact" };
    // No choice of domains narrows what was looked at.
    let of_domains = if model.hides_domains() {
        " of all domains"
    } else {
        ""
    };
    let mut said = vec![
        format!("{verdict}: {} events{of_domains}", count(quality.events)),
        format!("{} lost", count(quality.lost_events)),
    ];
    let mut say = |number: u64, text: String| {
        if number > 0 {
            said.push(text);
        }
    };
    say(
        quality.missed_frees,
        format!("{} missed frees", count(quality.missed_frees)),
    );
    say(
        quality.unmatched_frees,
        format!("{} unmatched frees", count(quality.unmatched_frees)),
    );
    say(
        quality.inherited_frees,
        format!("{} inherited frees", count(quality.inherited_frees)),
    );
    say(
        quality.unmatched_while_paused,
        format!(
            "{} frees unmatched while paused",
            count(quality.unmatched_while_paused)
        ),
    );
    say(
        quality.truncated_stacks,
        format!("{} stacks cut short", count(quality.truncated_stacks)),
    );
    say(
        quality.peak_error_bytes,
        format!("peak within {}", size(quality.peak_error_bytes)),
    );
    said.push(format!(
        "own cost {} CPU and {} mapped",
        duration(quality.own_cpu_ns),
        size(quality.own_memory_bytes)
    ));
    (if is_exact { Tone::Plain } else { Tone::Warning }, said)
}

/// The parts of a sentence, with their commas.
fn commas(mut parts: Vec<String>) -> Vec<String> {
    let last = parts.len().saturating_sub(1);
    parts[..last].iter_mut().for_each(|part| part.push(','));
    parts
}
