//! Captures of very many events are read as a stream: memory follows the blocks that live at once, and not the events.

mod footer;
mod generated;

use std::io::Read;
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use generated::Size;

use crate::support::installation::{command_line, program};
use crate::support::interpreters::usual;
use crate::support::{measured, scale};

/// Reading takes minutes; a reader that hangs is ended.
const LIMIT: Duration = Duration::from_secs(3600);

/// What a report of the capture came to.
struct Reading {
    peak_bytes: u64,
    seconds: f64,
}

/// Has the capture reported; what is written goes to `take`, bit by bit.
fn read(capture: &str, words: &[&str], mut take: impl FnMut(&[u8])) -> Reading {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let peak = folder.path().join("peak");
    let started = Instant::now();
    let mut child = Command::new(&usual().path)
        .arg(program("peak_memory.py"))
        .arg(&peak)
        .arg(LIMIT.as_secs().to_string())
        .arg(command_line())
        .args(["report", capture])
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python starts");
    let mut pipe = child.stdout.take().expect("it is piped");
    let mut bytes = vec![0; 1 << 20];
    loop {
        match pipe.read(&mut bytes).expect("a pipe can be read") {
            0 => break,
            length => take(&bytes[..length]),
        }
    }
    let status = child.wait().expect("the child is ours");
    assert!(status.success(), "{words:?}: {status}");
    let seconds = started.elapsed().as_secs_f64();
    let peak_bytes = std::fs::read_to_string(&peak).expect("it was written");
    Reading {
        peak_bytes: peak_bytes.trim().parse().expect("it is a number"),
        seconds,
    }
}

#[test]
fn a_billion_events_are_read_in_a_gibibyte() {
    let size = Size {
        events: scale::passed_on(2_000_000, 1_000_000_000),
        live_blocks: scale::passed_on(100_000, 1_000_000),
        sites: scale::passed_on(2_000, 10_000),
    };
    let most_bytes = scale::passed_on(128 << 20, 1 << 30);
    // The file has no name: nothing of it is left, however the test ends.
    let mut file = tempfile::tempfile().expect("a temporary file can be made");
    generated::write(&size, &mut file).expect("there is room for the capture");
    let file_bytes = file.metadata().expect("it is open").len();
    let path = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());

    let mut text = Vec::new();
    let plain = read(&path, &[], |bytes| text.extend_from_slice(bytes));
    let text = String::from_utf8(text).expect("a report is UTF-8");
    let events = pytrace_model::text::count(size.events);
    assert!(text.contains(&events), "{events} in\n{text}");

    let mut lines = 0;
    let csv = read(&path, &["--events", "--format", "csv"], |bytes| {
        lines += bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
    });
    assert_eq!(lines, size.events + 1, "with the heading");

    let mut end = footer::End::default();
    let parquet = read(&path, &["--events", "--format", "parquet"], |bytes| {
        end.push(bytes);
    });
    assert_eq!(end.rows(), size.events);

    let forms = [("text", plain), ("csv", csv), ("parquet", parquet)];
    let said = forms.each_ref().map(|(form, reading)| {
        format!(
            "{form} {:.1} s, {:.0} MiB",
            reading.seconds,
            reading.peak_bytes as f64 / f64::from(1 << 20)
        )
    });
    measured(&format!(
        "{events} events, {:.2} GB: {}",
        file_bytes as f64 / 1e9,
        said.join("; ")
    ));
    for (form, reading) in forms {
        let peak_bytes = reading.peak_bytes;
        assert!(peak_bytes <= most_bytes, "{form}: {peak_bytes} bytes");
    }
    drop(file);
}

/// The measure itself: a program that takes 300 MiB is found out.
#[test]
fn the_peak_of_a_program_is_measured() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let peak = folder.path().join("peak");
    let status = Command::new(&usual().path)
        .arg(program("peak_memory.py"))
        .args([peak.as_os_str(), "60".as_ref(), usual().path.as_os_str()])
        .args(["-c", "len(bytearray(b'x') * (300 << 20))"])
        .status()
        .expect("Python starts");
    assert!(status.success(), "{status}");
    let text = std::fs::read_to_string(&peak).expect("it was written");
    let peak_bytes: u64 = text.trim().parse().expect("it is a number");
    assert!((300 << 20..400 << 20).contains(&peak_bytes), "{peak_bytes}");
}
