"""Makes a known number of calls in two steps, each when a byte comes through a pipe: in between, the tracer's own thread may
be held or let go.

Its arguments: small_stacks.c as a library, threads, calls of each, the pipe.
"""

import ctypes
import os
import sys

small_stacks = ctypes.CDLL(sys.argv[1]).small_stacks
threads, calls = int(sys.argv[2]), ctypes.c_long(int(sys.argv[3]))
pipe = os.open(sys.argv[4], os.O_RDWR)
for step in (b"step 1\n", b"step 2\n"):
    os.write(1, step)
    os.read(pipe, 1)
    small_stacks(threads, calls)
os.write(1, b"step 3\n")
os.read(pipe, 1)
sys.exit(7)
