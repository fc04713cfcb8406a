"""The command line of `scripts/bench`."""

import argparse
import json
import shlex
import sys

from . import document, machine, tables
from .catalogue import QUICK, START, STORMS, programs, selected
from .configurations import PYTRACE, UNTRACED, configurations
from .instructions import draw as draw_instructions
from .instructions import measure_instructions
from .progress import Progress
from .scaling import draw as draw_scaling
from .scaling import measure_scaling
from .setup import Unusable, prepare
from .suite import Plan, Runs, measure_all, was_refused

SUITE = "suite.json"
DESCRIPTION = """\
Measures what pytrace costs: programs untraced, under pytrace's modes and under its peers, interleaved in one run. A run of
everything writes docs/BENCHMARKS.md; a selection prints tables only. All runs are kept as JSON in target/bench/."""


def arguments(argv):
    parser = argparse.ArgumentParser(prog="scripts/bench", description=DESCRIPTION)
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--scaling", action="store_true", help="cost per event as blocks, sites, threads, frames grow")
    kind.add_argument("--instructions", action="store_true", help="instructions per event, under callgrind")
    kind.add_argument("--redraw", action="store_true", help="the tables of the last run once more, measuring nothing")
    kind.add_argument("--quick", action="store_true", help="the storms and three programs, one peer: under two minutes")
    parser.add_argument("--only", metavar="PROGRAM", action="append", help="this program (again for more)")
    parser.add_argument("--config", metavar="NAME", action="append", help="this configuration (again for more)")
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds (5; 3 with --quick)")
    parser.add_argument("--peer-rounds", type=int, metavar="N", help="rounds in which peers run (all; 1 with --quick)")
    parser.add_argument("--python", metavar="PATH", help="the interpreter (pyenv's 3.11.7)")
    parser.add_argument("--no-build", action="store_true", help="measure the library that is there")
    return parser.parse_args(argv)


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
        without_peers=STORMS if options.quick else (),
    )


def measure_suite(setup, options, argv, progress):
    """The programs: measures, stores, prints, and writes the document when nothing was left out."""
    made = plan(options, setup)
    description = machine.describe(setup, shlex.join(["scripts/bench", *argv]))
    is_complete = not (options.quick or options.only or options.config)

    def store(runs):
        stored = {"machine": description, "is_complete": is_complete, "runs": runs.as_json()}
        (setup.output / SUITE).write_text(json.dumps(stored, indent=1))

    runs = measure_all(setup, made, progress, store)
    progress.end()
    show_suite(description, runs, is_complete)


def redraw(setup, *_):
    """The tables of the last run of the programs once more, from what it stored: also of one that was interrupted."""
    path = setup.output / SUITE
    if not path.exists():
        raise Unusable(f"{path} is missing: nothing was measured yet")
    stored = json.loads(path.read_text())
    show_suite(stored["machine"], Runs.from_json(stored["runs"]), stored["is_complete"])


def show_suite(description, runs, is_complete):
    """Prints the tables, and puts them into the document if they are complete."""
    parts = {"machine": machine.heading(description), **suite_parts(runs)}
    print("\n\n".join(parts.values()))
    if is_complete:
        document.write(parts)


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


def suite_parts(runs):
    """The generated parts of the document, by name."""
    names = dict.fromkeys(name for by_name in runs.by_program.values() for name in by_name if name != UNTRACED)
    programs_run = [name for name in runs.by_program if name != START]
    parts = {"bars": tables.bars(runs)}
    refused = {name: was_refused(runs, name) for name in names}
    parts["bars"] += "".join(f"\n\n{name}: {why}" for name, why in refused.items() if why)
    if programs_run:
        parts["peers"] = tables.peers(runs)
        for part, quantity in {"wall": "wall_s", "cpu": "cpu_s", "memory": "peak_bytes"}.items():
            parts[part] = tables.programs(runs, quantity, names)
        parts["wall"] += "\n\n" + tables.rounds(runs, programs_run, names)
        parts["memory"] += "\n\n" + tables.memory(runs, names)
        parts["events"] = tables.events(runs)
    if START in runs.by_program:
        starts = len(runs.of(START, UNTRACED))
        parts["start"] = tables.start(runs, names) + f"\n\nMedians of {starts} starts."
    return {part: text for part, text in parts.items() if text}


def main(argv=None):
    """Runs the command line; the exit status."""
    argv = sys.argv[1:] if argv is None else argv
    options = arguments(argv)
    progress = Progress()
    try:
        setup = prepare(options.python, not (options.no_build or options.redraw), progress.say)
        chosen = {measure_counted: options.instructions, measure_grown: options.scaling, redraw: options.redraw}
        measure = next((function for function, is_wanted in chosen.items() if is_wanted), measure_suite)
        measure(setup, options, argv, progress)
    except Unusable as error:
        progress.end()
        print(f"scripts/bench: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        progress.end()
        return 130
    return 0
