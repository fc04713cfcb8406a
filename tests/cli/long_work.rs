//! Long work on a terminal says how far it is, on a line that goes away; elsewhere it says nothing.

use super::report::small;
use crate::support::Traced;
use crate::support::installation::command_line;
use pytrace_format::record::Mode;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::{sleep, spawn};
use std::time::Duration;

/// Longer than the patience of `progress`.
const LONG: Duration = Duration::from_millis(700);

fn pipe_in(folder: &Path) -> PathBuf {
    let path = folder.join("slow.pytrace");
    let made = Command::new("mkfifo").arg(&path).status();
    assert!(made.expect("mkfifo starts").success());
    path
}

/// Gives a capture to who opens the pipe, its second half late.
fn feed(pipe: PathBuf) -> std::thread::JoinHandle<()> {
    spawn(move || {
        let capture = small(Mode::Sites).file();
        let (first, second) = capture.split_at(capture.len() / 2);
        let opened = std::fs::OpenOptions::new().write(true).open(pipe);
        let mut pipe = opened.expect("a reader opens it");
        pipe.write_all(first).expect("the reader is there");
        sleep(LONG);
        pipe.write_all(second).expect("the reader is there");
    })
}

#[test]
fn it_says_how_far_it_is_on_a_terminal_alone() {
    let pytrace = command_line();
    for is_terminal in [true, false] {
        let to = if is_terminal { "" } else { " 2>errors" };
        let run = Traced::command("script").untraced();
        let pipe = pipe_in(&run.work());
        let inner = format!("'{}' report slow.pytrace{to}", pytrace.display());
        let feeder = feed(pipe);
        let outcome = run
            .arguments(["-qefc", &inner, "/dev/null"])
            .set("NO_COLOR", "1")
            .run()
            .success();
        feeder.join().expect("the capture was read");
        let sent = &outcome.stdout;
        let report = sent.find("lost: the process").expect("the report follows");
        let line = sent.find("\r\x1b[Kpytrace: reading, ");
        assert_eq!(line.is_some(), is_terminal, "{sent:?}");
        if let Some(line) = line {
            assert!(line < report, "{sent:?}");
            // A pipe does not tell how much there is.
            assert!(!sent.contains(" of 0 B"), "{sent:?}");
            assert!(sent[..report].ends_with("\r\x1b[K"), "{sent:?}");
        } else {
            let errors = std::fs::read_to_string(outcome.work().join("errors"));
            assert_eq!(errors.expect("the shell made it"), "");
        }
    }
}
