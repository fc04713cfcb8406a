"""Allocates one block below ten thousand Python frames, in a thread whose stack is large enough for it."""

import sys
import threading

kept = []


def descend(depth):
    if depth > 0:
        return descend(depth - 1)
    kept.append(bytes(200_000))


def start():
    threading.stack_size(512 * 1024 * 1024)
    sys.setrecursionlimit(20_000)
    thread = threading.Thread(target=descend, args=(9_999,))
    thread.start()
    thread.join()


start()
