//! The verdict as workflow commands of GitHub Actions, which shows them beside the lines of a change.
//!
//! Invariant: no name of the program can end a property, a command or its line.

use std::io::{self, Write};
use std::path::Path;

use pytrace_model::text::escape_name;

use super::{Verdict, text};

/// Writes the verdict. Files under `folder` are named from there, as GitHub names those of a repository.
pub fn write(verdict: &Verdict<'_>, folder: &Path, mut out: impl Write) -> io::Result<()> {
    for finding in &verdict.findings {
        if finding.is_held() {
            writeln!(out, "{}", text::held(finding))?;
            continue;
        }
        let mut properties = Vec::new();
        if let Some(place) = finding.place.as_ref().filter(|place| is_file(&place.file)) {
            let file = Path::new(&place.file);
            let file = file.strip_prefix(folder).unwrap_or(file);
            let file = escape_name(&file.to_string_lossy());
            properties.push(format!("file={}", property(&file)));
            properties.push(format!("line={}", place.line));
        }
        let title = format!("{} over its limit", finding.limit.metric.name());
        properties.push(format!("title={}", property(&title)));
        let message = message(&text::exceeded(finding));
        writeln!(out, "::error {}::{message}", properties.join(","))?;
    }
    for doubt in &verdict.doubts {
        let (command, words) = match verdict.allow_doubts {
            true => ("warning", doubt.clone()),
            false => ("error", text::unproven(doubt)),
        };
        writeln!(
            out,
            "::{command} title=limits not proven::{}",
            message(&words)
        )?;
    }
    for note in &verdict.notes {
        writeln!(out, "::notice::{}", message(note))?;
    }
    Ok(())
}

/// Whether a name of a source is one that can have an annotation: not `<string>`.
fn is_file(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('<')
}

/// What the runner reads back as the text itself.
fn message(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
}
