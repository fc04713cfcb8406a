"""Threads, a fork, mappings, a library that comes and goes: what makes a tracer ask the system for things.

Its arguments: how it ends, `orderly` or `at once` (`os._exit`), and a library made of nameless.c.
"""

import _ctypes
import ctypes
import gc
import mmap
import os
import sys
import threading


def work(size):
    kept = [bytearray(size) for _ in range(300)]
    del kept[::2]
    counts.append(len(kept))


counts = []
threads = [threading.Thread(target=work, args=(size,)) for size in (40, 700, 5000)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("threads", counts, flush=True)

child = os.fork()
if child == 0:
    work(900)
    os.write(1, b"child %d\n" % counts[-1])
    sys.exit(3)
print("child ended", os.waitpid(child, 0)[1])

library = _ctypes.dlopen("libresolv.so.2", 2)
_ctypes.dlclose(library)
kept = [ctypes.CDLL(sys.argv[2]).allocate(1234) for _ in range(3)]
with mmap.mmap(-1, 1 << 20) as mapping:
    mapping[5] = 5
    print("mapped", mapping[5])
blocks = [b"x" * 100 for _ in range(20_000)] + [[i] for i in range(20_000)]
gc.collect()
print("blocks", len(blocks), flush=True)
print("said by the program", file=sys.stderr, flush=True)
if sys.argv[1] == "at once":
    os._exit(7)
sys.exit(7)
