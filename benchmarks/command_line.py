"""The command line of `scripts/bench`."""

import argparse
import json
import shlex
import sys

from . import document, machine, tables
from .catalogue import QUICK, START, programs
from .configurations import PYTRACE, UNTRACED, configurations
from .instructions import draw as draw_instructions
from .instructions import measure_instructions
from .progress import Progress
from .ratios import spread
from .scaling import draw as draw_scaling
from .scaling import measure_scaling
from .setup import Unusable, prepare
from .suite import Plan, measure_all, was_refused

DESCRIPTION = """\
Measures what pytrace costs: programs untraced, under pytrace's modes and under its peers, interleaved in one run. A run of
everything writes docs/BENCHMARKS.md; a selection prints tables only. All runs are kept as JSON in target/bench/."""


def arguments(argv):
    parser = argparse.ArgumentParser(prog="scripts/bench", description=DESCRIPTION)
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--scaling", action="store_true", help="cost per event as blocks, sites, threads, frames grow")
    kind.add_argument("--instructions", action="store_true", help="instructions per event, under callgrind")
    kind.add_argument("--quick", action="store_true", help="the storms and three programs, one peer: under two minutes")
    parser.add_argument("--only", metavar="PROGRAM", action="append", help="this program (again for more)")
    parser.add_argument("--config", metavar="NAME", action="append", help="this configuration (again for more)")
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds (5; 3 with --quick)")
    parser.add_argument("--peer-rounds", type=int, metavar="N", help="rounds in which peers run (all; 1 with --quick)")
    parser.add_argument("--python", metavar="PATH", help="the interpreter (pyenv's 3.11.7)")
    parser.add_argument("--no-build", action="store_true", help="measure the library that is there")
    return parser.parse_args(argv)


def selected(by_name, names, what):
    """The entries that were asked for; all without a wish."""
    unknown = [name for name in names or [] if name not in by_name]
    if unknown:
        raise Unusable(f"no {what} {unknown[0]!r}; there are: {'; '.join(by_name)}")
    return [value for name, value in by_name.items() if not names or name in names]


def plan(options, setup):
    """What the options ask for."""
    all_programs, all_configurations = programs(setup), configurations(setup.library)
    only, config = options.only, options.config
    if options.quick:
        only, config = only or QUICK, config or (UNTRACED, *PYTRACE, "tracemalloc")
    with_start = not only or options.quick or START in only
    chosen = selected(all_programs | {START: None}, only, "program")
    rounds = options.rounds or (3 if options.quick else 5)
    return Plan(
        programs=[program for program in chosen if program],
        configurations=selected(all_configurations, config and [UNTRACED, *config], "configuration"),
        rounds=rounds,
        peer_rounds=options.peer_rounds or (1 if options.quick else rounds),
        starts=(11 if options.quick else 21) if with_start else 0,
    )


def measure_suite(setup, options, argv, progress):
    """The programs: measures, stores, prints, and writes the document when nothing was left out."""
    made = plan(options, setup)
    description = machine.describe(setup, shlex.join(["scripts/bench", *argv]))
    runs = measure_all(setup, made, progress)
    progress.end()
    stored = {"machine": description, "runs": runs.as_json()}
    (setup.output / "suite.json").write_text(json.dumps(stored, indent=1))
    names = [configuration.name for configuration in made.configurations if configuration.name != UNTRACED]
    parts = suite_parts(runs, names, made)
    print(machine.heading(description) + "\n")
    print("\n\n".join(parts.values()))
    if not (options.quick or options.only or options.config):
        document.write({"machine": machine.heading(description), **parts})


def measure_counted(setup, options, argv, progress):
    """Instructions per event: measures, stores, prints, and writes the document when nothing was left out."""
    description = machine.describe(setup, shlex.join(["scripts/bench", *argv]))
    results = measure_instructions(setup, progress, options.only, options.config)
    progress.end()
    drawn = draw_instructions(results)
    stored = {
        program: {mode: found if isinstance(found, str) else vars(found) for mode, found in by_mode.items()}
        for program, by_mode in results.items()
    }
    finish(setup, options, "instructions", description, stored, drawn)


def measure_grown(setup, options, argv, progress):
    """Cost per event as things grow: measures, stores, prints, and writes the document when nothing was left out."""
    description = machine.describe(setup, shlex.join(["scripts/bench", *argv]))
    results = measure_scaling(setup, progress, options.only, options.config, options.rounds)
    progress.end()
    stored = {f"{what} {size}": by_name for (what, size), by_name in results.items()}
    finish(setup, options, "scaling", description, stored, draw_scaling(results))


def finish(setup, options, part, description, stored, drawn):
    """Stores and prints a table of its own; a complete one goes into the document, with what it depends on."""
    (setup.output / f"{part}.json").write_text(json.dumps({"machine": description, part: stored}, indent=1))
    print(machine.heading(description) + "\n")
    print(drawn)
    if not (options.only or options.config):
        document.write({part: f"{machine.heading(description)}\n\n{drawn}"})


def suite_parts(runs, names, made):
    """The generated parts of the document, by name."""
    quantities = {"wall": "wall_s", "cpu": "cpu_s", "memory": "peak_bytes"}
    parts = {"bars": tables.bars(runs)}
    refused = {name: was_refused(runs, name) for name in names}
    parts["bars"] += "".join(f"\n\n{name}: {why}" for name, why in refused.items() if why)
    if made.programs:
        parts["peers"] = tables.peers(runs)
        for part, quantity in quantities.items():
            parts[part] = tables.programs(runs, quantity, names)
        spreads = [spread(runs, program.name, UNTRACED) or 0 for program in made.programs]
        parts["wall"] += (
            f"\n\nMedians of {made.rounds} rounds (peers: {min(made.rounds, made.peer_rounds)}). "
            f"The untraced programs themselves varied by up to {max(spreads):.0%} of their median between rounds."
        )
        parts["memory"] += "\n\n" + tables.memory(runs, names)
        parts["events"] = tables.events(runs)
    if made.starts:
        parts["start"] = tables.start(runs, names) + f"\n\nMedians of {made.starts} starts."
    return parts


def main(argv=None):
    """Runs the command line; the exit status."""
    argv = sys.argv[1:] if argv is None else argv
    options = arguments(argv)
    progress = Progress()
    try:
        setup = prepare(options.python, not options.no_build, progress.say)
        measure = measure_counted if options.instructions else measure_grown if options.scaling else measure_suite
        measure(setup, options, argv, progress)
    except Unusable as error:
        progress.end()
        print(f"scripts/bench: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        progress.end()
        return 130
    return 0
