"""Runs alloc_probe.c in this interpreter and prints its books: which function made which calls."""

import ctypes
import sys

probe = ctypes.PyDLL(sys.argv[1])
rounds, server = int(sys.argv[2]), ["libc", "pymalloc", "other"].index(sys.argv[3])
probe.probe_run(rounds, server)
probe.probe_print()
