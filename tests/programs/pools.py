"""Fills pymalloc's pools unevenly, lets CPython describe them on standard error, and ends before anything changes.

CPython leaves its description out while its object allocator is hooked, so the same command runs once with PYTRACE=off.
"""

import os
import sys

kept = [bytes(size % 480) for size in range(40_000)]
holes = [object() for _ in range(30_000)]
del kept[::3]
del holes[1::2]
many = {number: (number, str(number)) for number in range(20_000)}
gone = [bytes(400) for _ in range(20_000)]
del gone[:-1]
sys._debugmallocstats()
os._exit(0)
