//! What the capture of the traced run proves.

use pytrace_model::Model;
use pytrace_model::record::{Allocator, Domain, Frame, Moment, Scope};
use pytrace_model::text::{count, escape_name, size};

use super::checks::{Checkup, Verdict};
use super::probe::{FUNCTION, Findings, SIZE_BYTES};
use crate::capture::Capture;

impl Checkup {
    pub(super) fn capture(&mut self, findings: &Findings) {
        let capture = match &findings.capture {
            Some(Ok(capture)) => capture,
            Some(Err(error)) => return self.add(Verdict::Fatal, "capture", error.to_string()),
            None => {
                let said = findings.traced.as_ref().map_or("", |run| run.stderr.trim());
                let said = said.lines().next().unwrap_or("the library said nothing");
                let finding = format!("none was written: {}", escape_name(said));
                return self.add(Verdict::Fatal, "capture", finding);
            }
        };
        let model = &capture.model;
        let quality = &model.quality;
        let events = count(quality.events);
        if capture.is_complete() && quality.lost_events == 0 {
            let threads = if model.process.free_threaded {
                ", free-threaded build"
            } else {
                ""
            };
            self.add(
                Verdict::Good,
                "capture",
                format!("complete: {events} events, none lost{threads}"),
            );
        } else {
            let lost = count(quality.lost_events);
            let ended = capture.ending.name();
            let finding = format!("not complete: {events} events, {lost} lost, ended: {ended}");
            self.add(Verdict::Bad, "capture", finding);
        }
        self.domains(model);
        self.stacks(capture);
        self.arenas(model);
    }

    fn domains(&mut self, model: &Model) {
        let allocations = |domain| model.scope(Scope::Domain(domain)).counters.allocations;
        let seen = [Domain::Raw, Domain::Mem, Domain::Object];
        let text: Vec<_> = seen
            .iter()
            .map(|&domain| format!("{} {}", domain.name(), count(allocations(domain))))
            .collect();
        let text = text.join(", ");
        if seen.iter().all(|&domain| allocations(domain) > 0) {
            self.add(Verdict::Good, "hooks", format!("allocations seen: {text}"));
        } else {
            let finding =
                format!("no allocations in a domain: {text}; what goes through it is not counted");
            self.add(Verdict::Bad, "hooks", finding);
        }
        match allocations(Domain::Malloc) {
            0 => self.add(
                Verdict::Bad,
                "malloc",
                "no direct call of malloc was seen: the program brings an allocator of its own, or links it statically",
            ),
            seen => self.add(Verdict::Good, "malloc", format!("interposed: {} direct calls seen", count(seen))),
        }
    }

    fn stacks(&mut self, capture: &Capture) {
        let model = &capture.model;
        let reason = &model.process.no_stacks_reason;
        if !reason.is_empty() {
            return self.add(
                Verdict::Bad,
                "stacks",
                format!("missing: {}", escape_name(reason)),
            );
        }
        let found = model.sites_with_counters().any(|(site, counters)| {
            counters.requested_bytes >= SIZE_BYTES
                && model
                    .stack_frames(site.stack)
                    .any(|(_, frame)| match *frame {
                        Frame::Python { function, line, .. } => {
                            model.string(function) == FUNCTION && line == 3
                        }
                        Frame::Native { .. } => false,
                    })
        });
        if found {
            self.add(Verdict::Good, "stacks", "Python stacks, right to the line");
        } else {
            self.add(
                Verdict::Bad,
                "stacks",
                "a known allocation was not found on its line: call sites of this interpreter cannot be trusted",
            );
        }
    }

    fn arenas(&mut self, model: &Model) {
        const SUBJECT: &str = "arenas";
        let allocator = model.process.allocator;
        let state = model
            .pymalloc
            .get(&Moment::Exit)
            .or(model.pymalloc.get(&Moment::ExitByEvents));
        match (allocator, state) {
            (_, Some(state)) => self.add(
                Verdict::Good,
                SUBJECT,
                format!(
                    "{}: {} arenas of {}, pools of {}",
                    allocator.name(),
                    count(state.arenas),
                    size(state.arena_bytes),
                    size(state.pool_bytes)
                ),
            ),
            (Allocator::Pymalloc | Allocator::PymallocDebug | Allocator::Unknown, None) => self
                .add(
                    Verdict::Bad,
                    SUBJECT,
                    format!(
                        "allocator {}, and its arenas were not found",
                        allocator.name()
                    ),
                ),
            (other, None) => self.add(
                Verdict::Note,
                SUBJECT,
                format!("none: small objects are served by {}", other.name()),
            ),
        }
    }
}
