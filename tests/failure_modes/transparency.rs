//! What the program would notice of us beside its memory: its signals, its namespaces, the loader's last error.

use crate::support::compile::{Product, compiled};
use crate::support::installation::library;
use crate::support::interpreters::usual;
use crate::support::{Traced, skipped};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

/// Runs code with both actions of a signal at their default, standard error being a pipe that nobody reads.
fn status_with_nobody_listening(code: &str) -> std::process::ExitStatus {
    let mut child = Command::new(&usual().path)
        .args(["-S", "-c", code])
        .env_clear()
        .env("LD_PRELOAD", library())
        .env("PYTRACE_OUTPUT", "none")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the interpreter starts");
    drop(child.stderr.take());
    child.wait().expect("the child is ours")
}

#[test]
fn f63_closed_pipe_with_the_signal_deadly() {
    let deadly = "import signal; signal.signal(signal.SIGPIPE, signal.SIG_DFL); ";
    let quiet = status_with_nobody_listening(&format!("{deadly}kept = [bytes(500)]"));
    assert_eq!((quiet.code(), quiet.signal()), (Some(0), None));
    // The program's own write still ends it.
    let own = status_with_nobody_listening(&format!("{deadly}import os; os.write(2, b'x')"));
    assert_eq!(own.signal(), Some(13), "SIGPIPE");
}

#[test]
fn f63_limit_on_file_size_with_the_signal_deadly() {
    let code = "import signal, time; signal.signal(signal.SIGXFSZ, signal.SIG_DFL); \
        kept = [bytes(500) for _ in range(20_000)]; time.sleep(0.2); print(1)";
    let outcome = Traced::command("prlimit")
        .arguments(["--fsize=3000"])
        .argument(&usual().path)
        .arguments(["-S", "-c", code])
        .set("PYTRACE_SUMMARY", "none")
        .run()
        .success();
    assert_eq!(outcome.stdout, "1\n");
    let said: Vec<_> = outcome.stderr.lines().collect();
    assert!(
        matches!(said[..], [line] if line.contains("the capture ends here")),
        "{said:?}"
    );
}

#[test]
fn f36_namespaces_can_be_unshared() {
    // A user namespace is refused to a process of several threads.
    let code = "import ctypes, time
libc = ctypes.CDLL(None, use_errno=True)
kept = list(map(bytes, [500] * 20_000))
time.sleep(0.05)
print(libc.unshare(0x10000000), ctypes.get_errno())
more = list(map(bytes, [501] * 20_000))";
    let run = || Traced::python(usual()).arguments(["-S", "-c", code]);
    let untraced = run().untraced().run().success();
    if untraced.stdout != "0 0\n" {
        return skipped("namespaces", "this system does not let them be unshared");
    }
    let traced = run().run().success();
    assert_eq!(traced.stdout, untraced.stdout);
    let report = traced.report();
    assert_eq!(report.quality.lost_events, 0);
    let made = report
        .sites()
        .iter()
        .filter(|site| site.requested_bytes / 20_000 > 500);
    assert_eq!(
        made.count(),
        2,
        "what was made before and after is recorded"
    );
}

#[test]
fn f12_late_loading_records_nothing() {
    let code = "import ctypes, sys; ctypes.CDLL(sys.argv[1]); kept = [bytes(500) for _ in range(20_000)]; print(len(kept))";
    let outcome = Traced::python(usual())
        .arguments(["-S", "-c", code])
        .argument(library())
        .unset("LD_PRELOAD")
        .run()
        .success();
    assert_eq!(outcome.stdout, "20000\n");
    assert_eq!(
        outcome.stderr,
        "pytrace: loaded into a running interpreter: nothing is recorded; use LD_PRELOAD or `pytrace run`\n"
    );
    assert!(outcome.captures().is_empty());
}

#[test]
fn f61_plugins_of_programs_without_python_are_unloaded() {
    let plugin = compiled("setlocale_plugin.c", Product::Library);
    let program = compiled("setlocale_host.c", Product::Executable);
    let outcome = Traced::command(program).argument(plugin).run().success();
    assert_eq!(outcome.stdout, "gone\nno such object\n");
    assert_eq!(outcome.stderr, "");
}
