"""Draws results as Markdown tables, which read well on a terminal too."""

from . import ratios
from .bars import MEAN, WORST, memory_cells, peer_cells, ratio_cells, start_cells
from .catalogue import PYPERFORMANCE, START
from .configurations import PYTRACE, UNTRACED
from .ratios import added, eleven, geometric_mean, nanoseconds_an_event, ratio
from .suite import was_refused

MIB = 1 << 20
NOT_THERE = "not there yet"
NOT_MEASURED = "not measured"
BARE_UNITS = {
    "wall_s": lambda value: f"{value:.2f} s",
    "cpu_s": lambda value: f"{value:.2f} s",
    "peak_bytes": lambda value: f"{value / MIB:.1f} MiB",
}


def table(header, rows):
    """A Markdown table; the first column is text, the others are numbers."""
    rows = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]

    def line(cells):
        padded = [cell.rjust(width) for cell, width in zip(cells, widths, strict=True)]
        return "| " + " | ".join([cells[0].ljust(widths[0]), *padded[1:]]) + " |"

    rule = "|" + "|".join(["-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:])]) + "|"
    return "\n".join([line(header), rule, *map(line, rows)])


def _judged(cell, draw):
    if cell.value is None:
        return f"{NOT_MEASURED} (≤ {draw(cell.limit)})"
    verdict = "met" if cell.is_met else "MISSED"
    return f"{draw(cell.value)} {verdict} (≤ {draw(cell.limit)}){', ' + cell.about if cell.about else ''}"


def bars(runs):
    """The table of bars: measured, met or missed, allowed."""
    rows = [[row, *(_judged(cell, "{:.2f}".format) for cell in cells)] for row, cells in ratio_cells(runs).items()]
    rows.append(["peak memory over untraced", *(_judged(cell, _mib) for cell in memory_cells(runs))])
    rows.append([f"{START}, added", *(_judged(cell, _ms) for cell in start_cells(runs))])
    for position, name in enumerate(PYTRACE):
        if was_refused(runs, name):
            for row in rows:
                row[position + 1] = NOT_THERE
    # A selection of programs leaves out the rows that it says nothing about.
    return table(["", *PYTRACE], [row for row in rows if not all(NOT_MEASURED in cell for cell in row[1:])])


def peers(runs):
    """What pytrace adds against what memray adds; the last column leaves out what either adds to a program that does nothing."""
    rows = []
    for name, peer, program, cell, without_start in peer_cells(runs):
        if cell.value is not None:
            verdict = "met" if cell.is_met else "MISSED"
            drawn = [_part(cell.value), f"≤ {_part(cell.limit)}", verdict, _part(without_start)]
            rows.append([f"{name} / {peer}", program, *drawn])
    header = ["time added, ours / theirs", "on", "measured", "bar", "", "without start-up"]
    return table(header, rows) if rows else ""


def rounds(runs, names, configurations):
    """How many rounds the numbers are from, and how noisy they were."""
    most = max(len(runs.of(name, UNTRACED)) for name in names)
    ran = [sum(one is not None for one in runs.of(name, other)) for name in names for other in configurations]
    fewest = min(filter(None, ran), default=most)
    spreads = [ratios.spread(runs, name, UNTRACED) or 0 for name in names]
    waits = [ratios.waited(runs, name, UNTRACED) for name in names]
    return (
        f"Rounds: {most}{'' if fewest == most else f' (peers: {fewest})'}. How noisy the machine was: between rounds an untraced "
        f"program varied by up to {max(spreads):.0%} of its median, and of its time it had no processor for up to {max(waits):.0%}."
    )


def programs(runs, quantity, names):
    """Ratios to the untraced program, one row a program, one column a configuration; the untraced column is absolute."""
    rows = []
    for program in [name for name in runs.by_program if name != START]:
        bare = [getattr(one, quantity) for one in runs.of(program, UNTRACED)]
        middle = sorted(bare)[len(bare) // 2]
        cells = [_ratio(ratio(runs, program, name, quantity)) for name in names]
        rows.append([program, BARE_UNITS[quantity](middle), *cells])
    found = [eleven(runs, name, quantity) for name in names]
    complete = [len(values) == len(PYPERFORMANCE) for values in found]
    if any(complete):
        # Without all eleven a mean would compare different sets.
        means = [
            geometric_mean(values.values()) if whole else None for values, whole in zip(found, complete, strict=True)
        ]
        worst = [max(values.values()) if whole else None for values, whole in zip(found, complete, strict=True)]
        rows.append([MEAN, "", *map(_ratio, means)])
        rows.append([WORST, "", *map(_ratio, worst)])
    return table(["", UNTRACED, *names], rows)


def memory(runs, names):
    """Peak memory over untraced, absolute."""
    rows = []
    for program in [name for name in runs.by_program if name != START]:
        values = [added(runs, program, name, "peak_bytes") for name in names]
        rows.append([program, *("–" if value is None else _mib(value) for value in values)])
    return table(["MiB added to the peak", *names], rows)


def events(runs):
    """What an event costs, where events are counted."""
    rows = []
    for program in [name for name in runs.by_program if name != START]:
        counted = ratios.events(runs, program)
        if counted:
            costs = [nanoseconds_an_event(runs, program, name) for name in PYTRACE]
            rows.append([program, f"{counted:,.0f}", *("–" if cost is None else f"{cost:.1f}" for cost in costs)])
    return table(["ns added an event", "events", *PYTRACE], rows) if rows else ""


def start(runs, names):
    """Milliseconds that a configuration adds to `python -c pass`."""
    cells = [added(runs, START, name) for name in names]
    return table(["", *names], [[f"{START}, added", *("–" if value is None else _ms(value) for value in cells)]])


def _ratio(value):
    return "–" if value is None else f"{value:.2f}"


def _part(value):
    """A part of a whole as people say it: 1/12."""
    if value is None:
        return "–"
    return f"1/{1 / value:.1f}".removesuffix(".0") if value > 0 else "nothing"


def _mib(value):
    return f"{value / MIB:+.1f} MiB"


def _ms(value):
    return f"{value * 1e3:.1f} ms"
