"""What the numbers depend on besides the code: machine, versions, load."""

import os
import platform
import subprocess
from datetime import datetime, timezone
from pathlib import Path

from .setup import ROOT


def describe(setup, command):
    """Everything a reader needs to judge a table, as names and texts."""
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "command": command,
        "commit": _commit(),
        "cpu": _field("/proc/cpuinfo", "model name") or platform.processor(),
        "cores": str(os.cpu_count()),
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB",
        "virtual machine": "yes, others share it: expect some per cent of noise" if _is_virtual() else "no",
        "kernel": platform.release(),
        "libc": " ".join(platform.libc_ver()),
        "rustc": _output("rustc", "--version"),
        "python": _output(setup.python, "-c", "import sys; print(sys.version.split('(')[0].strip())"),
        "peers": ", ".join(Path(ROOT, "benchmarks", "requirements.txt").read_text().split()),
        "load before": " ".join(f"{value:.2f}" for value in os.getloadavg()),
    }


def heading(description):
    """The description in one paragraph."""
    return "; ".join(f"{name} {value}" if name != "command" else f"`{value}`" for name, value in description.items())


def _is_virtual():
    return "hypervisor" in _field("/proc/cpuinfo", "flags").split()


def _field(path, name):
    for line in Path(path).read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""


def _commit():
    hash_ = _output("git", "-C", ROOT, "rev-parse", "--short=12", "HEAD")
    changed = _output(
        "git", "-C", ROOT, "status", "--porcelain", "--", "cdylib", "format", "model", "Cargo.toml", "Cargo.lock"
    )
    return f"{hash_} with uncommitted changes" if changed else hash_


def _output(*command):
    try:
        return subprocess.run(list(map(str, command)), capture_output=True, text=True).stdout.strip()
    except FileNotFoundError:
        return "unknown"
