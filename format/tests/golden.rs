//! Captures that earlier versions wrote stay readable, record by record.
//!
//! `golden/vN.pytrace` holds [`records`], as the last encoder of major version N wrote them. A new major version adds a file: written by
//! `PYTRACE_WRITE_GOLDEN=1 cargo test -p pytrace-format golden`, which overwrites that of the present version alone.

use std::path::PathBuf;

use pytrace_format::ids::{FrameId, ModuleId, SiteId, StackId, StringId};
use pytrace_format::record::*;
use pytrace_format::{Decoder, VERSION_MAJOR};

use crate::file;

/// Every kind of record, tables in an order that a program could have written.
fn records() -> Vec<Record> {
    let mut records = vec![
        Record::Process(Process {
            pid: 4711,
            parent_pid: 1,
            started_at_unix_ns: 1_700_000_000_123_456_789,
            argv0: "python".into(),
            program: "app.py".into(),
            executable: "/usr/bin/python3.11".into(),
            python_version: "3.11.7".into(),
            free_threaded: false,
            tree: "1f:4711".into(),
            allocator: Allocator::Pymalloc,
            no_stacks_reason: String::new(),
        }),
        Record::Settings(Settings {
            mode: Mode::Sites,
            native: Native::Caller,
            depth: 0,
            domains: Domain::ALL.to_vec(),
            interval_ms: 100,
        }),
    ];
    let names = ["main", "/app/app.py", "größe", "/usr/lib/libz.so.1"];
    records.extend(names.map(|name| Record::String(name.into())));
    records.push(Record::Module(Module {
        path: StringId(4),
        build_id: vec![0xde, 0xad, 0xbe, 0xef],
    }));
    for line in [3, 7, 7_000, 1] {
        records.push(Record::Frame(Frame::Python {
            function: StringId(1 + 2 * (line & 1)),
            file: StringId(2),
            line,
        }));
    }
    for (module, address) in [(1, 0x1234), (0, 0x7f12_3456_7890), (1, 0x1230)] {
        records.push(Record::Frame(Frame::Native {
            module: ModuleId(module),
            address,
        }));
    }
    for (parent, frame) in [(0, 1), (1, 2), (2, 5), (1, 3), (4, 4), (5, 7), (0, 6)] {
        records.push(Record::Stack(Stack {
            parent: StackId(parent),
            frame: FrameId(frame),
        }));
    }
    for (domain, stack) in [(2, 3), (3, 3), (0, 6), (4, 7), (1, 0)] {
        records.push(Record::Site(Site {
            domain: Domain::ALL[domain],
            stack: StackId(stack),
        }));
    }
    let once = Counters {
        allocations: 1,
        requested_bytes: 300,
        served_bytes: 304,
        live_blocks: 1,
        live_bytes: 300,
        peak_bytes: 300,
        ..Counters::default()
    };
    let many = Counters {
        allocations: 1_000_000,
        reallocations: 12,
        frees: 999_990,
        requested_bytes: 1 << 40,
        served_bytes: (1 << 40) + 17,
        live_blocks: 9,
        live_bytes: 4_096,
        peak_bytes: 1 << 30,
        temporary_allocations: 77,
    };
    let extreme = Counters {
        allocations: u64::MAX,
        served_bytes: 1,
        requested_bytes: u64::MAX,
        ..Counters::default()
    };
    for (site, counters) in [(1, once), (2, many), (5, Counters::default()), (3, extreme)] {
        records.push(Record::SiteCounters(SiteCounters {
            site: SiteId(site),
            counters,
        }));
    }
    records.extend([
        Record::NativeName(NativeName {
            frame: FrameId(5),
            function: StringId(3),
            file: StringId(0),
            line: 0,
        }),
        Record::ScopeCounters(ScopeCounters {
            scope: Scope::Total,
            counters: many,
            max_live_bytes: 1 << 30,
            max_live_at_ns: 5_000_000,
            max_size_bytes: 1 << 20,
        }),
        Record::Sizes(Sizes {
            domain: Domain::Object,
            buckets: vec![
                SizeBucket {
                    from: 300,
                    to: 300,
                    allocations: 1,
                    requested_bytes: 300,
                    live_blocks: 1,
                },
                SizeBucket {
                    from: 1025,
                    to: 1040,
                    allocations: 999_999,
                    requested_bytes: 1 << 40,
                    live_blocks: 8,
                },
            ],
        }),
        Record::Pymalloc(Pymalloc {
            moment: Moment::Peak,
            arena_bytes: 1 << 20,
            pool_bytes: 1 << 14,
            arenas: 3,
            arenas_peak: 4,
            arenas_allocated_total: 5,
            arenas_freed_total: 2,
            pools_total: 192,
            pools_free: 20,
            pools_partial: 100,
            pools_full: 72,
            classes: vec![SizeClass {
                size: 304,
                pools: 1,
                blocks_in_use: 1,
                blocks_free: 52,
            }],
            arena_bytes_in_use: vec![1 << 19, 0, 17],
        }),
        Record::Quality(Quality {
            events: 2_000_003,
            own_cpu_ns: 12_345_678,
            own_memory_bytes: 5 << 20,
            ..Quality::default()
        }),
        Record::Timeline(TimelinePoint {
            at_ns: 100_000_000,
            live_bytes: 4_396,
            rss_bytes: 13 << 20,
            arenas: 3,
            allocations: 1_000_001,
        }),
        Record::Mark(Mark {
            at_ns: 99,
            name: "begun".into(),
        }),
        Record::Shutdown(Shutdown {
            allocations: 12,
            frees: 13,
            requested_bytes: 900,
        }),
        Record::End(End {
            ended: Ended::Exit,
            at_ns: 123_456_789,
        }),
    ]);
    records
}

fn path(version: u16) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    folder.join(format!("v{version}.pytrace"))
}

#[test]
fn golden_files_of_every_version_give_the_records_they_were_made_of() {
    if std::env::var_os("PYTRACE_WRITE_GOLDEN").is_some() {
        std::fs::write(path(VERSION_MAJOR), file(&records())).unwrap();
    }
    for version in 1..=VERSION_MAJOR {
        let bytes = std::fs::read(path(version)).unwrap();
        let stated = u16::from_le_bytes([bytes[8], bytes[9]]);
        assert_eq!(stated, version);
        let read: Result<Vec<_>, _> = Decoder::new(&bytes[..]).collect();
        assert_eq!(read.unwrap(), records(), "version {version}");
    }
}
