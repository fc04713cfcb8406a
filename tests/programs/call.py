"""Calls a function of a C library: the library, the function, whole numbers. One whose name ends in `_with_gil` has the interpreter's lock."""

import ctypes
import sys

path, name, *numbers = sys.argv[1:]
library = (ctypes.PyDLL if name.endswith("_with_gil") else ctypes.CDLL)(path)
getattr(library, name)(*[ctypes.c_long(int(number)) for number in numbers])
