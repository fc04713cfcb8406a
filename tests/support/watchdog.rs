//! Runs a child process and never waits for ever: a child that outlives its limit is described by gdb and killed.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

/// Limit of a child that a test does not give another one.
pub(crate) const LIMIT: Duration = Duration::from_secs(180);

/// A child whose output is being read.
pub(crate) struct Watched {
    child: Child,
    stdout: Output,
    stderr: Output,
    limit: Duration,
}

/// What was read so far, and the thread that reads.
struct Output {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Watched {
    /// Starts the command with its output captured and nothing to read.
    pub(crate) fn start(command: &mut Command, limit: Duration) -> Watched {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        let stdout = Output::read(child.stdout.take().expect("it is piped"));
        let stderr = Output::read(child.stderr.take().expect("it is piped"));
        Watched {
            child,
            stdout,
            stderr,
            limit,
        }
    }

    /// The child's process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by its name (`INT`, `KILL`).
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args(["-s", name, &self.pid().to_string()])
            .status()
            .expect("kill starts");
        assert!(status.success(), "kill -s {name} failed");
    }

    /// What it has printed on standard output so far.
    pub(crate) fn printed(&self) -> String {
        self.stdout.text()
    }

    /// Waits until its standard output holds this text.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, text: &str) {
        let deadline = Instant::now() + self.limit;
        while !self.printed().contains(text) {
            let ended = self.child.try_wait().expect("the child is ours");
            let errors = self.stderr.text();
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "no {text:?} was printed ({ended:?}):\n{errors}"
            );
            sleep(Duration::from_millis(3));
        }
    }

    /// Waits for the end: exit status, standard output, standard error.
    pub(crate) fn wait(mut self) -> (ExitStatus, String, String) {
        let deadline = Instant::now() + self.limit;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("the child is ours") {
                break status;
            }
            if Instant::now() > deadline {
                let stacks = describe_threads(self.pid());
                self.child.kill().expect("the child is ours");
                self.child.wait().expect("the child is ours");
                panic!("no end after {:?}; its threads:\n{stacks}", self.limit);
            }
            sleep(Duration::from_millis(3));
        };
        (status, self.stdout.all(), self.stderr.all())
    }
}

impl Output {
    fn read(mut pipe: impl Read + Send + 'static) -> Output {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&bytes);
        let reader = spawn(move || {
            let mut chunk = [0; 1 << 16];
            loop {
                let length = pipe.read(&mut chunk).expect("a pipe can be read");
                if length == 0 {
                    break;
                }
                shared
                    .lock()
                    .expect("no reader panics")
                    .extend_from_slice(&chunk[..length]);
            }
        });
        Output { bytes, reader }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().expect("no reader panics")).into_owned()
    }

    fn all(self) -> String {
        self.reader.join().expect("the reader does not panic");
        String::from_utf8_lossy(&self.bytes.lock().expect("no reader panics")).into_owned()
    }
}

fn describe_threads(pid: u32) -> String {
    let output = Command::new("gdb")
        .args([
            "-batch",
            "-p",
            &pid.to_string(),
            "-ex",
            "thread apply all bt 40",
        ])
        .env_remove("LD_PRELOAD")
        .output();
    match output {
        Ok(output) => String::from_utf8_lossy(&output.stdout).into_owned(),
        Err(error) => format!("(gdb does not start: {error})"),
    }
}
