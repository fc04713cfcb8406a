"""Two halves of a program free and resize each other's blocks; the second was opened with RTLD_DEEPBIND: two libraries, how many."""

import ctypes
import os
import sys

halves = [ctypes.CDLL(sys.argv[1]), ctypes.CDLL(sys.argv[2], mode=os.RTLD_NOW | os.RTLD_DEEPBIND)]
count = int(sys.argv[3])
for half in halves:
    half.give.restype = half.stretch.restype = ctypes.c_void_p
    half.take.argtypes = [ctypes.c_void_p]
    half.stretch.argtypes = [ctypes.c_void_p, ctypes.c_long]
for giver, taker in (halves, reversed(halves)):
    for number in range(count):
        block = giver.give(1500 + number % 7)
        if number % 5 == 0:
            block = taker.stretch(block, 3000)
        taker.take(block)
print("exchanged")
