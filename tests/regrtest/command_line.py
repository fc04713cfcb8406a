"""The command line of `scripts/regrtest`."""

import argparse
import hashlib
import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

from benchmarks.progress import Progress

from . import document, exemptions
from .interpreter import ROOT, Unusable, find, interpreters
from .run import Build, restore_signals
from .selection import CI, QUICK, TestFile, select
from .store import Store
from .suite import Suite

DESCRIPTION = """\
Runs CPython's own tests bare and under the preload, and prints what differs. Exit status 1: something differs that
tests/regrtest/exemptions.toml does not explain. Results and logs are in target/regrtest/."""


def arguments(argv):
    parser = argparse.ArgumentParser(prog="scripts/regrtest", description=DESCRIPTION)
    parser.add_argument(
        "python", nargs="*", metavar="PYTHON", help="a path, or a name of scripts/pythons --list (default: python3)"
    )
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--quick", action="store_true", help="what stresses threads, processes, memory, frames")
    kind.add_argument("--ci", action="store_true", help="a short part of that, on two interpreters")
    kind.add_argument("--only", metavar="TEST", action="append", help="this test file (again for more)")
    parser.add_argument(
        "--all-pythons", action="store_true", help="on every interpreter that scripts/pythons --list names"
    )
    parser.add_argument("--resume", action="store_true", help="keep what earlier runs of the same builds found")
    parser.add_argument("-j", "--jobs", type=int, default=os.cpu_count(), metavar="N", help="test files at a time")
    parser.add_argument("--timeout", type=float, default=1200, metavar="S", help="longest run of a test file (1200)")
    parser.add_argument("--minutes", type=float, metavar="N", help="begin no test file after so long: --resume goes on")
    parser.add_argument(
        "--library", type=Path, metavar="PATH", help="another libpytrace.so than the one that was built"
    )
    parser.add_argument(
        "--write-docs", action="store_true", help="only write what earlier runs found to docs/RELIABILITY.md"
    )
    return parser.parse_args(argv)


def prepare(library, folder):
    """A copy of the build: a long run must not notice that somebody builds another."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
    library, report = library or target / "release" / "libpytrace.so", target / "release" / "pytrace"
    for path in (library, report):
        if not path.exists():
            raise Unusable(f"{path} is missing: cargo build --release --workspace")
    build_id = hashlib.sha256(library.read_bytes()).hexdigest()[:12]
    kept = folder / f"build-of-{build_id}"
    if not kept.exists():
        unfinished = folder / f"build-of-{build_id}-{os.getpid()}"
        unfinished.mkdir(parents=True)
        shutil.copy2(library, unfinished / "libpytrace.so")
        shutil.copy2(report, unfinished / "pytrace")
        (unfinished / "revision").write_text(revision())
        try:
            unfinished.rename(kept)
        except OSError:  # another run has made it meanwhile
            shutil.rmtree(unfinished)
    return Build(build_id, kept / "libpytrace.so", kept / "pytrace", (kept / "revision").read_text())


def revision():
    """Of the sources here, when a build is met for the first time."""
    command = ["git", "rev-parse", "--short=12", "HEAD"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.strip() or "unknown"


def chosen_pythons(options):
    """What to run on."""
    if options.all_pythons:
        return list(interpreters())
    if options.ci and not options.python:
        return ci_pythons(list(interpreters()))
    return options.python or [shutil.which("python3") or "python3"]


def ci_pythons(names):
    """One whose frames are objects or lie on the data stack by themselves (up to 3.11), and a newer one, if both are there."""
    chosen = []
    for versions in (("3.11", "3.10", "3.9", "3.8"), ("3.13", "3.14", "3.12", "3.15")):
        found = (name for version in versions for name in reversed(names) if f"-{version}." in f"{name}.")
        chosen += itertools.islice(filter(has_tests, found), 1)
    if not chosen:
        raise Unusable("no interpreter has a test suite: scripts/pythons fetches some")
    return chosen


def has_tests(name):
    try:
        return bool(find(name).test_files())
    except Unusable:
        return False


def run_one(options, python, build, folder, progress):
    """One interpreter: runs, prints, keeps its row. The number of differences that count."""
    interpreter = find(python)
    listed = interpreter.test_files()
    entries = QUICK if options.quick else CI if options.ci else options.only
    files, missing = select(listed, entries) if entries else ([TestFile(name) for name in listed], [])
    if options.only and missing:
        raise Unusable(f"{interpreter.name} has no {', '.join(missing)}")
    store = Store(folder / f"{interpreter.name}.jsonl", interpreter, options.resume)
    logs = folder / "logs" / interpreter.name
    deadline = time.monotonic() + 60 * options.minutes if options.minutes is not None else float("inf")
    result = Suite(interpreter, build, store, logs, options.timeout, progress, deadline).run_all(files, options.jobs)
    progress.end()
    known = exemptions.read()
    counted, exempt = exemptions.split(result.found, known, interpreter.version)
    kind = "quick" if options.quick else "ci" if options.ci else "only" if options.only else "all"
    row = {
        "interpreter": f"{interpreter.name} ({interpreter.full_version.split()[0]})",
        "tests": kind,
        "files": f"{result.files} of {len(files)}" if result.left else result.files,
        "cases": result.cases,
        "differences": len(counted),
        "exempt": len(exempt),
        "flakes": len(result.flakes),
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
        "revision": f"`{build.revision}`",
    }
    print(
        f"{row['interpreter']}: {row['files']} test files, {result.cases} cases: {len(counted)} differences, "
        f"{len(exempt)} exempt, {len(result.flakes)} flakes"
        + (f"; not in this version: {', '.join(missing)}" if missing else ""),
        flush=True,
    )
    for title, group in (("", counted), ("exempt: ", exempt), ("flake: ", result.flakes)):
        for difference in group:
            print(f"  {title}{difference}", flush=True)
    if counted:
        print(f"  logs: {logs}", flush=True)
    if result.left:
        print(f"  no time was left for {', '.join(result.left)}", flush=True)
    if kind != "only":
        (folder / f"{interpreter.name}-{kind}.row.json").write_text(json.dumps(row))
    return len(counted)


def main(argv=None):
    """Runs the command line; the exit status."""
    options = arguments(argv)
    restore_signals()
    progress = Progress()
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
    folder = target / "regrtest"
    try:
        known = exemptions.read()
        if options.write_docs:
            document.write(folder, known)
            return 0
        build = prepare(options.library, folder)
        counted = 0
        for python in chosen_pythons(options):
            try:
                counted += run_one(options, python, build, folder, progress)
            except Unusable as error:
                if not options.all_pythons:
                    raise
                print(f"skipped: {error}", flush=True)
    except (Unusable, exemptions.Malformed) as error:
        progress.end()
        print(f"scripts/regrtest: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        progress.end()
        return 130
    return 1 if counted else 0
