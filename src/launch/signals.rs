//! Signals while the program runs: as if it had been started by a shell.
//!
//! Ctrl-C and Ctrl-\ reach every process of the terminal's foreground group, the program included, so this process only
//! has to survive them. Sent to this process alone (`kill`, a supervisor), they are passed on, as are requests to end.
//! The handlers are of this process: exec gives the program the default action of a handled signal. A signal that was
//! ignored when this process started (`nohup`, a background job) gets no handler, so the program ignores it as well.

use std::fs;
use std::thread;

use rustix::process::{Pid, PidfdFlags, Signal};
use signal_hook::consts::signal::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::{Handle, Signals};

/// The signals of interest, and whether a terminal sends them to its whole foreground group.
const PASSED_ON: [(i32, Signal, bool); 6] = [
    (SIGINT, Signal::INT, true),
    (SIGQUIT, Signal::QUIT, true),
    (SIGHUP, Signal::HUP, true),
    (SIGTERM, Signal::TERM, false),
    (SIGUSR1, Signal::USR1, false),
    (SIGUSR2, Signal::USR2, false),
];

/// Handlers that are installed before the program starts, so that no signal ends this process while it does.
#[derive(Debug)]
pub(super) struct Forwarder {
    signals: Signals,
}

impl Forwarder {
    /// Installs the handlers; `None` when the system refuses, and signals then keep their default actions.
    pub(super) fn install() -> Option<Forwarder> {
        let ignored = fs::read_to_string("/proc/self/status")
            .ok()
            .and_then(|status| ignored_signals(&status))
            .unwrap_or(0);
        let handled = PASSED_ON
            .iter()
            .map(|&(number, ..)| number)
            .filter(|number| ignored & (1 << (number - 1)) == 0);
        let signals = Signals::new(handled).ok()?;
        Some(Forwarder { signals })
    }

    /// Passes signals on to the process `pid`, a child that nobody has waited for yet, until the handle is closed.
    ///
    /// The child is named by a file descriptor, so that a late signal cannot hit a stranger with the same number.
    pub(super) fn forward_to(mut self, pid: u32) -> Handle {
        let handle = self.signals.handle();
        let child = i32::try_from(pid)
            .ok()
            .and_then(Pid::from_raw)
            .and_then(|pid| rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok());
        thread::spawn(move || {
            for number in self.signals.forever() {
                let known = PASSED_ON.iter().find(|known| known.0 == number);
                if let (Some(child), Some(&(_, signal, by_terminal))) = (&child, known)
                    && !(by_terminal && is_in_foreground())
                {
                    // It fails only when the child has ended, and then nothing is left to be told.
                    let _ = rustix::process::pidfd_send_signal(child, signal);
                }
            }
        });
        handle
    }
}

/// Whether this process belongs to the foreground group of its terminal.
fn is_in_foreground() -> bool {
    fs::File::open("/dev/tty")
        .ok()
        .and_then(|terminal| rustix::termios::tcgetpgrp(&terminal).ok())
        .is_some_and(|group| group == rustix::process::getpgrp())
}

/// The mask of ignored signals in `/proc/self/status`.
fn ignored_signals(status: &str) -> Option<u64> {
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_ignored_signals() {
        let status = "Name:\tx\nSigBlk:\t0000000000000001\nSigIgn:\t0000000000001003\n";
        let ignored = ignored_signals(status).unwrap();
        assert_ne!(ignored & (1 << (SIGHUP - 1)), 0);
        assert_ne!(ignored & (1 << (SIGINT - 1)), 0);
        assert_eq!(ignored & (1 << (SIGQUIT - 1)), 0);
        assert_eq!(ignored_signals("Name:\tx\n"), None);
    }
}
