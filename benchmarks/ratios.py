"""From runs to numbers: medians over rounds of what a traced run took, divided by or less what the untraced run of the same round took.

Nothing is made up: where a run is missing or was refused, the answer is None.
"""

import math
from statistics import median

from .catalogue import PYPERFORMANCE
from .configurations import UNTRACED


def pairs(runs, program, configuration, quantity):
    """(untraced, traced) of every round in which both were measured."""
    both = zip(runs.of(program, UNTRACED), runs.of(program, configuration), strict=False)
    found = [(bare, traced) for bare, traced in both if bare and traced and not bare.refused and not traced.refused]
    return [(getattr(bare, quantity), getattr(traced, quantity)) for bare, traced in found]


def ratio(runs, program, configuration, quantity="wall_s"):
    """The median of traced / untraced."""
    found = pairs(runs, program, configuration, quantity)
    return median(traced / bare for bare, traced in found) if found else None


def added(runs, program, configuration, quantity="wall_s"):
    """The median of traced − untraced."""
    found = pairs(runs, program, configuration, quantity)
    return median(traced - bare for bare, traced in found) if found else None


def eleven(runs, configuration, quantity="wall_s"):
    """The ratios of those of the eleven pyperformance programs that were measured, by name."""
    all_ratios = {name: ratio(runs, name, configuration, quantity) for name in PYPERFORMANCE}
    return {name: value for name, value in all_ratios.items() if value is not None}


def geometric_mean(values):
    """The geometric mean of ratios, None of none."""
    values = list(values)
    return math.exp(sum(map(math.log, values)) / len(values)) if values else None


def events(runs, program):
    """How many events the program has: what any configuration counted, as not every one tells."""
    found = [one.events for of_one in runs.by_program[program].values() for one in of_one if one and one.events]
    return median(found) if found else None


def nanoseconds_an_event(runs, program, configuration):
    """What an event adds to the wall clock. Start and end of the tracing are in it: they weigh little where there are millions."""
    extra, counted = added(runs, program, configuration), events(runs, program)
    return extra * 1e9 / counted if extra is not None and counted else None


def spread(runs, program, configuration, quantity="wall_s"):
    """How far the rounds lie apart: (largest − smallest) / median."""
    values = [getattr(one, quantity) for one in runs.of(program, configuration) if one and not one.refused]
    return (max(values) - min(values)) / median(values) if len(values) > 1 else None


def waited(runs, program, configuration):
    """The part of the wall clock in which a program that never sleeps had no processor, since others had it."""
    return median(max(0, 1 - one.cpu_s / one.wall_s) for one in runs.of(program, configuration))
