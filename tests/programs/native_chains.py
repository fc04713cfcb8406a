"""Runs the chains of native_chains.c and .cpp, or of libraries that take each other's place, each with a size of its own.

Arguments: `loaded` and the libraries of native_chains.c and native_chains.cpp, or `unloaded` and those of native_unloaded.c.
"""

import _ctypes
import ctypes
import sys

paths = sys.argv[2:]
callback = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_int)
size_of = ctypes.c_size_t
sizes = iter(range(100_003, 200_000, 1013))


def plain():
    c.chain_1(size_of(next(sizes)))
    c.recursion(size_of(next(sizes)), 1)
    c.recursion(size_of(next(sizes)), 40)
    c.variable_frame(size_of(next(sizes)), 1)
    c.variable_frame(size_of(next(sizes)), 5001)
    c.large_frame(size_of(next(sizes)))
    c.zeroed(size_of(next(sizes)))
    c.resized(size_of(next(sizes)))


def in_callback(number):
    if number > 0:
        return c.call_back(callback(in_callback), number - 1)
    c.chain_1(size_of(next(sizes)))
    return 0


def in_comparison(number):
    c.chain_2(size_of(next(sizes)))
    return number


def called_back():
    c.call_back(callback(in_callback), 0)
    c.call_back(callback(in_callback), 3)
    c.sorted_with(callback(in_comparison))
    sorted([1], key=lambda number: c.chain_3(size_of(next(sizes))) and number)


def in_cpp():
    cpp.cpp_virtual(size_of(next(sizes)))
    cpp.cpp_new(size_of(next(sizes)))
    cpp.cpp_sorted(size_of(next(sizes)))
    cpp.cpp_unwinding(size_of(next(sizes)))


def generator():
    yield c.chain_1(size_of(next(sizes)))


def unloaded():
    for path in paths:
        library = ctypes.PyDLL(path)
        library.enter(size_of(next(sizes)))
        library.enter(size_of(next(sizes)))
        _ctypes.dlclose(library._handle)


def loaded():
    plain()
    called_back()
    in_cpp()
    list(generator())


if sys.argv[1] == "loaded":
    c, cpp = (ctypes.PyDLL(path) for path in paths)
    loaded()
    loaded()  # known by now, on another line
else:
    unloaded()
    unloaded()
