"""Runs a part and keeps its result."""

import json
import os
import platform
import re
import subprocess
import time
from datetime import datetime, timezone
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "target" / "soak"


def result_path(part):
    return FOLDER / f"{part.name}.json"


def kept_result(part):
    """The result of an earlier run; None if there is none."""
    try:
        return json.loads(result_path(part).read_text())
    except FileNotFoundError:
        return None


def run(part):
    """Runs a part to its end and keeps what came of it. What it prints goes to a log beside the result."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    log = FOLDER / f"{part.name}.log"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTRACE_")}
    started = time.monotonic()
    with log.open("w") as output:
        status = subprocess.run(
            part.command,
            cwd=ROOT,
            env=environment | {"PYTRACE_SOAK": "full"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        ).returncode
    outcome = judged(status, log.read_text(errors="replace"), is_cargo=part.command[0] == "cargo")
    result = outcome | {
        "part": part.name,
        "what": part.what,
        "command": " ".join(part.command),
        "seconds": round(time.monotonic() - started, 1),
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
        "revision": _revision(),
        "machine": f"{_processor()}, {os.cpu_count()} cores, Linux {platform.release()}",
    }
    result_path(part).write_text(json.dumps(result, indent=2) + "\n")
    return result


def judged(status, text, is_cargo):
    """What an exit status and an output mean. A test run in which no test ran has not held."""
    # The test's name may stand before it: cargo writes that first, and the end of the line after the test.
    measured = re.findall(r"measured: (.*)", text)
    passed = sum(int(number) for number in re.findall(r"^test result: ok\. (\d+) passed", text, re.MULTILINE))
    held = status == 0 and (passed > 0 or not is_cargo)
    return {"result": "held" if held else "failed", "measured": measured}


def _revision():
    answer = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return answer.stdout.strip() or "unknown"


def _processor():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()
