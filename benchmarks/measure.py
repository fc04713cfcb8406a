"""Runs one process and says what it took.

A run that was to be traced and was not (the library refused a setting, so the program ran untraced) has no capture: it counts as
`refused`, never as a cheap one.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from .configurations import CAPTURE_SUFFIX
from .setup import Unusable

LIMIT_S = 900
# The settings of whoever measures must not reach the measured; the hash seed fixes the order of sets.
KEPT = ("PATH", "HOME", "LANG", "USER")
FIXED = {"PYTHONHASHSEED": "0", "TMPDIR": tempfile.gettempdir()}
SUMMARY = re.compile(r"^pytrace: .*\bmode \w", re.MULTILINE)
EVENTS = re.compile(r"([\d,]+) events, ([\d,]+) lost")


@dataclass(frozen=True)
class Run:
    """One process: what it took, and what pytrace said about it."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_bytes: int = 0
    output: str = ""
    events: int | None = None
    lost: int | None = None
    traced_bytes: int | None = None  # what the program's blocks held at their peak
    capture_bytes: int | None = None
    refused: str | None = None  # the line that says why there is nothing to measure

    def as_json(self):
        return {name: value for name, value in asdict(self).items() if value not in (None, "")}


def run(setup, configuration, arguments, read_capture=False):
    """Runs the interpreter with `arguments` under `configuration`; `read_capture` also asks the report for the traced heap."""
    with tempfile.TemporaryDirectory(prefix="pytrace-bench-") as scratch:
        directory = Path(scratch, "work")
        directory.mkdir()
        result, errors = Path(scratch, "result"), Path(scratch, "stderr")
        command = configuration.command(setup.python, arguments, directory)
        variables = {name: os.environ[name] for name in KEPT if name in os.environ} | FIXED
        variables |= dict(configuration.environment)
        launcher = [setup.python, "-I", "-S", setup.programs / "launch.py", result, directory]
        launcher += [f"{name}={value}" for name, value in variables.items()]
        try:
            with errors.open("wb") as stderr:
                output = _wait([*map(str, launcher), "--", *command], stderr)
        except subprocess.TimeoutExpired:
            return Run(refused=f"took more than {LIMIT_S} s")
        said = errors.read_text(errors="replace")
        status, wall_s, cpu_s, peak_bytes = result.read_text().split() if result.exists() else ("1", 0, 0, 0)
        if int(status) and not configuration.is_peer:
            raise Unusable(f"{' '.join(command)}: {_last_line(said) or 'it failed'} ({configuration.name})")
        measured = {
            "wall_s": float(wall_s),
            "cpu_s": float(cpu_s),
            "peak_bytes": int(peak_bytes),
            "output": output,
            "refused": f"failed: {_last_line(said)}" if int(status) else None,
        }
        if configuration.is_pytrace:
            is_captured = ("PYTRACE_OUTPUT", "none") not in configuration.environment
            measured |= _traced(setup, directory, said, is_captured, read_capture)
        return Run(**measured)


def _wait(command, stderr):
    """The output of a process, which is ended with all that it started when it takes too long."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=stderr, stdin=subprocess.DEVNULL, start_new_session=True
    )
    try:
        return process.communicate(timeout=LIMIT_S)[0].decode(errors="replace")
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise


def _traced(setup, directory, said, is_captured, read_capture):
    """What pytrace left behind, or why it left nothing."""
    captures = sorted(directory.glob("*" + CAPTURE_SUFFIX))
    refusal = next((line for line in said.splitlines() if "is not accepted" in line), None)
    if refusal or not (captures if is_captured else SUMMARY.search(said)):
        return {"refused": refusal or "no trace of a trace"}
    found = {"capture_bytes": captures[0].stat().st_size} if captures else {}
    if counted := EVENTS.search(said):
        found["events"], found["lost"] = (int(text.replace(",", "")) for text in counted.groups())
    if read_capture and captures:
        command = [setup.report, "report", captures[0], "--format", "json", "--top", "0"]
        report = subprocess.run(command, capture_output=True, text=True)
        if report.returncode == 0:
            found["traced_bytes"] = json.loads(report.stdout)["total"]["peak_bytes"]
    return found


def _last_line(text):
    return (text.strip().splitlines() or [""])[-1]


def require(name, advice):
    """The path of a tool that the machine must have."""
    path = shutil.which(name)
    if path is None:
        raise Unusable(f"{name} is missing: {advice}")
    return path
