//! Servers and pools: processes that fork others, which work for long and are replaced while the whole goes on.

use crate::support::installation::program;
use crate::support::interpreters::{known, usual, with_packages};
use crate::support::scale::{count, is_full};
use crate::support::traced::Running;
use crate::support::watchdog::LIMIT;
use crate::support::{Interpreter, Outcome, Report, Traced, for_each};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The lines of `wsgi.py` and `trees.py` that keep blocks.
const LINE_OF_REQUEST: u32 = 10;
const LINE_OF_TASK: u32 = 12;

/// Blocks kept on a line of a program. (What a line does once has another size.)
fn kept(report: &Report, name: &str, line: u32) -> u64 {
    let sites = report.sites_on_line("object", &program(name), line);
    let blocks = sites
        .iter()
        .filter(|site| site.requested_bytes == site.allocations * (911 + 33));
    blocks.map(|site| site.live_blocks).sum()
}

fn gunicorn(kind: &str, options: &[&str]) -> Traced {
    let programs = program("wsgi.py");
    let folder = programs.parent().expect("it lies in a folder");
    Traced::python(&with_packages())
        .arguments([
            "-m",
            "gunicorn",
            "-k",
            kind,
            "-w",
            "2",
            "--bind",
            "unix:socket",
        ])
        .arguments(["--timeout", "120", "--log-level", "warning", "--pythonpath"])
        .argument(folder)
        .arguments(options)
        .argument("wsgi:app")
        .set("PYTRACE_SUMMARY", "none")
}

/// The worker that answered; `None` when the connection ended without an answer, as when a worker is replaced.
fn ask(socket: &Path) -> Option<u32> {
    let mut stream = UnixStream::connect(socket).ok()?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    assert!(head.contains("200 OK"), "{answer}");
    Some(body.parse().expect("a worker says its process id"))
}

/// Asks until so many answers have come, and counts them by worker; returns how many asked in vain.
fn ask_often(running: &Running, requests: u32, answers: &mut BTreeMap<u32, u64>) -> u64 {
    let deadline = Instant::now() + LIMIT * 10;
    let (mut answered, mut in_vain) = (0, 0);
    while answered < requests {
        assert!(
            Instant::now() < deadline,
            "{answered} answers, {in_vain} in vain"
        );
        match ask(&running.work().join("socket")) {
            Some(worker) => {
                *answers.entry(worker).or_default() += 1;
                answered += 1;
            }
            None => {
                in_vain += 1;
                sleep(Duration::from_millis(20));
            }
        }
    }
    in_vain
}

fn wait_until_gone(workers: impl Iterator<Item = u32>) {
    let deadline = Instant::now() + LIMIT;
    for worker in workers {
        while Path::new(&format!("/proc/{worker}")).exists() {
            assert!(Instant::now() < deadline, "worker {worker} does not end");
            sleep(Duration::from_millis(10));
        }
    }
}

/// Every worker's capture has the blocks of exactly the requests that it answered.
fn assert_workers_are_exact(outcome: &Outcome, answers: &BTreeMap<u32, u64>, in_vain: u64) {
    let reports: Vec<_> = outcome
        .captures()
        .iter()
        .map(|path| Report::of(path))
        .collect();
    for (worker, answered) in answers {
        let report = reports
            .iter()
            .find(|report| report.process.pid == *worker)
            .unwrap_or_else(|| panic!("worker {worker} has no capture"));
        assert_eq!(report.process.ended, "exit", "worker {worker}");
        report.assert_exact();
        let requests = kept(report, "wsgi.py", LINE_OF_REQUEST) / 100;
        assert!(
            (*answered..=answered + in_vain).contains(&requests),
            "worker {worker}: {answered} answered, {requests} recorded"
        );
    }
    let ended = |report: &Report| report.process.ended == "exit";
    assert!(reports.iter().all(ended), "the master and its workers");
}

/// Workers that are asked, replaced by a reload, and asked again.
#[test]
fn f59_servers_that_fork_their_workers() {
    for_each(
        [
            ("sync", &[][..]),
            ("gthread", &["--threads", "4"][..]),
            ("gevent", &[][..]),
        ],
        |(kind, _)| (*kind).to_owned(),
        |(kind, options)| {
            let running = gunicorn(kind, options).start();
            let mut answers = BTreeMap::new();
            ask_often(&running, count(20, 10_000), &mut answers);
            running.watched.signal("HUP");
            wait_until_gone(answers.keys().copied());
            let before = answers.clone();
            let in_vain = ask_often(&running, count(20, 10_000), &mut answers);
            assert!(answers.len() > before.len(), "new workers answer");
            running.watched.signal("TERM");
            let outcome = running.wait().success();
            assert_workers_are_exact(&outcome, &answers, in_vain);
        },
    );
}

/// Workers that are replaced after some requests.
#[test]
fn f59_servers_that_recycle_their_workers() {
    let kinds = ["sync", "gthread", "gevent"];
    for_each(
        kinds.iter().take(if is_full() { 3 } else { 1 }),
        |kind| (**kind).to_owned(),
        |kind| {
            let running = gunicorn(kind, &["--max-requests", "12"]).start();
            let mut answers = BTreeMap::new();
            let mut in_vain = 0;
            let deadline = Instant::now() + LIMIT;
            while answers.len() < count(4, 30) as usize {
                assert!(
                    Instant::now() < deadline,
                    "nobody was replaced: {answers:?}"
                );
                in_vain += ask_often(&running, 5, &mut answers);
            }
            running.watched.signal("TERM");
            let outcome = running.wait().success();
            assert_workers_are_exact(&outcome, &answers, in_vain);
        },
    );
}

/// A worker that is killed while it waits has lost nothing that is older than an interval.
#[test]
fn f59_a_worker_that_is_killed() {
    let running = gunicorn("sync", &["--preload"]).start();
    let mut answers = BTreeMap::new();
    ask_often(&running, 10, &mut answers);
    let deadline = Instant::now() + LIMIT;
    let (&worker, &answered) = answers.iter().next().expect("somebody answered");
    loop {
        let paths = running.captures();
        let reports = paths.iter().map(|path| Report::of(path));
        let of_worker = reports
            .into_iter()
            .find(|report| report.process.pid == worker);
        let recorded = of_worker.map(|report| kept(&report, "wsgi.py", LINE_OF_REQUEST));
        if recorded == Some(answered * 100) {
            break;
        }
        assert!(
            Instant::now() < deadline,
            "recorded of {answered}: {recorded:?}"
        );
        sleep(Duration::from_millis(50));
    }
    let status = Command::new("kill")
        .args(["-s", "KILL", &worker.to_string()])
        .status();
    assert!(status.expect("kill starts").success());
    wait_until_gone([worker].into_iter());
    ask_often(&running, 10, &mut BTreeMap::new());
    running.watched.signal("TERM");
    running.wait().success();
}

fn tree(interpreter: &Interpreter, kind: &str, method: &str) -> Traced {
    Traced::script(interpreter, "trees.py")
        .arguments([kind, method])
        .set("PYTRACE_SUMMARY", "none")
}

/// multiprocessing's pools and concurrent.futures' executor, in all start methods: the answers are the same, nothing is said,
/// and every task is in some worker's capture.
#[test]
fn f60_trees_of_processes() {
    let ways = ["pool", "terminated_pool", "executor"]
        .into_iter()
        .flat_map(|kind| ["fork", "spawn", "forkserver"].map(|method| (kind, method)));
    let few = [
        ("pool", "fork"),
        ("terminated_pool", "forkserver"),
        ("executor", "spawn"),
    ];
    let interpreters = known()
        .iter()
        .filter(|one| is_full() || one.name == usual().name);
    let cells: Vec<_> = interpreters
        .flat_map(|python| {
            ways.clone()
                .map(move |(kind, method)| (python, kind, method))
        })
        .filter(|(_, kind, method)| is_full() || few.contains(&(*kind, *method)))
        .collect();
    for_each(
        cells,
        |(python, kind, method)| format!("{} {kind} {method}", python.name),
        |(python, kind, method)| {
            let plain = tree(python, kind, method).untraced().run().success();
            let outcome = tree(python, kind, method).run().success();
            assert_eq!(outcome.stdout, plain.stdout);
            let warnings = |outcome: &Outcome| outcome.stderr.matches("Warning").count();
            assert_eq!(warnings(&outcome), warnings(&plain), "{}", outcome.stderr);
            assert!(!outcome.stderr.contains("pytrace:"), "{}", outcome.stderr);
            let reports = outcome.captures();
            let tasks: u64 = reports
                .iter()
                .map(|path| Report::of(path))
                .map(|report| kept(&report, "trees.py", LINE_OF_TASK))
                .sum();
            if python.has_stacks() && *kind != "terminated_pool" {
                assert_eq!(tasks, 400, "blocks of forty tasks");
            }
        },
    );
}
