"""Steers the tracing from inside through ctypes: pause, resume, mark and flush. Each step's blocks are of a size of their own."""

import ctypes
import sys
import time

library = ctypes.CDLL(None)
library.pytrace_mark.argtypes = [ctypes.c_char_p]


def make(count, size):
    blocks = [None] * count
    for i in range(count):
        blocks[i] = bytes(size)
    return blocks


def steps():
    before = make(101, 600)
    library.pytrace_mark(b"first mark")
    library.pytrace_pause()
    unseen = make(103, 616)
    unseen_for_ever = make(107, 632)
    del before
    library.pytrace_resume()
    library.pytrace_mark("second \u2713 mark\n".encode())
    del unseen
    after = make(109, 648)
    return unseen_for_ever, after


def paused_at_start():
    unseen = make(113, 664)
    library.pytrace_resume()
    seen = make(127, 680)
    return unseen, seen


def flushed():
    kept = make(131, 696)
    library.pytrace_flush()
    print("flushed", flush=True)
    time.sleep(600)
    return kept


kept = {"steps": steps, "paused": paused_at_start, "flushed": flushed}[sys.argv[1]]()
