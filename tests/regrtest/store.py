"""Results as JSON lines, so that a long run can be interrupted: a line per run of a test file.

A bare result holds for an interpreter, a traced one for an interpreter and a build of the library. A hang is tried again: it
may have been the machine's.
"""

import json
import threading

from .outcome import HANG, Outcome


class Store:
    """One interpreter's results. Threads add to it."""

    def __init__(self, path, interpreter, is_resumed):
        self.path, self.interpreter = path, interpreter
        self.lock = threading.Lock()
        self.outcomes = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        if is_resumed and path.exists():
            for line in path.read_text().splitlines():
                self._remember(line)
            if not path.read_text().endswith("\n"):
                with open(path, "a") as lines:
                    lines.write("\n")

    def _remember(self, line):
        try:
            row = json.loads(line)
        except ValueError:
            return  # cut short by the interruption
        outcome = Outcome(**row["outcome"])
        if row["python"] == self.interpreter.full_version and outcome.status != HANG:
            self.outcomes[row["file"], row["build"]] = outcome

    def get(self, file, build):
        """The first result of `file` under `build` (None for bare), if there is one."""
        return self.outcomes.get((str(file), build and build.id))

    def put(self, file, build, outcome):
        row = {"python": self.interpreter.full_version, "file": str(file), "build": build and build.id}
        with self.lock:
            self.outcomes[str(file), build and build.id] = outcome
            with open(self.path, "a") as lines:
                lines.write(json.dumps({**row, "outcome": outcome.as_json()}) + "\n")
