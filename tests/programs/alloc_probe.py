"""Runs alloc_probe.c in this interpreter and prints its books: which function made which calls."""

import ctypes
import sys

probe = ctypes.PyDLL(sys.argv[1])
rounds, has_pymalloc = int(sys.argv[2]), int(sys.argv[3])
probe.probe_run(rounds, has_pymalloc)
probe.probe_print()
