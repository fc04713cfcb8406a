"""Instructions per event, counted by callgrind: the same to a fraction of a per cent on any run, so that a regression is seen.

A program runs with two loop counts; what the longer one took more, divided by the events that it had more, has neither start nor end
in it. Work is told apart by the function that did it: everything in the library's object, by the names below; and what the rest of the
process did more than in the untraced program.
"""

import re
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from . import callgrind
from .catalogue import PYPERFORMANCE, selected
from .configurations import PYTRACE, SITES, UNTRACED, configurations
from .measure import FIXED, require, run
from .tables import NOT_THERE, table

# Writing at intervals would depend on how slow valgrind is today.
QUIET = {"PYTRACE_OUTPUT": "none", "PYTRACE_SUMMARY": "none", "PYTRACE_INTERVAL_MS": "60000"}
BOOKS = "books"
BIRTH = "hook of a birth"
DEATH = "hook of a death"
SHARED = "hooks, either"
REST = "outside, added"
ROLE_ORDER = (BIRTH, DEATH, SHARED, BOOKS, REST)
SOURCES = 14
DETAILED = "alloc storm"
# The first that is found in a function's name decides; names are Rust paths.
ROLES = (
    (BOOKS, re.compile(r"aggregate|session|output|transport|dlmalloc|background|hdrhistogram|pytrace_model")),
    (DEATH, re.compile(r"free|munmap")),
    (BIRTH, re.compile(r"[mc]alloc|realloc|memalign|mmap|stack|python|framehop|gimli")),
)


@dataclass(frozen=True)
class Counted:
    """A program for callgrind: its arguments for either loop count."""

    name: str
    fewer: tuple
    more: tuple


@dataclass(frozen=True)
class PerEvent:
    """Instructions by role. Births and deaths are per birth and per death, the rest is per event; `total` is all of it per event."""

    events: int
    roles: dict
    total: float
    bare: float  # the untraced program's own instructions per event
    sources: list  # (role, source file, instructions per event) of the library, the largest first


def counted_programs(setup):
    """What is counted: both storms, and two programs in which stacks change all the time."""
    storm, script = setup.programs / "storm.py", setup.programs / "pyperformance_program.py"

    def loops(name, fewer, more):
        folder, rest = setup.pyperformance / f"bm_{name}", PYPERFORMANCE[name][1:]
        return Counted(name, (script, folder, fewer, *rest), (script, folder, more, *rest))

    return [
        Counted("alloc storm", (storm, 5_000, 0), (storm, 45_000, 0)),
        Counted("64-deep storm", (storm, 5_000, 64), (storm, 45_000, 64)),
        loops("json_loads", 20, 60),
        loops("regex_compile", 1, 2),
    ]


def role(function):
    """What a function of the library is for."""
    return next((name for name, pattern in ROLES if pattern.search(function)), SHARED)


def per_event(bare, traced, library, events):
    """From (fewer, more) costs of the untraced and of the traced program to instructions per event."""
    grown_bare, grown = _growth(*bare), _growth(*traced)
    sums, sources = Counter(), Counter()
    for place, cost in grown.items():
        if Path(place.object).name == library:
            part = role(place.function)
            sources[part, source_name(place.source)] += cost / events
        else:
            part = REST
        sums[part] += cost
    sums[REST] -= sum(grown_bare.values())
    # Nearly every event is a birth or a death, and there are as many of these as of those.
    roles = {name: sums[name] / events * (2 if name in (BIRTH, DEATH) else 1) for name in ROLE_ORDER}
    return PerEvent(
        events,
        roles,
        sum(sums.values()) / events,
        sum(grown_bare.values()) / events,
        [(part, source, round(cost, 2)) for (part, source), cost in sources.most_common(SOURCES)],
    )


def source_name(path):
    """A source file's name without what is before the crate, or before the standard library's part."""
    return re.sub(r"^.*/(?=cdylib/src/|format/src/|model/src/)|^.*/library/|^.*/deps/", "", path)


def _growth(fewer, more):
    return {key: more[key] - fewer[key] for key in fewer.keys() | more.keys()}


def measure_instructions(setup, progress, only, config):
    """By program and configuration: PerEvent, or the line with which the library refused."""
    valgrind = require("valgrind", "Debian: apt-get install valgrind")
    known = configurations(setup.library)
    programs = selected({program.name: program for program in counted_programs(setup)}, only, "counted program")
    modes = selected({name: known[name] for name in PYTRACE}, config, "mode of pytrace")
    progress.expect(len(programs) * (1 + len(modes)))
    results = {}
    for program in programs:
        progress.step(f"{program.name}, {UNTRACED}")
        bare = _both(setup, valgrind, known[UNTRACED], program)
        # One mode counts the events for all: not every mode tells.
        events = [run(setup, known[SITES], arguments).events for arguments in (program.fewer, program.more)]
        for mode in modes:
            progress.step(f"{program.name}, {mode.name}")
            found = run(setup, mode, program.fewer).refused
            if not found:
                traced = _both(setup, valgrind, mode, program)
                found = per_event(bare, traced, setup.library.name, events[1] - events[0])
            results.setdefault(program.name, {})[mode.name] = found
    return results


def _both(setup, valgrind, configuration, program):
    environment = {"PATH": "/usr/bin:/bin"} | FIXED | QUIET | dict(configuration.environment)
    with tempfile.TemporaryDirectory(prefix="pytrace-bench-") as scratch:
        costs = []
        for arguments in (program.fewer, program.more):
            command = configuration.command(setup.python, arguments, scratch)
            costs.append(callgrind.count(valgrind, command, environment, Path(scratch)))
    return costs


def draw(results):
    """The table: a row for each program and mode."""
    rows = []
    for program, by_mode in results.items():
        for mode, found in by_mode.items():
            if isinstance(found, str):
                rows.append([f"{program}, {mode}", *[NOT_THERE] * 7])
            else:
                cells = [found.total, *found.roles.values(), found.bare]
                rows.append([f"{program}, {mode}", *(f"{cell:.1f}" for cell in cells)])
    header = ["instructions", "added per event", *ROLE_ORDER, "untraced"]
    return "\n\n".join([table(header, rows), *_source_tables(results.get(DETAILED, {}))])


def _source_tables(by_mode):
    for mode, found in by_mode.items():
        if not isinstance(found, str):
            rows = [[f"{source} ({part})", f"{cost:.1f}"] for part, source, cost in found.sources]
            yield table([f"{DETAILED}, {mode}: source files", "instructions per event"], rows)
