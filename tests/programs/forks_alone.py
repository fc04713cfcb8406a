"""Forks again and again from a program of one thread, with all warnings on: CPython 3.12 and later count the threads that the system knows."""

import os
import sys
import time
import warnings

warnings.simplefilter("always")  # shown: CPython swallows those that are made errors here
for number in range(int(sys.argv[1])):
    kept = [bytes(100) for _ in range(5000)]
    child = os.fork()
    if child == 0:
        if number % 3 == 0:
            grandchild = os.fork()
            if grandchild == 0:
                os._exit(0)
            os.waitpid(grandchild, 0)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    time.sleep(0.03)  # what stops for a fork has begun again
    with open("/proc/self/task/%d/comm" % os.getpid()) as name:
        assert name.read()
print("forked")
