"""Allocates and frees small objects as fast as Python can: storm.py ROUNDS DEPTH, eight objects a round, below DEPTH frames."""

import sys
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


def below(depth, rounds):
    if depth:
        return below(depth - 1, rounds)
    return storm(rounds)


below(int(sys.argv[2]), int(sys.argv[1]))
