//! Runs a child process and never waits for ever: a child that outlives its limit is described by gdb and killed.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

/// Limit of a child that a test does not give another one.
pub(crate) const LIMIT: Duration = Duration::from_secs(180);

/// A child whose output is being read.
pub(crate) struct Watched {
    child: Child,
    stdout: Option<JoinHandle<Vec<u8>>>,
    stderr: Option<JoinHandle<Vec<u8>>>,
    limit: Duration,
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
        let stdout = child.stdout.take().map(read_all);
        let stderr = child.stderr.take().map(read_all);
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
        (status, text(self.stdout.take()), text(self.stderr.take()))
    }
}

fn read_all(mut pipe: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).expect("a pipe can be read");
        bytes
    })
}

fn text(reader: Option<JoinHandle<Vec<u8>>>) -> String {
    let bytes = reader.map(|reader| reader.join().expect("the reader does not panic"));
    String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
}

fn describe_threads(pid: u32) -> String {
    let output = Command::new("gdb")
        .args(["-batch", "-p", &pid.to_string(), "-ex", "thread apply all bt 40"])
        .env_remove("LD_PRELOAD")
        .output();
    match output {
        Ok(output) => String::from_utf8_lossy(&output.stdout).into_owned(),
        Err(error) => format!("(gdb does not start: {error})"),
    }
}
