"""Runs threads with tiny stacks (small_stacks.c, the first argument), then the same in a forked child."""

import ctypes
import os
import sys

small_stacks = ctypes.CDLL(sys.argv[1]).small_stacks
print("threads", small_stacks(4, ctypes.c_long(50_000)), flush=True)
child = os.fork()
if child == 0:
    sys.exit(small_stacks(4, ctypes.c_long(50_000)))
print("child ended", os.waitpid(child, 0)[1])
