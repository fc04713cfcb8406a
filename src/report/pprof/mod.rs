//! A profile for pprof: gzip over the message `perftools.profiles.Profile` of its proto/profile.proto.
//!
//! Each site is a sample with every metric as a value, the report's as the default, and its domain as a label. Functions,
//! locations and mappings are written where the first sample needs them: the fields of a message may come in any order, so
//! what is kept are handles and the texts.

mod protobuf;

use std::collections::HashMap;
use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use pytrace_model::Model;
use pytrace_model::ids::{FrameId, ModuleId, StackId};
use pytrace_model::record::Frame;
use pytrace_model::text::escape_name;

use super::stacks::{self, Call};
use super::{Report, title};
use crate::analysis::{Metric, Subject};
use protobuf::Message;

/// The number of each field used, by message.
mod field {
    pub(super) mod profile {
        pub(crate) const SAMPLE_TYPE: u32 = 1;
        pub(crate) const SAMPLE: u32 = 2;
        pub(crate) const MAPPING: u32 = 3;
        pub(crate) const LOCATION: u32 = 4;
        pub(crate) const FUNCTION: u32 = 5;
        pub(crate) const STRING_TABLE: u32 = 6;
        pub(crate) const TIME_NANOS: u32 = 9;
        pub(crate) const DURATION_NANOS: u32 = 10;
        pub(crate) const COMMENT: u32 = 13;
        pub(crate) const DEFAULT_SAMPLE_TYPE: u32 = 14;
    }
    pub(super) mod value_type {
        pub(crate) const TYPE: u32 = 1;
        pub(crate) const UNIT: u32 = 2;
    }
    pub(super) mod sample {
        pub(crate) const LOCATION_ID: u32 = 1;
        pub(crate) const VALUE: u32 = 2;
        pub(crate) const LABEL: u32 = 3;
    }
    pub(super) mod label {
        pub(crate) const KEY: u32 = 1;
        pub(crate) const STR: u32 = 2;
    }
    pub(super) mod mapping {
        pub(crate) const ID: u32 = 1;
        pub(crate) const FILENAME: u32 = 5;
        pub(crate) const BUILD_ID: u32 = 6;
        pub(crate) const HAS_FUNCTIONS: u32 = 7;
        pub(crate) const HAS_FILENAMES: u32 = 8;
        pub(crate) const HAS_LINE_NUMBERS: u32 = 9;
        pub(crate) const HAS_INLINE_FRAMES: u32 = 10;
    }
    pub(super) mod location {
        pub(crate) const ID: u32 = 1;
        pub(crate) const MAPPING_ID: u32 = 2;
        pub(crate) const ADDRESS: u32 = 3;
        pub(crate) const LINE: u32 = 4;
    }
    pub(super) mod line {
        pub(crate) const FUNCTION_ID: u32 = 1;
        pub(crate) const LINE: u32 = 2;
    }
    pub(super) mod function {
        pub(crate) const ID: u32 = 1;
        pub(crate) const NAME: u32 = 2;
        pub(crate) const SYSTEM_NAME: u32 = 3;
        pub(crate) const FILENAME: u32 = 4;
    }
}

/// The values of a sample, in their order.
const METRICS: [Metric; 6] = [
    Metric::Allocated,
    Metric::Allocations,
    Metric::Live,
    Metric::Peak,
    Metric::Temporary,
    Metric::Slack,
];

/// Writes the sites.
pub fn write(report: &Report<'_>, out: impl Write) -> io::Result<()> {
    let model = &report.capture.model;
    let mut profile = Profile::new(GzEncoder::new(out, Compression::fast()))?;
    profile.head(report)?;
    for row in stacks::rows(report) {
        let Subject::Site(domain) = row.subject else {
            continue;
        };
        let locations = profile.locations(model, row.stack)?;
        let mut label = Message::default();
        label.number(field::label::KEY, profile.text("domain")?);
        label.number(field::label::STR, profile.text(domain.name())?);
        let mut sample = Message::default();
        sample.numbers(field::sample::LOCATION_ID, locations);
        sample.numbers(
            field::sample::VALUE,
            METRICS.map(|metric| metric.of(&row.counters).min(i64::MAX.unsigned_abs())),
        );
        sample.message(field::sample::LABEL, &label);
        profile.put(field::profile::SAMPLE, &sample)?;
    }
    profile.out.finish()?.flush()
}

/// A profile that is being written.
struct Profile<W: Write> {
    out: GzEncoder<W>,
    message: Message,
    texts: HashMap<String, u64>,
    functions: HashMap<(u64, u64), u64>,
    locations: HashMap<FrameId, u64>,
    mappings: HashMap<ModuleId, u64>,
    nowhere: Option<u64>,
}

impl<W: Write> Profile<W> {
    fn new(out: GzEncoder<W>) -> io::Result<Profile<W>> {
        let mut profile = Profile {
            out,
            message: Message::default(),
            texts: HashMap::new(),
            functions: HashMap::new(),
            locations: HashMap::new(),
            mappings: HashMap::new(),
            nowhere: None,
        };
        // The first text is the empty one.
        profile.text("")?;
        Ok(profile)
    }

    /// What the values mean, and what the profile is of.
    fn head(&mut self, report: &Report<'_>) -> io::Result<()> {
        use field::{profile, value_type};
        let model = &report.capture.model;
        for metric in METRICS {
            let unit = if metric.is_bytes() { "bytes" } else { "count" };
            let mut value_type = Message::default();
            value_type.number(value_type::TYPE, self.text(metric.name())?);
            value_type.number(value_type::UNIT, self.text(unit)?);
            self.put(profile::SAMPLE_TYPE, &value_type)?;
        }
        let default = self.text(report.metric.name())?;
        let comments = core::iter::once(title(report)).chain(report.notes.iter().cloned());
        for comment in comments.collect::<Vec<_>>() {
            let comment = self.text(&escape_name(&comment))?;
            self.message.number(profile::COMMENT, comment);
        }
        self.message.number(profile::DEFAULT_SAMPLE_TYPE, default);
        self.message
            .number(profile::TIME_NANOS, model.process.started_at_unix_ns);
        self.message
            .number(profile::DURATION_NANOS, report.capture.duration_ns());
        self.send()
    }

    /// The locations of a stack, innermost first.
    fn locations(&mut self, model: &Model, stack: StackId) -> io::Result<Vec<u64>> {
        let mut locations = Vec::new();
        for (id, frame) in model.stack_frames(stack) {
            locations.push(match self.locations.get(&id) {
                Some(&known) => known,
                None => {
                    let location = self.location(model, id, frame)?;
                    self.locations.insert(id, location);
                    location
                }
            });
        }
        if locations.is_empty() {
            // A sample without a location is left out by `go tool pprof`.
            let location = match self.nowhere {
                Some(known) => known,
                None => self.put_location(0, 0, &[Call::nowhere()])?,
            };
            self.nowhere = Some(location);
            locations.push(location);
        }
        Ok(locations)
    }

    fn location(&mut self, model: &Model, id: FrameId, frame: &Frame) -> io::Result<u64> {
        let calls = stacks::calls(model, id, frame);
        match *frame {
            Frame::Python { .. } => self.put_location(0, 0, &calls),
            Frame::Native { module, address } => {
                let mapping = self.mapping(model, module)?;
                self.put_location(mapping, address, &calls)
            }
        }
    }

    fn put_location(&mut self, mapping: u64, address: u64, calls: &[Call]) -> io::Result<u64> {
        use field::{line, location};
        let number = self.locations.len() as u64 + 1 + u64::from(self.nowhere.is_some());
        let mut message = Message::default();
        message.number(location::ID, number);
        message.number(location::MAPPING_ID, mapping);
        message.number(location::ADDRESS, address);
        for call in calls {
            let mut place = Message::default();
            place.number(line::FUNCTION_ID, self.function(call)?);
            place.number(line::LINE, u64::from(call.line));
            message.message(location::LINE, &place);
        }
        self.put(field::profile::LOCATION, &message)?;
        Ok(number)
    }

    fn function(&mut self, call: &Call) -> io::Result<u64> {
        use field::function;
        let key = (self.text(&call.function)?, self.text(&call.file)?);
        if let Some(&known) = self.functions.get(&key) {
            return Ok(known);
        }
        let number = self.functions.len() as u64 + 1;
        self.functions.insert(key, number);
        let (name, file) = key;
        let mut message = Message::default();
        message.number(function::ID, number);
        message.number(function::NAME, name);
        message.number(function::SYSTEM_NAME, name);
        message.number(function::FILENAME, file);
        self.put(field::profile::FUNCTION, &message)?;
        Ok(number)
    }

    fn mapping(&mut self, model: &Model, id: ModuleId) -> io::Result<u64> {
        use field::mapping;
        let Some(module) = model.module(id) else {
            return Ok(0);
        };
        if let Some(&known) = self.mappings.get(&id) {
            return Ok(known);
        }
        let number = self.mappings.len() as u64 + 1;
        self.mappings.insert(id, number);
        let build_id: String = module
            .build_id
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let mut message = Message::default();
        message.number(mapping::ID, number);
        message.number(
            mapping::FILENAME,
            self.text(&escape_name(model.string(module.path)))?,
        );
        message.number(mapping::BUILD_ID, self.text(&build_id)?);
        // What can be named is named: pprof need not look for the files.
        for named in [
            mapping::HAS_FUNCTIONS,
            mapping::HAS_FILENAMES,
            mapping::HAS_LINE_NUMBERS,
            mapping::HAS_INLINE_FRAMES,
        ] {
            message.number(named, 1);
        }
        self.put(field::profile::MAPPING, &message)?;
        Ok(number)
    }

    /// The number of a text.
    fn text(&mut self, text: &str) -> io::Result<u64> {
        if let Some(&known) = self.texts.get(text) {
            return Ok(known);
        }
        let number = self.texts.len() as u64;
        self.texts.insert(text.to_owned(), number);
        self.message
            .bytes(field::profile::STRING_TABLE, text.as_bytes());
        self.send()?;
        Ok(number)
    }

    fn put(&mut self, field: u32, message: &Message) -> io::Result<()> {
        self.message.message(field, message);
        self.send()
    }

    fn send(&mut self) -> io::Result<()> {
        let bytes = self.message.take();
        self.out.write_all(&bytes)
    }
}
