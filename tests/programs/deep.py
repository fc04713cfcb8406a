"""Allocates one block below many Python frames (the first argument), in a thread whose stack is large enough for them.

The way down allocates nothing itself, so that its levels are no call sites.
"""

import itertools
import sys
import threading

kept = []


def descend(steps):
    for _ in steps:
        return descend(steps)
    kept.append(bytes(200_000))


def start(frames):
    threading.stack_size(512 * 1024 * 1024)
    sys.setrecursionlimit(20_000)
    steps = iter(itertools.repeat(None, frames - 1))
    thread = threading.Thread(target=descend, args=(steps,))
    thread.start()
    thread.join()


start(int(sys.argv[1]))
