//! A capture file, read into a model.
//!
//! Invariant: a file that holds anything at all gives a model, up to its last good record, and a note says what the rest
//! is. Only a file that is no capture, or says nothing yet, is an error.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use pytrace_format::{Decoder, FormatError};
use pytrace_model::Model;
use pytrace_model::record::{
    Counters, End, Ended, Frame, Mark, Module, NativeName, Process, Record, Site, SizeBucket,
    Stack, TimelinePoint,
};

use crate::error::{Error, Result, quoted};

/// A capture.
#[derive(Debug)]
pub struct Capture {
    /// What it says.
    pub model: Model,
    /// How the traced process ended, as far as can be known now.
    pub ending: Ending,
    /// One line on a part that could not be read; `None` when the file was read to its last byte.
    pub unread: Option<String>,
}

/// How a traced process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// exit, `_exit`, or the end of main.
    Exit,
    /// It became another program.
    Exec,
    /// A signal that it sent to itself.
    Signal,
    /// Its capture has no end, and the process is still there.
    Running,
    /// Its capture has no end, and the process is gone: killed, or the machine went down.
    Lost,
}

impl Ending {
    /// The name that reports use.
    pub fn name(self) -> &'static str {
        match self {
            Ending::Exit => "exit",
            Ending::Exec => "exec",
            Ending::Signal => "signal",
            Ending::Running => "running",
            Ending::Lost => "lost",
        }
    }

    /// Whether the process itself wrote that it ended.
    pub fn is_written(self) -> bool {
        matches!(self, Ending::Exit | Ending::Exec | Ending::Signal)
    }
}

impl Capture {
    /// Reads a capture.
    ///
    /// # Errors
    /// The file cannot be read, is no capture, was written by a newer version, or holds no record yet.
    pub fn open(path: &Path) -> Result<Capture> {
        Capture::open_watched(path, |_, _| ())
    }

    /// Reads a capture; `progress` is called often, with how many bytes were read and how many there are.
    ///
    /// # Errors
    /// Those of [`Capture::open`].
    pub fn open_watched(path: &Path, progress: impl FnMut(u64, u64)) -> Result<Capture> {
        let not_opened = |source| Error::not_opened(path, source);
        let metadata = fs::metadata(path).map_err(not_opened)?;
        if metadata.is_dir() {
            return Err(Error::not_a_capture(path, "a folder"));
        }
        let file = File::open(path).map_err(not_opened)?;
        let mut model = Model::default();
        let mut decoder = Decoder::new(Watched {
            file,
            read_bytes: 0,
            size_bytes: metadata.len(),
            progress,
        });
        let mut records: u64 = 0;
        let mut trouble = None;
        let mut budget = Budget::of_file(metadata.len());
        for record in decoder.by_ref() {
            let applied = match record {
                Ok(record) if !budget.covers(&record) => Err(Budget::EXCEEDED.to_string()),
                Ok(record) => model.apply(record).map_err(|error| error.to_string()),
                Err(error) => Err(description(path, error)?),
            };
            if let Err(reason) = applied {
                trouble = Some(reason);
                break;
            }
            records += 1;
        }
        if records == 0 {
            return Err(Error::not_decoded(
                path,
                trouble.unwrap_or_else(|| {
                    "it holds no record yet; try again once its program has run".to_string()
                }),
            ));
        }
        let size_bytes = metadata.len();
        let unread = trouble.map(|reason| {
            format!(
                "{}: {reason}; the report is what was complete before, {records} records (file: {size_bytes} bytes)",
                quoted(path)
            )
        });
        let ending = ending(&model);
        Ok(Capture {
            model,
            ending,
            unread,
        })
    }

    /// Whether the process wrote its end and the file was read to its last byte.
    pub fn is_complete(&self) -> bool {
        self.ending.is_written() && self.unread.is_none()
    }

    /// How long the process was traced, nanoseconds: to its end, or to the last moment that the capture knows of.
    pub fn duration_ns(&self) -> u64 {
        let model = &self.model;
        let ends = model.end.map(|end| end.at_ns);
        let points = model.timeline.last().map(|point| point.at_ns);
        let marks = model.marks.last().map(|mark| mark.at_ns);
        ends.max(points).max(marks).unwrap_or(0)
    }
}

/// How much memory the rows of a capture may take: a hostile file unpacks to far more rows than a program's.
struct Budget {
    left_bytes: u64,
}

impl Budget {
    /// What any file may take. Reports take up to four times as much beside.
    const SMALLEST_BYTES: u64 = 64 << 20;

    /// Bytes in memory for a byte of the file. The captures of programs take 5 to 40.
    const MOST_TIMES: u64 = 64;

    const EXCEEDED: &str =
        "the capture is damaged: it unpacks to more rows than a capture of its length has";

    fn of_file(size_bytes: u64) -> Budget {
        let of_length = size_bytes.saturating_mul(Self::MOST_TIMES);
        Budget {
            left_bytes: of_length.max(Self::SMALLEST_BYTES),
        }
    }

    /// Takes the record's row off, if there is room for it.
    fn covers(&mut self, record: &Record) -> bool {
        let row_bytes = match record {
            Record::String(text) => size_of::<String>() + text.len(),
            Record::Module(module) => size_of::<Module>() + module.build_id.len(),
            Record::Frame(_) => size_of::<Frame>(),
            Record::Stack(_) => size_of::<Stack>(),
            Record::Site(_) => size_of::<Site>() + size_of::<Counters>(),
            Record::NativeName(_) => 2 * size_of::<NativeName>(),
            Record::Timeline(_) => size_of::<TimelinePoint>(),
            Record::Mark(mark) => size_of::<Mark>() + mark.name.len(),
            Record::Sizes(sizes) => sizes.buckets.len() * size_of::<SizeBucket>(),
            // The others replace one another.
            _ => 0,
        };
        let left_bytes = self.left_bytes.checked_sub(row_bytes as u64);
        self.left_bytes = left_bytes.unwrap_or(0);
        left_bytes.is_some()
    }
}

/// A file that tells how far it was read.
struct Watched<F> {
    file: File,
    read_bytes: u64,
    size_bytes: u64,
    progress: F,
}

impl<F: FnMut(u64, u64)> Read for Watched<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.read_bytes += read as u64;
        (self.progress)(self.read_bytes, self.size_bytes);
        Ok(read)
    }
}

/// What a decoding error means for the report: an error of its own, or a note on what was read.
fn description(path: &Path, error: FormatError) -> Result<String> {
    match error {
        FormatError::Empty => Err(Error::not_a_capture(path, "empty")),
        FormatError::NotACapture { .. } => {
            Err(Error::not_a_capture(path, "some other kind of file"))
        }
        FormatError::UnsupportedVersion { .. } => Err(Error::not_decoded(path, error)),
        FormatError::Io { error, .. } => Err(Error::not_opened(path, error)),
        other => Ok(other.to_string()),
    }
}

fn ending(model: &Model) -> Ending {
    match model.end {
        Some(End {
            ended: Ended::Exit, ..
        }) => Ending::Exit,
        Some(End {
            ended: Ended::Exec, ..
        }) => Ending::Exec,
        Some(End {
            ended: Ended::Signal,
            ..
        }) => Ending::Signal,
        _ if still_runs(&model.process) => Ending::Running,
        _ => Ending::Lost,
    }
}

/// Whether the traced process is there: its number belongs to a process that is no zombie, runs the same executable
/// (where that may be seen) and started before the tracing did. A capture from another machine is so told from a process of
/// this one that happens to have the number.
fn still_runs(process: &Process) -> bool {
    let folder = Path::new("/proc").join(process.pid.to_string());
    let Ok(stat) = fs::read_to_string(folder.join("stat")) else {
        return false;
    };
    let Some((state, start_ticks)) = state_and_start(&stat) else {
        return false;
    };
    let same_executable = match fs::read_link(folder.join("exe")) {
        Ok(executable) => executable == Path::new(&process.executable),
        Err(error) => error.kind() == io::ErrorKind::PermissionDenied,
    };
    let boot_s = fs::read_to_string("/proc/stat").ok().and_then(|stat| {
        let line = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
        line.trim().parse::<u64>().ok()
    });
    let started_in_time = boot_s.is_some_and(|boot_s| {
        let ticks_per_s = rustix::param::clock_ticks_per_second().max(1);
        let started = Duration::from_secs(boot_s) + Duration::from_secs(start_ticks / ticks_per_s);
        let traced = Duration::from_nanos(process.started_at_unix_ns);
        // The boot time is stated in whole seconds and follows clock adjustments.
        started <= traced + Duration::from_secs(2)
    });
    !matches!(state, 'Z' | 'X') && same_executable && started_in_time
}

/// Fields 3 and 22 of `/proc/<pid>/stat`; the second field, the name in parentheses, can hold anything.
fn state_and_start(stat: &str) -> Option<(char, u64)> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace();
    let state = fields.next()?.chars().next()?;
    let start_ticks = fields.nth(18)?.parse().ok()?;
    Some((state, start_ticks))
}

/// Wall-clock time at which tracing began, as RFC 3339; empty for a time that no calendar has.
pub fn started_at(process: &Process) -> String {
    let since_epoch = Duration::from_nanos(process.started_at_unix_ns);
    UNIX_EPOCH
        .checked_add(since_epoch)
        .and_then(|time| jiff::Timestamp::try_from(time).ok())
        .map_or_else(String::new, |time| format!("{time:.6}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn this_process() -> Process {
        let now = std::time::SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap();
        Process {
            pid: std::process::id(),
            executable: std::env::current_exe().unwrap().display().to_string(),
            started_at_unix_ns: u64::try_from(now.as_nanos()).unwrap(),
            ..Process::default()
        }
    }

    #[test]
    fn a_process_is_known_by_number_executable_and_age() {
        assert!(still_runs(&this_process()));
        let other_program = Process {
            executable: "/bin/other".to_string(),
            ..this_process()
        };
        assert!(!still_runs(&other_program));
        let long_ago = Process {
            started_at_unix_ns: 1_000_000_000,
            ..this_process()
        };
        assert!(!still_runs(&long_ago));
        let gone = Process {
            pid: u32::MAX,
            ..this_process()
        };
        assert!(!still_runs(&gone));
    }

    #[test]
    fn a_process_name_cannot_shift_the_fields() {
        let fields = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20";
        let stat = format!("12 (a) Z (b) {fields}");
        assert_eq!(state_and_start(&stat), Some(('S', 4711)));
        assert_eq!(state_and_start("12 (a"), None);
    }

    #[test]
    fn times_are_rfc_3339() {
        let process = Process {
            started_at_unix_ns: 1_700_000_000_123_456_789,
            ..Process::default()
        };
        assert_eq!(started_at(&process), "2023-11-14T22:13:20.123456Z");
    }
}
