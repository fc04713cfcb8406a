"""Runs a list of test files, bare and traced, several at a time; then repeats alone what differed."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from .compare import differences, lasting
from .run import run

REPEATS = 3
LEAST_SECONDS = 300
TIMES_BARE = 20  # a traced run that takes this much longer hangs


@dataclass
class Result:
    """One interpreter's."""

    files: int = 0
    cases: int = 0  # that ran in both
    found: list = field(default_factory=list)  # differences that lasted
    flakes: list = field(default_factory=list)  # differences that did not
    missing: list = field(default_factory=list)  # entries of the list that this version does not have
    left: list = field(default_factory=list)  # files that there was no time for


@dataclass
class Suite:
    """What it takes to run test files on one interpreter."""

    interpreter: object
    build: object
    store: object
    logs: object
    timeout_seconds: float
    progress: object
    deadline: float = float("inf")  # of the monotonic clock: no file is begun after it
    lock: threading.Lock = field(default_factory=threading.Lock)

    def run_all(self, files, jobs):
        """All `files`, `jobs` at a time, as long as there is time."""
        result = Result()
        self.progress.expect(2 * len(files))
        with ThreadPoolExecutor(jobs) as pool:
            pairs = list(pool.map(self._pair, files))
        differing = []
        for file, pair in zip(files, pairs):
            if pair is None:
                result.left.append(str(file))
                continue
            bare, traced = pair
            result.files += 1
            result.cases += len(bare.cases.keys() & traced.cases.keys())
            if differences(str(file), [bare], traced):
                differing.append((file, bare, traced))
        self.progress.expect(2 * REPEATS * len(differing))
        for file, bare, traced in differing:
            self._repeat(file, bare, traced, result)
        return result

    def _pair(self, file):
        if time.monotonic() > self.deadline and not self._is_known(file):
            return None
        bare = self._once(file, None, self.timeout_seconds)
        return bare, self._once(file, self.build, self._traced_timeout(bare))

    def _is_known(self, file):
        return bool(self.store.get(file, None) and self.store.get(file, self.build))

    def _once(self, file, build, timeout_seconds):
        """From the store, or by a run."""
        self._step(file, build)
        outcome = self.store.get(file, build)
        if outcome is None:
            outcome = run(self.interpreter, file, build, timeout_seconds, self.logs)
            self.store.put(file, build, outcome)
        return outcome

    def _repeat(self, file, bare, traced, result):
        """Alternately, alone. What shows again, and never in a bare run, is a difference."""
        bares, again = [bare], []
        for number in range(REPEATS):
            for build, runs in ((None, bares), (self.build, again)):
                self._step(file, build)
                logs = self.logs / f"repeat-{number + 1}"
                runs.append(run(self.interpreter, file, build, self._traced_timeout(bare), logs))
        found = lasting(str(file), bares, again)
        result.found += found
        result.flakes += [each for each in differences(str(file), [bare], traced) if each not in found]

    def _traced_timeout(self, bare):
        return min(self.timeout_seconds, max(LEAST_SECONDS, TIMES_BARE * bare.seconds))

    def _step(self, file, build):
        with self.lock:
            self.progress.step(f"{self.interpreter.name} {file} {'traced' if build else 'bare'}")
