"""What an event costs as one thing grows: live blocks, call sites, threads, frames.

`programs/grown.py` times its own working part, so that building what is grown is not in it. It has the library settle its books before
and at the end of that part: work that is merely put off would not count otherwise. No capture is written, as that would be part of it.
"""

from dataclasses import replace
from statistics import median

from .catalogue import selected
from .configurations import PYTRACE, UNTRACED, configurations
from .measure import run
from .tables import NOT_THERE, table

POINTS = {
    "live": [10**n for n in range(3, 8)],
    "sites": [10**n for n in range(2, 7)],
    "new-sites": [10**n for n in range(4, 7)],
    "threads": [1, 2, 4, 8, 16, 32, 64],
    "frames": [1, 3, 10, 30, 100, 300, 1000],
}
TITLES = {
    "live": "live blocks",
    "sites": "call sites",
    "new-sites": "call sites, each for the first time",
    "threads": "threads",
    "frames": "Python frames",
}
EVENTS = 8_000_000
ROUNDS = 3


def measure_scaling(setup, progress, only, config, rounds):
    """By (what, size) and configuration: nanoseconds per event, or the line with which the library refused."""
    known = configurations(setup.library)
    modes = selected({name: known[name] for name in PYTRACE}, config, "mode of pytrace")
    quiet = [replace(mode, environment=(*mode.environment, ("PYTRACE_OUTPUT", "none"))) for mode in modes]
    chosen = [known[UNTRACED], *quiet]
    series = {what: [(what, size) for size in sizes] for what, sizes in POINTS.items()}
    points = [point for one in selected(series, only, "scaling") for point in one]
    progress.expect(len(points) * len(chosen) * (rounds or ROUNDS))
    results = {point: {} for point in points}
    for number in range(rounds or ROUNDS):
        for point in points:
            shift = number % len(chosen)
            for one in chosen[shift:] + chosen[:shift]:
                progress.step(f"{point[0]} {point[1]:,}, {one.name}")
                before = results[point].setdefault(one.name, [])
                if before and isinstance(before[0], str):
                    continue
                done = run(setup, one, (setup.programs / "grown.py", *point, EVENTS))
                before.append(done.refused or float(done.output))
    return results


def draw(results):
    """A table for each thing that grows: nanoseconds per event untraced, and what each configuration adds."""
    tables = []
    for what in dict.fromkeys(what for what, _ in results):
        rows = []
        for size, by_name in [(size, by_name) for (other, size), by_name in results.items() if other == what]:
            bare = by_name[UNTRACED]
            added = [_added(bare, by_name[name]) for name in by_name if name != UNTRACED]
            rows.append([f"{size:,}", f"{median(bare):.1f}", *added])
        names = [name for name in next(iter(results.values())) if name != UNTRACED]
        tables.append(table([TITLES[what], "untraced, ns", *(f"{name}, added ns" for name in names)], rows))
    return "\n\n".join(tables)


def _added(bare, traced):
    if isinstance(traced[0], str):
        return NOT_THERE
    return f"{median(after - before for before, after in zip(bare, traced, strict=True)):+.1f}"
