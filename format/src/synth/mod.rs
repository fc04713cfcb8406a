//! Captures made by hand, for tests: states a capture as calls and counts, and does the numbering.
//!
//! ```
//! use pytrace_format::record::{Counters, Domain};
//! use pytrace_format::synth::Synth;
//!
//! let mut synth = Synth::new();
//! let caller = synth.native("/usr/lib/libpython3.11.so.1.0", 0x1234, "_PyLong_New");
//! let line = synth.python("main", "app.py", 7);
//! let stack = synth.stack(&[caller, line]);
//! synth.site(Domain::Object, stack, Counters { allocations: 3, ..Counters::default() });
//! synth.scopes_from_sites();
//! let file = synth.file();
//! # assert_eq!(pytrace_format::Decoder::new(&file[..]).count(), synth.records().len());
//! ```

mod counted;
mod frames;
mod native;
mod realistic;

use crate::ids::{FrameId, ModuleId, SiteId, StackId, StringId};
use crate::record::{
    Counters, Domain, Frame, Module, NativeName, Record, Scope, ScopeCounters, Site, SiteCounters,
    SizeBucket, Sizes, Stack,
};
use crate::{Encoder, file_header};

pub use counted::counted;
pub use frames::file_of;
pub use native::with_native_stacks;
pub use realistic::realistic;

/// A capture in the making. Equal rows are made once.
#[derive(Clone, Debug, Default)]
pub struct Synth {
    records: Vec<Record>,
    strings: Vec<String>,
    modules: Vec<Module>,
    frames: Vec<Frame>,
    stacks: Vec<Stack>,
    sites: Vec<Site>,
}

impl Synth {
    /// A capture that says nothing yet.
    pub fn new() -> Synth {
        Synth::default()
    }

    /// Adds any record as it is.
    pub fn record(&mut self, record: Record) {
        self.records.push(record);
    }

    /// The handle of a string.
    pub fn string(&mut self, text: &str) -> StringId {
        let (row, new) = intern(&mut self.strings, text.to_owned());
        if new {
            self.records.push(Record::String(text.to_owned()));
        }
        StringId(row)
    }

    /// The handle of a module.
    pub fn module(&mut self, path: &str, build_id: &[u8]) -> ModuleId {
        let module = Module {
            path: self.string(path),
            build_id: build_id.to_vec(),
        };
        let (row, new) = intern(&mut self.modules, module.clone());
        if new {
            self.records.push(Record::Module(module));
        }
        ModuleId(row)
    }

    /// A line of Python code.
    pub fn python(&mut self, function: &str, file: &str, line: u32) -> FrameId {
        let function = self.string(function);
        let file = self.string(file);
        self.frame(Frame::Python {
            function,
            file,
            line,
        })
    }

    /// An address of native code in a module without a build id; named when `function` is not empty.
    pub fn native(&mut self, module: &str, address: u64, function: &str) -> FrameId {
        let module = self.module(module, &[]);
        self.native_in(module, address, function)
    }

    /// An address of native code; named when `function` is not empty.
    pub fn native_in(&mut self, module: ModuleId, address: u64, function: &str) -> FrameId {
        let frame = self.frame(Frame::Native { module, address });
        if !function.is_empty() {
            let function = self.string(function);
            let name = NativeName {
                frame,
                function,
                file: StringId(0),
                line: 0,
            };
            self.records.push(Record::NativeName(name));
        }
        frame
    }

    /// A stack of these frames, innermost first.
    pub fn stack(&mut self, innermost_first: &[FrameId]) -> StackId {
        innermost_first
            .iter()
            .rev()
            .fold(StackId(0), |parent, &frame| {
                let stack = Stack { parent, frame };
                let (row, new) = intern(&mut self.stacks, stack);
                if new {
                    self.records.push(Record::Stack(stack));
                }
                StackId(row)
            })
    }

    /// A call site and its counters.
    pub fn site(&mut self, domain: Domain, stack: StackId, counters: Counters) -> SiteId {
        let site = Site { domain, stack };
        let (row, new) = intern(&mut self.sites, site);
        if new {
            self.records.push(Record::Site(site));
        }
        let site = SiteId(row);
        self.records
            .push(Record::SiteCounters(SiteCounters { site, counters }));
        site
    }

    /// A size histogram: (size, allocations, live blocks), ascending.
    pub fn sizes(&mut self, domain: Domain, sizes: &[(u64, u64, u64)]) {
        let buckets = sizes
            .iter()
            .map(|&(size, allocations, live_blocks)| SizeBucket {
                from: size,
                to: size,
                allocations,
                requested_bytes: size * allocations,
                live_blocks,
            })
            .collect();
        self.records.push(Record::Sizes(Sizes { domain, buckets }));
    }

    /// The domains and the total as the sums of the sites made so far.
    pub fn scopes_from_sites(&mut self) {
        let mut domains = Domain::ALL.map(|domain| (Scope::Domain(domain), Counters::default()));
        let mut total = Counters::default();
        for record in &self.records {
            let Record::SiteCounters(of_site) = record else {
                continue;
            };
            let domain = self.sites[of_site.site.0 as usize - 1].domain;
            add(&mut domains[domain as usize].1, &of_site.counters);
            if domain != Domain::Mmap {
                add(&mut total, &of_site.counters);
            }
        }
        for (scope, counters) in domains.into_iter().chain([(Scope::Total, total)]) {
            self.records.push(Record::ScopeCounters(ScopeCounters {
                scope,
                counters,
                max_live_bytes: counters.peak_bytes,
                max_live_at_ns: 1_000_000_000,
                max_size_bytes: 0,
            }));
        }
    }

    /// The records made so far.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The capture as a file.
    ///
    /// # Panics
    /// When a record fits no frame.
    pub fn file(&self) -> Vec<u8> {
        let mut encoder = Encoder::new();
        for record in &self.records {
            encoder
                .push(record)
                .expect("a record of a hand-made capture fits a frame");
        }
        [&file_header()[..], encoder.finish()].concat()
    }

    fn frame(&mut self, frame: Frame) -> FrameId {
        let (row, new) = intern(&mut self.frames, frame.clone());
        if new {
            self.records.push(Record::Frame(frame));
        }
        FrameId(row)
    }
}

/// The row of a value, and whether it was added now.
fn intern<T: PartialEq>(table: &mut Vec<T>, value: T) -> (u32, bool) {
    let found = table.iter().position(|row| *row == value);
    if found.is_none() {
        table.push(value);
    }
    (found.unwrap_or(table.len() - 1) as u32 + 1, found.is_none())
}

fn add(sum: &mut Counters, counters: &Counters) {
    sum.allocations += counters.allocations;
    sum.reallocations += counters.reallocations;
    sum.frees += counters.frees;
    sum.requested_bytes += counters.requested_bytes;
    sum.served_bytes += counters.served_bytes;
    sum.live_blocks += counters.live_blocks;
    sum.live_bytes += counters.live_bytes;
    sum.peak_bytes += counters.peak_bytes;
    sum.temporary_allocations += counters.temporary_allocations;
}
