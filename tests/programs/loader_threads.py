"""Runs loader_threads.cpp without the interpreter's lock: its library, a library to open, how many copies of it, and the four numbers of rounds."""

import ctypes
import os
import shutil
import sys

driver, opened, copies, *rounds = sys.argv[1:]
folder = os.path.join(os.getcwd(), "opened")
os.mkdir(folder)
for number in range(int(copies)):
    shutil.copy(opened, os.path.join(folder, "opened_%d.so" % number))
numbers = [ctypes.c_long(int(text)) for text in rounds]
ctypes.CDLL(driver).loader_threads(os.fsencode(folder), int(copies), *numbers)
