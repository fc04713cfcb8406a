"""Builds things that stay, change and go, and ends without tear-down: what is live on each line of `build`?

With the argument `tracemalloc` CPython's own tracer answers, on standard output; otherwise the preload library does. Both
runs make the same allocations in the same order from the moment that `build` is called.

`fresh` empties CPython's free lists. An object that comes from one was allocated on an earlier line, which is where the
preload library leaves it; tracemalloc moves it to the line that uses it again. Between the steps there is none to use.
"""

import collections
import gc
import json
import os
import sys
import tracemalloc

fresh = gc.collect


def build(kept):
    class Node:
        def __init__(self, number, following):
            self.number = number
            self.label = "node %d" % number
            self.following = following

    fresh()

    class Slotted:
        __slots__ = ("first", "second")

        def __init__(self, first):
            self.first = first
            self.second = [first] * 3

    def squares(count):
        for number in range(count):
            yield number * number * 1.5

    fresh()
    kept.append(bytes(100_003))
    kept.append([bytes(size) for size in range(0, 1200, 7)])
    fresh()
    kept.append(list(range(1000, 21_000)))
    fresh()
    kept.append({number: str(number) for number in range(3000)})
    fresh()
    kept.append({"key %d" % number: (number, number + 0.5) for number in range(2000)})
    fresh()
    kept.append(set("%x" % number for number in range(500, 1500)))
    fresh()
    kept.append(tuple(squares(777)))
    fresh()

    nodes = None
    for number in range(400):
        nodes = Node(number, nodes)
    del number
    kept.append(nodes)
    fresh()
    kept.append([Slotted(number) for number in range(300)])
    fresh()

    growing = []
    growing.extend(number + 100_000 for number in range(5000))
    kept.append(growing)
    fresh()

    shrinking = list(range(300_000, 310_000))
    while len(shrinking) > 500:
        shrinking.pop()
    kept.append(shrinking)
    fresh()

    buffer = bytearray()
    for number in range(200):
        buffer += b"0123456789abcdef" * 9
    kept.append(buffer)
    del number
    fresh()

    text = ""
    for number in range(300):
        text += "%d," % number
    del number
    kept.append(text)
    kept.append(text.split(","))
    fresh()
    kept.append("".join(reversed(text)) + "\u4e16")
    kept.append(text.encode("utf-16"))
    fresh()

    queue = collections.deque(str(number) for number in range(1000))
    while len(queue) > 600:
        queue.popleft()
    kept.append(queue)
    fresh()

    kept.append(collections.OrderedDict((number, [number]) for number in range(700)))
    kept[-1].pop(5)
    fresh()

    big = [2**exponent for exponent in range(0, 3000, 11)]
    fresh()
    kept.append(sum(big))
    kept.append(big)
    fresh()
    kept.append([lambda: number for number in range(50)])
    fresh()
    kept.append([complex(number, 1) for number in range(60)])
    kept.append(memoryview(bytes(4099)))
    fresh()
    kept.append([[] for _ in range(90)])
    fresh()
    kept.append([{} for _ in range(90)])
    fresh()
    kept.append(sorted(range(5000), key=lambda number: number * 7919 % 5003))
    fresh()
    temporary = [bytes(997) for _ in range(1000)]
    del temporary


def main():
    by_tracemalloc = sys.argv[1:] == ["tracemalloc"]
    kept = []
    fresh()
    if by_tracemalloc:
        tracemalloc.start()
    build(kept)
    fresh()
    if by_tracemalloc:
        snapshot = tracemalloc.take_snapshot()
        lines = {}
        for statistic in snapshot.statistics("lineno"):
            if statistic.traceback[0].filename == __file__:
                lines[statistic.traceback[0].lineno] = [statistic.count, statistic.size]
        json.dump(lines, sys.stdout)
        sys.stdout.flush()
    os._exit(0)


main()
