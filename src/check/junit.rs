//! The verdict as JUnit XML: one test case a limit, and one that says whether the capture proves anything.
//!
//! Invariant: what both common schemas of it (Jenkins' and that of Ant) ask for is there, in their order, and every text is of
//! characters that XML 1.0 allows.

use std::io::{self, Write};

use pytrace_model::text::{escape_name, is_printed};

use super::{Finding, Verdict, text};
use crate::capture;

/// Writes the verdict.
pub fn write(verdict: &Verdict<'_>, mut out: impl Write) -> io::Result<()> {
    let process = &verdict.capture.model.process;
    let failures = verdict.findings.iter().filter(|finding| !finding.is_held());
    let failures = failures.count() + usize::from(verdict.is_doubted());
    let package = attribute(&process.program);
    let seconds = verdict.capture.duration_ns() as f64 / 1e9;
    // Schemas want neither a fraction nor a zone.
    let started_at = capture::started_at(process);
    let started_at = started_at.get(..19).unwrap_or("1970-01-01T00:00:00");
    writeln!(out, r#"<?xml version="1.0" encoding="UTF-8"?>"#)?;
    writeln!(out, "<testsuites>")?;
    writeln!(
        out,
        r#"  <testsuite id="0" name="pytrace check" package="{package}" timestamp="{started_at}" hostname="localhost" tests="{}" failures="{failures}" errors="0" time="{seconds:.3}">"#,
        verdict.findings.len() + 1,
    )?;
    writeln!(out, "    <properties>")?;
    for (name, value) in [
        ("pid", process.pid.to_string()),
        ("python_version", process.python_version.clone()),
        ("ended", verdict.capture.ending.name().to_string()),
    ] {
        let value = attribute(&value);
        writeln!(out, r#"      <property name="{name}" value="{value}"/>"#)?;
    }
    writeln!(out, "    </properties>")?;
    let doubts: Vec<_> = verdict
        .doubts
        .iter()
        .map(|doubt| text::unproven(doubt))
        .collect();
    let doubted = verdict.is_doubted().then(|| doubts.join("\n"));
    case(
        &package,
        "the capture is complete",
        doubted.as_deref(),
        &mut out,
    )?;
    for finding in &verdict.findings {
        let failure = (!finding.is_held()).then(|| text::exceeded(finding));
        case(&package, &name(finding), failure.as_deref(), &mut out)?;
    }
    let mut said: Vec<_> = verdict
        .findings
        .iter()
        .filter(|finding| finding.is_held())
        .map(text::held)
        .collect();
    // What was allowed is no failure, but it is not hidden.
    if !verdict.is_doubted() {
        said.extend(verdict.doubts.iter().map(|doubt| format!("note: {doubt}")));
    }
    said.extend(verdict.notes.iter().cloned());
    writeln!(
        out,
        "    <system-out>{}</system-out>",
        content(&said.join("\n"))
    )?;
    writeln!(out, "    <system-err></system-err>")?;
    writeln!(out, "  </testsuite>")?;
    writeln!(out, "</testsuites>")
}

/// A name that is the same from run to run, so that a server can follow a limit through them.
fn name(finding: &Finding) -> String {
    let source = finding.limit.source.option(finding.limit.metric);
    match source.strip_prefix("--max-") {
        Some(_) => source,
        None => format!("{source}: {}", finding.limit.metric.name()),
    }
}

fn case(package: &str, name: &str, failure: Option<&str>, out: &mut impl Write) -> io::Result<()> {
    let name = attribute(name);
    write!(
        out,
        r#"    <testcase classname="pytrace.{package}" name="{name}" time="0""#
    )?;
    match failure {
        None => writeln!(out, "/>"),
        Some(failure) => {
            let (message, text) = (attribute(failure), content(failure));
            writeln!(
                out,
                r#"><failure type="limit" message="{message}">{text}</failure></testcase>"#
            )
        }
    }
}

/// A text between quotes, on one line.
fn attribute(text: &str) -> String {
    content(&escape_name(text))
}

/// A text between tags: lines stay lines, other characters that control something are escaped as in Python.
fn content(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push('\n'),
            _ if is_printed(character) => escaped.push(character),
            _ => escaped.push_str(&escape_name(character.encode_utf8(&mut [0; 4]))),
        }
    }
    escaped
}
