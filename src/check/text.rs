//! The verdict as lines: one for each limit that is exceeded, one for each doubt; one for each limit
//! when all hold.

use std::io::{self, Write};

use pytrace_model::label;
use pytrace_model::text::{escape_name, percent};

use super::limit::amount;
use super::{Finding, Place, Verdict};

/// Writes the verdict.
pub fn write(verdict: &Verdict<'_>, mut out: impl Write) -> io::Result<()> {
    for finding in verdict.findings.iter().filter(|finding| !finding.is_held()) {
        writeln!(out, "{}", exceeded(finding))?;
    }
    for doubt in &verdict.doubts {
        if verdict.allow_doubts {
            writeln!(out, "note: {doubt}")?;
        } else {
            writeln!(out, "{}", unproven(doubt))?;
        }
    }
    for note in &verdict.notes {
        writeln!(out, "note: {note}")?;
    }
    if verdict.is_good() {
        for finding in &verdict.findings {
            writeln!(out, "held: {}", held(finding))?;
        }
    }
    Ok(())
}

/// `peak 12.3 MiB exceeds --max-peak 10.0 MiB by 2.30 MiB (23.0%); most in f app.py:7 (8.10 MiB, 66.0%)`
pub(super) fn exceeded(finding: &Finding) -> String {
    let Finding {
        limit,
        measured,
        place,
    } = finding;
    let metric = limit.metric;
    let over = measured.saturating_sub(limit.most);
    let mut text = format!(
        "{} {} exceeds {} by {}",
        metric.name(),
        amount(metric, *measured),
        limit.words(),
        amount(metric, over),
    );
    if limit.most > 0 {
        text += &format!(" ({})", percent(over, limit.most));
    }
    if let Some(place) = place {
        let part = amount(metric, place.part);
        text += &match place.is_growth {
            true => format!("; grew most in {} (by {part})", words(place)),
            false => {
                let share = percent(place.part, *measured);
                format!("; most in {} ({part}, {share})", words(place))
            }
        };
    }
    text
}

/// `peak 8.49 MiB of --max-peak 10.0 MiB`
pub(super) fn held(finding: &Finding) -> String {
    let Finding {
        limit, measured, ..
    } = finding;
    let measured = amount(limit.metric, *measured);
    format!(
        "{} {measured} within {}",
        limit.metric.name(),
        limit.words()
    )
}

pub(super) fn unproven(doubt: &str) -> String {
    format!("not proven: {doubt}; --allow-incomplete lets that pass")
}

/// A place for people: `function path:line`.
pub(super) fn words(place: &Place) -> String {
    if place.file.is_empty() {
        return match place.module.as_str() {
            "" => "code without a Python stack".to_string(),
            module => format!("{} (no Python code)", label::module_name(module)),
        };
    }
    let function = escape_name(&place.function);
    format!(
        "{function} {}:{}",
        label::source_path(&place.file),
        place.line
    )
}
