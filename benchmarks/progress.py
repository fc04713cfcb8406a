"""Says on a terminal what is being measured and how long it may take; says nothing into a pipe or a file."""

import sys
import time


class Progress:
    """One line that is written over. Steps are counted as equally long."""

    def __init__(self, stream=sys.stderr):
        self.stream = stream
        self.is_shown = stream.isatty()
        self.expected = self.done = 0
        self.start = time.monotonic()

    def expect(self, steps):
        self.expected, self.done, self.start = steps, 0, time.monotonic()

    def step(self, text):
        """Begins a step."""
        if self.is_shown:
            passed = time.monotonic() - self.start
            left = f", {passed / self.done * (self.expected - self.done):.0f} s left" if self.done else ""
            self.say(f"{self.done * 100 // max(self.expected, 1)} %, {passed:.0f} s{left}: {text}")
        self.done += 1

    def say(self, text):
        if self.is_shown:
            print(f"\r\x1b[K{text}", end="", file=self.stream, flush=True)

    def end(self):
        if self.is_shown:
            print("\r\x1b[K", end="", file=self.stream, flush=True)
