//! `processes`: those that a report of several captures is about.

use serde::Serialize;

use super::counters::TotalFields;
use super::process::{ProcessFields, QualityFields, SettingsFields};
use super::pymalloc::PymallocFields;
use super::{MarkFields, ShutdownFields, TimelineFields, marks, timeline};
use crate::merge::Member;

#[derive(Serialize)]
pub(super) struct MemberFields<'a> {
    capture: String,
    depth: usize,
    #[serde(flatten)]
    process: ProcessFields<'a>,
    settings: SettingsFields,
    quality: QualityFields<'a>,
    total: TotalFields,
    pymalloc: Option<PymallocFields<'a>>,
    timeline: Vec<TimelineFields>,
    marks: Vec<MarkFields<'a>>,
    shutdown: ShutdownFields,
}

pub(super) fn fields(members: &[Member]) -> Vec<MemberFields<'_>> {
    let fields = members.iter().map(|member| {
        let capture = &member.capture;
        let model = &capture.model;
        MemberFields {
            capture: member.path.to_string_lossy().into_owned(),
            depth: member.depth,
            process: ProcessFields::of(capture),
            settings: SettingsFields::of(model),
            quality: QualityFields::of(capture, capture.is_complete(), capture.unread.as_slice()),
            total: TotalFields::of(model),
            pymalloc: PymallocFields::of(model),
            timeline: timeline(model),
            marks: marks(model),
            shutdown: ShutdownFields::of(model),
        }
    });
    fields.collect()
}
