//! Any payloads of frames whose checksums are right: a report in every form, or one error.
#![no_main]

use std::fs;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use pytrace::analysis::{Grouping, Metric};
use pytrace::capture::Capture;
use pytrace::report::{Report, collapsed, csv, json, parquet, pprof, speedscope, text};
use pytrace_format::synth::file_of;

/// The file that a round writes and reads: in memory, where the system has such a folder.
static PATH: LazyLock<std::path::PathBuf> = LazyLock::new(|| {
    let shared = std::path::Path::new("/dev/shm");
    let folder = if shared.is_dir() {
        shared.to_path_buf()
    } else {
        std::env::temp_dir()
    };
    folder.join(format!("pytrace-fuzz-{}.pytrace", std::process::id()))
});

fuzz_target!(|bytes: &[u8]| {
    fs::write(&*PATH, file_of(bytes)).expect("room for a small file");
    let Ok(capture) = Capture::open(&PATH) else {
        return;
    };
    let groupings = [
        Grouping::Site,
        Grouping::Line,
        Grouping::Function,
        Grouping::File,
        Grouping::Module,
    ];
    let grouping = groupings[bytes.len() % groupings.len()];
    let report = Report {
        capture: &capture,
        members: &[],
        filtered: None,
        metric: Metric::Peak,
        grouping,
        top: None,
        notes: &[],
    };
    let mut out = Vec::new();
    text::write(&report, 80, true, &mut out).expect("memory takes everything");
    assert!(std::str::from_utf8(&out).is_ok());
    json::write(&report, &mut out).expect("memory takes everything");
    let report = Report {
        grouping: Grouping::Site,
        ..report
    };
    let done = collapsed::write(&report, &mut out)
        .and_then(|()| speedscope::write(&report, &mut out))
        .and_then(|()| csv::write(&report, &mut out))
        .and_then(|()| parquet::write(&report, &mut out))
        .and_then(|()| pprof::write(&report, &mut out));
    done.expect("memory takes everything");
});
