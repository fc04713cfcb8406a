"""Runs another program (its path, its arguments) and then says on standard error how many stacks the test build checked."""

import ctypes
import os
import runpy
import sys

sys.argv.pop(0)
sys.path[0] = sys.argv[0] if os.path.isdir(sys.argv[0]) else os.path.dirname(sys.argv[0])
runpy.run_path(sys.argv[0], run_name="__main__")
checked = ctypes.CDLL(None).pytrace_verified
checked.restype = ctypes.c_uint64
print("checked", checked(), file=sys.stderr)
