//! `pytrace report --format json`, typed: reading it fails when a field that docs promise is missing.

use super::installation::command_line;
use super::watchdog::{LIMIT, Watched};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, ExitStatus};

/// A report.
#[derive(Debug, Deserialize)]
pub(crate) struct Report {
    pub(crate) schema: String,
    pub(crate) process: Process,
    pub(crate) settings: Settings,
    pub(crate) quality: Quality,
    pub(crate) domains: BTreeMap<String, Domain>,
    pub(crate) total: Total,
    pub(crate) pymalloc: Option<Pymalloc>,
    pub(crate) sites: Option<Vec<Site>>,
    pub(crate) timeline: Vec<TimelinePoint>,
    pub(crate) marks: Vec<Mark>,
    pub(crate) shutdown: Shutdown,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    pub(crate) parent_pid: u32,
    pub(crate) argv0: String,
    pub(crate) program: String,
    pub(crate) executable: String,
    pub(crate) python_version: String,
    pub(crate) free_threaded: bool,
    pub(crate) tree: String,
    pub(crate) started_at: String,
    pub(crate) duration_s: f64,
    pub(crate) ended: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Settings {
    pub(crate) mode: String,
    pub(crate) native: String,
    pub(crate) depth: u32,
    pub(crate) domains: Vec<String>,
    pub(crate) allocator: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Quality {
    pub(crate) events: u64,
    pub(crate) lost_events: u64,
    pub(crate) unmatched_frees: u64,
    pub(crate) missed_frees: u64,
    pub(crate) inherited_frees: u64,
    pub(crate) unmatched_while_paused: u64,
    pub(crate) truncated_stacks: u64,
    pub(crate) peak_error_bytes: u64,
    pub(crate) own_cpu_s: f64,
    pub(crate) own_memory_bytes: u64,
    pub(crate) complete: bool,
}

/// The counters of a domain, or of the total.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Counters {
    pub(crate) allocations: u64,
    pub(crate) reallocations: u64,
    pub(crate) frees: u64,
    pub(crate) requested_bytes: u64,
    pub(crate) served_bytes: u64,
    pub(crate) live_blocks: u64,
    pub(crate) live_bytes: Option<u64>,
    pub(crate) peak_bytes: Option<u64>,
    pub(crate) temporary_allocations: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Domain {
    #[serde(flatten)]
    pub(crate) counters: Counters,
    pub(crate) max_live_bytes: Option<u64>,
    pub(crate) sizes: Sizes,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Total {
    #[serde(flatten)]
    pub(crate) counters: Counters,
    pub(crate) peak_at_s: Option<f64>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Sizes {
    pub(crate) p50: u64,
    pub(crate) p90: u64,
    pub(crate) p99: u64,
    pub(crate) p999: u64,
    pub(crate) max: u64,
    pub(crate) mean: f64,
    pub(crate) buckets: Vec<Bucket>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Bucket {
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) allocations: u64,
    pub(crate) requested_bytes: u64,
    /// 0 in mode `counts`, which does not know it.
    #[serde(deserialize_with = "known_or_zero")]
    pub(crate) live_blocks: u64,
}

fn known_or_zero<'de, D: serde::Deserializer<'de>>(source: D) -> Result<u64, D::Error> {
    Option::deserialize(source).map(Option::unwrap_or_default)
}

#[derive(Debug, Deserialize)]
pub(crate) struct Pymalloc {
    #[serde(flatten)]
    pub(crate) at_end: Pools,
    /// Where the state at the end comes from: `memory` (it was walked) or `events`.
    pub(crate) source: String,
    pub(crate) at_peak: Option<Pools>,
    pub(crate) by_events: Option<Pools>,
}

/// pymalloc at one moment.
#[derive(Debug, Deserialize)]
pub(crate) struct Pools {
    pub(crate) arena_bytes: u64,
    pub(crate) pool_bytes: u64,
    pub(crate) arenas: u64,
    pub(crate) arenas_peak: u64,
    pub(crate) arenas_allocated_total: u64,
    pub(crate) arenas_freed_total: u64,
    pub(crate) pools_total: u64,
    pub(crate) pools_free: u64,
    pub(crate) pools_partial: u64,
    pub(crate) pools_full: u64,
    pub(crate) bytes_in_use: u64,
    pub(crate) bytes_free: u64,
    pub(crate) size_classes: Vec<SizeClass>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct SizeClass {
    pub(crate) size: u64,
    pub(crate) pools: u64,
    pub(crate) blocks_in_use: u64,
    pub(crate) blocks_free: u64,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Site {
    pub(crate) domain: String,
    pub(crate) allocations: u64,
    pub(crate) requested_bytes: u64,
    pub(crate) served_bytes: u64,
    pub(crate) live_blocks: u64,
    pub(crate) live_bytes: u64,
    pub(crate) peak_bytes: u64,
    pub(crate) temporary_allocations: u64,
    pub(crate) stack: Vec<Frame>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Frame {
    pub(crate) kind: String,
    pub(crate) function: Option<String>,
    pub(crate) file: Option<String>,
    pub(crate) line: Option<u32>,
    pub(crate) module: Option<String>,
    /// Whether the compiler put the function into its caller, which shares the address.
    #[serde(default)]
    pub(crate) inlined: bool,
}

#[derive(Debug, Deserialize)]
pub(crate) struct TimelinePoint {
    pub(crate) t_s: f64,
    pub(crate) live_bytes: Option<u64>,
    pub(crate) rss_bytes: Option<u64>,
    pub(crate) arenas: Option<u64>,
    pub(crate) allocations: u64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Mark {
    pub(crate) t_s: f64,
    pub(crate) name: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Shutdown {
    pub(crate) allocations: u64,
    pub(crate) frees: u64,
    pub(crate) requested_bytes: u64,
}

impl Report {
    /// Reads a capture with `pytrace report`.
    #[track_caller]
    pub(crate) fn of(capture: &Path) -> Report {
        Report::with_options(capture, &[])
    }

    /// The same with no more call sites than `count`, those with most live bytes: a part of many.
    #[track_caller]
    pub(crate) fn of_largest_live(capture: &Path, count: usize) -> Report {
        Report::with_options(capture, &["--metric", "live", "--top", &count.to_string()])
    }

    #[track_caller]
    fn with_options(capture: &Path, options: &[&str]) -> Report {
        let (status, stdout, stderr) = Report::printed(capture, options);
        assert!(
            status.success(),
            "{}: {status}\n{stderr}",
            capture.display()
        );
        Report::parsed(&stdout)
    }

    fn printed(capture: &Path, options: &[&str]) -> (ExitStatus, String, String) {
        let mut command = Command::new(command_line());
        command
            .arg("report")
            .arg(capture)
            .args(["--format", "json"])
            .args(options)
            .env_remove("LD_PRELOAD");
        Watched::start(&mut command, LIMIT).wait()
    }

    #[track_caller]
    fn parsed(json: &str) -> Report {
        let report: Report =
            serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}\n{}", head(json)));
        assert_eq!(report.schema, "pytrace.report/1");
        report
    }

    /// The call sites; there are none in mode `counts`.
    #[track_caller]
    pub(crate) fn sites(&self) -> &[Site] {
        self.sites.as_deref().expect("the report has sites")
    }

    /// The sites of a domain whose innermost Python frame is on this line of this file.
    pub(crate) fn sites_on_line(&self, domain: &str, file: &Path, line: u32) -> Vec<&Site> {
        let file = file.to_str().expect("test programs have plain names");
        self.sites()
            .iter()
            .filter(|site| site.domain == domain && site.python_line() == Some((file, line)))
            .collect()
    }

    /// The site of a domain on this line that has made several blocks. (What a line does once, such as the preparations of
    /// its first call, are sites of their own.)
    #[track_caller]
    pub(crate) fn site_of_blocks(&self, domain: &str, file: &Path, line: u32) -> &Site {
        let on_line = self.sites_on_line(domain, file, line);
        let several: Vec<_> = on_line.iter().filter(|site| site.allocations > 1).collect();
        let [site] = several[..] else {
            panic!("one site with several blocks was expected on line {line}: {on_line:#?}");
        };
        site
    }

    /// The sites whose C caller is this function.
    pub(crate) fn sites_of_caller(&self, function: &str) -> Vec<&Site> {
        self.sites()
            .iter()
            .filter(|site| site.caller() == Some(function))
            .collect()
    }

    /// Allocations and reallocations of exactly this size in a domain, which has at most 1024 bytes.
    pub(crate) fn bucket(&self, domain: &str, size: u64) -> Bucket {
        assert!(size <= 1024, "larger sizes share their buckets");
        let of_size = |bucket: &&Bucket| bucket.from == size && bucket.to == size;
        let found = self.domains[domain].sizes.buckets.iter().find(of_size);
        found.cloned().unwrap_or(Bucket {
            from: size,
            to: size,
            allocations: 0,
            requested_bytes: 0,
            live_blocks: 0,
        })
    }
}

impl Site {
    /// The Python frames, innermost first.
    pub(crate) fn python(&self) -> impl Iterator<Item = &Frame> {
        self.stack.iter().filter(|frame| frame.kind == "python")
    }

    /// File and line of the innermost Python frame.
    pub(crate) fn python_line(&self) -> Option<(&str, u32)> {
        let innermost = self.python().next()?;
        Some((innermost.file.as_deref()?, innermost.line?))
    }

    /// The C function that called the allocator.
    pub(crate) fn caller(&self) -> Option<&str> {
        let innermost = self.stack.first()?;
        (innermost.kind == "native").then_some(innermost.function.as_deref()?)
    }
}

fn head(text: &str) -> String {
    text.chars().take(2000).collect()
}
