//! `process`, `settings` and `quality`.

use pytrace_model::Model;
use pytrace_model::record::Domain;
use serde::Serialize;

use super::seconds;
use crate::capture::{Capture, started_at};

#[derive(Serialize)]
pub(super) struct ProcessFields<'a> {
    pid: u32,
    parent_pid: u32,
    argv0: &'a str,
    program: &'a str,
    executable: &'a str,
    python_version: &'a str,
    free_threaded: bool,
    tree: &'a str,
    started_at: String,
    duration_s: f64,
    ended: &'static str,
}

impl ProcessFields<'_> {
    pub(super) fn of(capture: &Capture) -> ProcessFields<'_> {
        let process = &capture.model.process;
        ProcessFields {
            pid: process.pid,
            parent_pid: process.parent_pid,
            argv0: &process.argv0,
            program: &process.program,
            executable: &process.executable,
            python_version: &process.python_version,
            free_threaded: process.free_threaded,
            tree: &process.tree,
            started_at: started_at(process),
            duration_s: seconds(capture.duration_ns()),
            ended: capture.ending.name(),
        }
    }
}

#[derive(Serialize)]
pub(super) struct SettingsFields {
    mode: &'static str,
    native: &'static str,
    depth: u32,
    domains: Vec<&'static str>,
    interval_ms: u32,
    allocator: &'static str,
}

impl SettingsFields {
    pub(super) fn of(model: &Model) -> SettingsFields {
        let settings = &model.settings;
        SettingsFields {
            mode: settings.mode.name(),
            native: settings.native.name(),
            depth: settings.depth,
            domains: settings.domains.iter().copied().map(Domain::name).collect(),
            interval_ms: settings.interval_ms,
            allocator: model.process.allocator.name(),
        }
    }
}

#[derive(Serialize)]
pub(super) struct QualityFields<'a> {
    events: u64,
    lost_events: u64,
    unmatched_frees: u64,
    missed_frees: u64,
    inherited_frees: u64,
    unmatched_while_paused: u64,
    truncated_stacks: u64,
    peak_error_bytes: u64,
    own_cpu_s: f64,
    own_memory_bytes: u64,
    complete: bool,
    no_stacks_reason: Option<&'a str>,
    notes: &'a [String],
}

impl QualityFields<'_> {
    pub(super) fn of<'a>(
        capture: &'a Capture,
        complete: bool,
        notes: &'a [String],
    ) -> QualityFields<'a> {
        let quality = &capture.model.quality;
        let no_stacks_reason = capture.model.process.no_stacks_reason.as_str();
        QualityFields {
            events: quality.events,
            lost_events: quality.lost_events,
            unmatched_frees: quality.unmatched_frees,
            missed_frees: quality.missed_frees,
            inherited_frees: quality.inherited_frees,
            unmatched_while_paused: quality.unmatched_while_paused,
            truncated_stacks: quality.truncated_stacks,
            peak_error_bytes: quality.peak_error_bytes,
            own_cpu_s: seconds(quality.own_cpu_ns),
            own_memory_bytes: quality.own_memory_bytes,
            complete,
            no_stacks_reason: Some(no_stacks_reason).filter(|reason| !reason.is_empty()),
            notes,
        }
    }
}
