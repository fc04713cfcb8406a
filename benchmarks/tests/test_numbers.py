"""Ratios, bars and what must never be shown as a number."""

import json
import unittest

from benchmarks import bars, ratios, tables
from benchmarks.catalogue import PYPERFORMANCE, START, STORM
from benchmarks.configurations import COUNTS, MEMRAY_PYTHON, NATIVE, SITES, UNTRACED
from benchmarks.measure import Run
from benchmarks.suite import Runs

MIB = 1 << 20


def runs_of(by_program):
    """Runs from {program: {configuration: [seconds or Run, …]}}."""
    runs = Runs()
    for program, by_name in by_program.items():
        for name, values in by_name.items():
            for value in values:
                runs.add(program, name, value if isinstance(value, Run) or value is None else Run(wall_s=value))
    return runs


class Ratios(unittest.TestCase):
    def test_each_round_is_compared_with_its_own_untraced_run(self):
        runs = runs_of({STORM: {UNTRACED: [1.0, 10.0, 2.0], SITES: [1.5, 20.0, 2.4]}})
        self.assertAlmostEqual(ratios.ratio(runs, STORM, SITES), 1.5)  # of 1.5, 2.0, 1.2
        self.assertAlmostEqual(ratios.added(runs, STORM, SITES), 0.5)  # of 0.5, 10, 0.4

    def test_a_round_that_a_peer_sat_out_is_left_out(self):
        runs = runs_of({STORM: {UNTRACED: [1.0, 2.0], MEMRAY_PYTHON: [None, 6.0]}})
        self.assertEqual(ratios.ratio(runs, STORM, MEMRAY_PYTHON), 3.0)

    def test_a_refused_run_gives_no_ratio(self):
        runs = runs_of({STORM: {UNTRACED: [1.0], COUNTS: [Run(wall_s=1.0, refused="x is not accepted")]}})
        self.assertIsNone(ratios.ratio(runs, STORM, COUNTS))
        self.assertIn(tables.NOT_THERE, tables.bars(runs))
        self.assertNotIn("1.00", tables.bars(runs))

    def test_stored_runs_come_back(self):
        refused = Run(wall_s=1.0, refused="x is not accepted")
        runs = runs_of({STORM: {UNTRACED: [1.0, 2.0], MEMRAY_PYTHON: [6.0, None], COUNTS: [refused]}})
        self.assertEqual(Runs.from_json(json.loads(json.dumps(runs.as_json()))), runs)

    def test_the_geometric_mean(self):
        self.assertAlmostEqual(ratios.geometric_mean([1.0, 4.0, 2.0]), 2.0)
        self.assertIsNone(ratios.geometric_mean([]))

    def test_an_event_costs_what_was_added_divided_by_the_events_of_whoever_counted(self):
        counted = Run(wall_s=1.5, events=100_000_000)
        runs = runs_of({STORM: {UNTRACED: [1.0], COUNTS: [1.1], SITES: [counted]}})
        self.assertAlmostEqual(ratios.nanoseconds_an_event(runs, STORM, SITES), 5.0)
        self.assertAlmostEqual(ratios.nanoseconds_an_event(runs, STORM, COUNTS), 1.0)


class Bars(unittest.TestCase):
    def eleven(self, sites, memray):
        rows = {UNTRACED: [1.0], SITES: [sites], MEMRAY_PYTHON: [memray]}
        return runs_of({name: rows for name in (*PYPERFORMANCE, STORM)})

    def test_met_and_missed(self):
        cells = bars.ratio_cells(self.eleven(1.2, 5.0))
        self.assertEqual([cells[row][1].is_met for row in cells], [True, None, True, True])
        cells = bars.ratio_cells(self.eleven(1.46, 5.0))
        self.assertEqual([cells[row][1].is_met for row in cells], [True, None, False, False])

    def test_ten_programs_do_not_make_a_mean_of_eleven(self):
        runs = self.eleven(1.0, 5.0)
        del runs.by_program["go"]
        self.assertIsNone(bars.ratio_cells(runs)[bars.MEAN][1].is_met)
        self.assertNotIn(bars.MEAN, tables.programs(runs, "wall_s", [SITES]))

    def test_what_is_added_is_compared_with_what_the_peer_adds(self):
        runs = self.eleven(1.25, 4.0)
        mean, storm = [cell for name, _, _, cell, _ in bars.peer_cells(runs) if name == SITES]
        self.assertAlmostEqual(mean.value, 1 / 12)
        self.assertAlmostEqual(storm.value, 1 / 12)
        native = [cell.value for name, _, _, cell, _ in bars.peer_cells(runs) if name == NATIVE]
        self.assertEqual(native, [None, None])

    def test_a_start_up_can_be_left_out_of_what_is_added(self):
        runs = self.eleven(1.25, 4.0)
        for name, seconds in ((UNTRACED, 0.01), (SITES, 0.01), (MEMRAY_PYTHON, 0.51)):
            runs.add(START, name, Run(wall_s=seconds))
        without = [without_start for name, _, _, _, without_start in bars.peer_cells(runs) if name == SITES]
        self.assertEqual([round(value, 6) for value in without], [0.1, 0.1])  # 0.25 of 2.5

    def test_the_memory_bar_grows_with_the_traced_heap_and_names_the_worst_program(self):
        bare = Run(peak_bytes=10 * MIB)
        small = Run(peak_bytes=34 * MIB, traced_bytes=0)  # exactly what is allowed
        large = Run(peak_bytes=70 * MIB, traced_bytes=100 * MIB)  # 60 added, 54 allowed
        start = Run(peak_bytes=900 * MIB)
        runs = runs_of({STORM: {UNTRACED: [bare], SITES: [small]}, START: {UNTRACED: [bare], SITES: [start]}})
        self.assertIs(bars.memory_cells(runs)[1].is_met, True)
        runs.add("go", UNTRACED, bare)
        runs.add("go", SITES, large)
        cell = bars.memory_cells(runs)[1]
        self.assertEqual((cell.about, cell.is_met), ("go", False))
        self.assertAlmostEqual(cell.limit, 54 * MIB)


if __name__ == "__main__":
    unittest.main()
