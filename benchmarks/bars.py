"""The bars: how dear pytrace may be, and whether it is dearer.

A bar is judged from a complete measurement only: the mean of three programs says nothing about the mean of eleven.
"""

from dataclasses import dataclass
from statistics import median

from .catalogue import DEEP, PYPERFORMANCE, START, STORM
from .configurations import MEMRAY_PYTHON, MEMRAY_PYTHON_NATIVE, NATIVE, PYTRACE, SITES, UNTRACED
from .ratios import added, eleven, geometric_mean, ratio

MIB = 1 << 20
MEAN = "geometric mean of the eleven"
WORST = "worst of the eleven"

# Limits for counts, sites, sites + native=full.
RATIO_BARS = {
    STORM: (1.15, 1.5, 1.75),
    DEEP: (1.10, 1.8, 1.9),
    MEAN: (1.05, 1.20, 1.35),
    WORST: (1.15, 1.45, 1.65),
}
# Bytes over untraced, and what part of the traced heap may come on top.
MEMORY_BARS = ((8 * MIB, 0.0), (24 * MIB, 0.3), (24 * MIB, 0.3))
START_BARS_S = (0.010, 0.015, 0.025)
# What pytrace adds, as a part of what the peer adds at the same task.
PEER_BARS = ((SITES, MEMRAY_PYTHON, 1 / 12), (NATIVE, MEMRAY_PYTHON_NATIVE, 1 / 20))


@dataclass(frozen=True)
class Cell:
    """What was measured (None: there was nothing to measure) against what is allowed; `about` is the program of a worst case."""

    value: float | None
    limit: float
    about: str = ""

    @property
    def is_met(self):
        return None if self.value is None else self.value <= self.limit


def ratio_cells(runs):
    """The rows of ratios: by row, one cell for each of pytrace's configurations."""
    rows = {}
    for row, limits in RATIO_BARS.items():
        rows[row] = [_ratio_cell(runs, row, name, limit) for name, limit in zip(PYTRACE, limits, strict=True)]
    return rows


def _ratio_cell(runs, row, configuration, limit):
    if row not in (MEAN, WORST):
        return Cell(ratio(runs, row, configuration), limit)
    found = eleven(runs, configuration)
    if len(found) < len(PYPERFORMANCE):
        return Cell(None, limit)
    if row == MEAN:
        return Cell(geometric_mean(found.values()), limit)
    worst = max(found, key=found.get)
    return Cell(found[worst], limit, worst)


def memory_cells(runs):
    """The program that comes closest to, or goes furthest beyond, what it may add: bytes added, bytes allowed."""
    return [_memory_cell(runs, name, *bar) for name, bar in zip(PYTRACE, MEMORY_BARS, strict=True)]


def _memory_cell(runs, configuration, fixed_bytes, part):
    cells = []
    for program in runs.by_program:
        extra = added(runs, program, configuration, "peak_bytes")
        if extra is not None and program != START:
            heap = next((one.traced_bytes for one in runs.of(program, configuration) if one and one.traced_bytes), 0)
            cells.append(Cell(extra, fixed_bytes + part * heap, program))
    return max(cells, key=lambda cell: cell.value - cell.limit, default=Cell(None, fixed_bytes))


def start_cells(runs):
    """Seconds that pytrace adds to the shortest of programs."""
    return [Cell(added(runs, START, name), limit) for name, limit in zip(PYTRACE, START_BARS_S, strict=True)]


def peer_cells(runs):
    """What pytrace adds divided by what its peer adds: (pytrace, peer, on what, cell, the same without start-up)."""
    rows = []
    for name, peer, limit in PEER_BARS:
        for what, measured in ((MEAN, _mean_added), (STORM, _storm_added)):
            value, rest = (_quotient(measured(runs, name, part), measured(runs, peer, part)) for part in (False, True))
            rows.append((name, peer, what, Cell(value, limit), rest))
    return rows


def _quotient(ours, theirs):
    return ours / theirs if ours is not None and theirs else None


def _storm_added(runs, configuration, without_start):
    """The part of the untraced time that a configuration adds to the storm."""
    whole = ratio(runs, STORM, configuration)
    start = _start_part(runs, STORM, configuration) if without_start else 0
    return None if whole is None or start is None else whole - 1 - start


def _mean_added(runs, configuration, without_start):
    """The same to the eleven programs, in the geometric mean of their ratios."""
    found = eleven(runs, configuration)
    if len(found) < len(PYPERFORMANCE):
        return None
    if without_start:
        starts = {program: _start_part(runs, program, configuration) for program in found}
        if None in starts.values():
            return None
        found = {program: value - starts[program] for program, value in found.items()}
    return geometric_mean(found.values()) - 1


def _start_part(runs, program, configuration):
    """What a configuration adds to the start, as a part of the untraced program's time."""
    start = added(runs, START, configuration)
    return None if start is None else start / median(one.wall_s for one in runs.of(program, UNTRACED))
