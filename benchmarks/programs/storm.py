"""Allocates and frees small objects as fast as Python can: storm.py ROUNDS DEPTH [set], eight objects a round, below DEPTH frames.

They are plain objects, which is as fast as it goes, or empty sets, which take twice as long to make.
"""

import sys
from itertools import repeat


def storm(rounds):
    o = set if "set" in sys.argv[3:] else object
    for _ in repeat(None, rounds):
        o()
        o()
        o()
        o()
        o()
        o()
        o()
        o()


def below(depth, rounds):
    if depth:
        return below(depth - 1, rounds)
    return storm(rounds)


below(int(sys.argv[2]), int(sys.argv[1]))
