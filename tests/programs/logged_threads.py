"""Runs logged_threads.c without the interpreter's lock: threads, operations, foreign frees, 1 for serial steps."""

import ctypes
import sys

numbers = [int(text) for text in sys.argv[2:]]
ctypes.CDLL(sys.argv[1]).run(numbers[0], ctypes.c_long(numbers[1]), ctypes.c_long(numbers[2]), numbers[3])
