"""What one birth and one death cost where something has grown: grown.py WHAT SIZE EVENTS; prints nanoseconds per event.

`live` replaces one of SIZE live objects after another, far apart in memory; `sites` allocates from SIZE distinct call stacks in turn;
`threads` shares the work among SIZE threads; `frames` works at the bottom of SIZE Python frames. `new-sites` is the first pass of
`sites`, in which every stack is seen for the first time. The timed part holds the interpreter's own work too: compare with an untraced run.
"""

import ctypes
import sys
import threading
import time
from itertools import repeat


def storm(rounds):
    o = object
    for _ in repeat(None, rounds):
        o()
        o()
        o()
        o()
        o()
        o()
        o()
        o()


def replace(kept, indices):
    o = object
    for index in indices:
        kept[index] = o()


def at_depth(depth, work):
    return at_depth(depth - 1, work) if depth > 1 else work()


def tree(sites):
    """A function that allocates once from each of `sites` call stacks of three frames: lines × callers × their callers."""
    lines = min(sites, 100)
    callers = min(sites // lines, 100)
    source = ["def leaf():", *["    o()"] * lines]
    source += ["def middle():", *["    leaf()"] * callers]
    source += ["def top():", *["    middle()"] * (sites // lines // callers)]
    names = {"o": object}
    exec("\n".join(source), names)
    return names["top"]


def prepared(what, size, events):
    """The work to be timed, as a function, and how many events it has."""
    births = events // 2
    if what == "live":
        kept = [object() for _ in range(size)]
        # Neighbours in time are far apart in the heap, as in a program that has run for a while.
        stride = max(1, size * 618 // 1000) | 1
        indices = [(i * stride) % size for i in range(min(births, 1_000_000))]
        passes = births // len(indices)
        return lambda: [replace(kept, indices) for _ in range(passes)], 2 * passes * len(indices)
    if what in ("sites", "new-sites"):
        top = tree(size)
        if what == "new-sites":
            return top, 2 * size
        top()
        passes = max(1, births // size)
        return lambda: [top() for _ in range(passes)], 2 * size * passes
    rounds = births // 8
    if what == "frames":
        sys.setrecursionlimit(size + 1000)
        return lambda: at_depth(size, lambda: storm(rounds)), 16 * rounds
    shared = rounds // size

    def run_threads():
        threads = [threading.Thread(target=storm, args=(shared,)) for _ in range(size)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return run_threads, 16 * shared * size


def settle():
    """Has the library bring its books up to date, where there is one: what it has put off belongs to the time that it takes."""
    try:
        ctypes.CDLL(None).pytrace_flush()
    except AttributeError:
        pass


work, events = prepared(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
settle()
start = time.perf_counter()
work()
settle()
print(f"{(time.perf_counter() - start) * 1e9 / events:.3f}")
