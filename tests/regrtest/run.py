"""Runs one test file once, in a process and folders of its own."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from .outcome import of_texts

# What opens is asked of the main process's capture and of some of its children's: there can be thousands.
CHILDREN_OPENED = 3
LARGEST_OPENED_BYTES = 32 << 20
# Cases that hang in a virtual machine whose host does not answer, traced or not (test_socket of 3.11).
IGNORED = ("*VSOCK*",)
# Where the tests are beside the interpreter: these start isolated children, which do not find them and wait for ever.
IGNORED_BESIDE = ("*test_4_daemon_threads",)


@dataclass(frozen=True)
class Build:
    """The library and the command line that reads what it writes; `id` changes whenever the library does."""

    id: str
    library: Path
    report: Path
    revision: str  # of the sources that they were built from


def restore_signals():
    """Lets the runs begin with the default action of each signal, also where this program was started with `nohup` or `&`.

    An ignored signal stays ignored across exec, and test files that interrupt themselves would wait for ever; a handled one does
    not.
    """
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


def run(interpreter, file, build, timeout_seconds, logs):
    """The outcome of `file`; bare where `build` is None. What it printed goes to the folder `logs`."""
    logs.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="regrtest-", ignore_cleanup_errors=True) as folder:
        folder = Path(folder)
        captures, scratch, report = folder / "captures", folder / "scratch", folder / "cases.xml"
        captures.mkdir()
        scratch.mkdir()
        folder.chmod(0o755)
        captures.chmod(0o1777)  # some tests start children as another user
        environment = {**interpreter.environment(), "TMPDIR": str(scratch)}
        if build:
            environment |= {
                "LD_PRELOAD": str(build.library),
                "PYTRACE_OUTPUT": str(captures / "%p.pytrace"),
                "PYTRACE_SUMMARY": "none",
            }
        # The options of CPython's own `make test`.
        options = ["-u", "-W", "default", "-bb", *([] if interpreter.tests else ["-E"])]
        command = [interpreter.path, *options, "-m", "test", "--fail-env-changed"]
        command += ["--tempdir", str(scratch), "--junit-xml", str(report)]
        # Not both: up to 3.12, what is not ignored runs whether it matches or not.
        ignored = IGNORED + (IGNORED_BESIDE if interpreter.tests else ())
        ignoring = [word for pattern in ignored for word in ("--ignore", pattern)]
        command += ["-m", file.pattern] if file.pattern else ignoring
        log = logs / f"{file.name}-{'traced' if build else 'bare'}.log"
        begin = time.monotonic()
        code, was_stopped, pid = _wait([*command, file.name], environment, scratch, timeout_seconds, log)
        seconds = time.monotonic() - begin
        xml = report.read_text(errors="replace") if report.exists() else ""
        log.with_suffix(".xml").write_text(xml)  # why each case failed
        outcome = of_texts(code, was_stopped, xml, log.read_text(errors="replace"), seconds)
        if build and not was_stopped:
            outcome.complaints += unopened(build, captures, pid)
        return outcome


def _wait(command, environment, folder, timeout_seconds, log):
    """Exit status, whether it had to be stopped, process id. Nothing of its session is left."""
    with open(log, "wb") as output:
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            code, was_stopped = process.wait(timeout_seconds), False
        except subprocess.TimeoutExpired:
            _write_stacks(process.pid, output)
            code, was_stopped = 1, True
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()
    return code, was_stopped, process.pid


def _write_stacks(pid, output):
    """The stacks of all threads, for whoever looks for the cause of a hang."""
    if shutil.which("gdb"):
        command = ["gdb", "-batch", "-nx", "-p", str(pid), "-ex", "thread apply all backtrace 40"]
        try:
            subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, timeout=60)
        except subprocess.TimeoutExpired:
            pass


def unopened(build, captures, pid):
    """What is wrong with the captures of a run: that of the process `pid` has to be there, and some have to open."""
    own = captures / f"{pid}.pytrace"
    if not own.exists():
        return ["the main process left no capture"]
    children = sorted(path for path in captures.iterdir() if path != own)
    found = []
    for path in [own, *children[:: max(len(children) // CHILDREN_OPENED, 1)][:CHILDREN_OPENED]]:
        whose = "the main process's" if path == own else "a child's"
        if path.stat().st_size <= LARGEST_OPENED_BYTES:
            done = subprocess.run([build.report, "report", path], capture_output=True, text=True)
            if done.returncode != 0:
                found.append(
                    f"{whose} capture does not open: {done.stderr.strip().splitlines()[-1:]}".replace(str(path), "…")
                )
    return found
