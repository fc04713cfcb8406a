"""Stands in for pyperf: runs what a benchmark registers here and now, LOOPS times, without calibration and without worker processes."""

import argparse
import time

LOOPS = 1

perf_counter = time.perf_counter


class Runner:
    """The part of `pyperf.Runner` that pyperformance's programs use."""

    def __init__(self, add_cmdline_args=None):
        self.metadata = {}
        self.argparser = argparse.ArgumentParser()

    def parse_args(self):
        return self.argparser.parse_args()

    def bench_func(self, name, function, *args, inner_loops=None):
        for _ in range(LOOPS):
            function(*args)

    def bench_time_func(self, name, function, *args, inner_loops=None):
        function(LOOPS, *args)

    def bench_async_func(self, name, function, *args, inner_loops=None):
        import asyncio  # here: the other programs do without

        for _ in range(LOOPS):
            asyncio.run(function(*args))
