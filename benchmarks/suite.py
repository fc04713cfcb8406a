"""All programs under all configurations, in rounds: every configuration of a program runs once a round, in rotating order.

The result holds every single run; what is made of them is in `ratios`.
"""

from dataclasses import dataclass, field

from .catalogue import START
from .measure import Run, run

START_ARGUMENTS = ("-c", "pass")


@dataclass
class Runs:
    """The runs by program and configuration, one entry a round; None where a peer sat a round out."""

    by_program: dict = field(default_factory=dict)

    def add(self, program, configuration, one):
        self.by_program.setdefault(program, {}).setdefault(configuration, []).append(one)

    def of(self, program, configuration):
        return self.by_program.get(program, {}).get(configuration, [])

    def as_json(self):
        return {
            program: {name: [one.as_json() if one else None for one in runs] for name, runs in by_name.items()}
            for program, by_name in self.by_program.items()
        }

    @classmethod
    def from_json(cls, stored):
        """What `as_json` made."""
        runs = cls()
        for program, by_name in stored.items():
            by_name = {name: [one and Run(**one) for one in of_one] for name, of_one in by_name.items()}
            runs.by_program[program] = by_name
        return runs


@dataclass(frozen=True)
class Plan:
    """What is run, and how often."""

    programs: list
    configurations: list
    rounds: int
    peer_rounds: int
    starts: int  # of `python -c pass`; 0 leaves it out
    without_peers: tuple = ()  # programs for which they take too long


def measure_all(setup, plan, progress, store):
    """Runs the plan, and has each finished round stored. What was refused once is not tried again for that program."""
    runs = Runs()
    progress.expect(plan.rounds * len(plan.programs) * len(plan.configurations) + plan.starts)
    for number in range(plan.rounds):
        for program in plan.programs:
            for configuration in _rotated(plan.configurations, number):
                progress.step(f"round {number + 1} of {plan.rounds}: {program.name}, {configuration.name}")
                sits_out = configuration.is_peer and (number >= plan.peer_rounds or program.name in plan.without_peers)
                before = runs.of(program.name, configuration.name)
                refused = next((one for one in before if one and one.refused), None)
                # The traced heap is the same in every round: the report is asked once, after what is timed.
                read = number == 0 and configuration.is_pytrace
                one = None if sits_out else refused or run(setup, configuration, program.arguments, read)
                runs.add(program.name, configuration.name, one)
        store(runs)
    for number in range(plan.starts):
        progress.step(f"{START}, {number + 1} of {plan.starts}")
        for configuration in _rotated(plan.configurations, number):
            # `memray run` has a -c of its own, so the same two arguments do for all.
            runs.add(START, configuration.name, run(setup, configuration, START_ARGUMENTS))
    store(runs)
    return runs


def _rotated(items, number):
    shift = number % len(items)
    return items[shift:] + items[:shift]


def was_refused(runs, configuration):
    """Why a configuration was not measured anywhere, if so."""
    for by_name in runs.by_program.values():
        for one in by_name.get(configuration, []):
            if one and one.refused:
                return one.refused
    return None
