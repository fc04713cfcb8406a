"""Runs hand_off.c: threads of C code that free each other's blocks, without the interpreter's lock."""

import ctypes
import sys

ctypes.CDLL(sys.argv[1]).hand_off()
