"""Makes very many distinct stacks, most of them when the system gives no more memory.

Its arguments: what it makes (`tree`: a tree of calls, `lines`: lines of code), how many before and after the limit, as powers of
two, and the bytes that are left then.
"""

import resource
import sys
import types


def tree(depth):
    if depth:
        tree(depth - 1)
        tree(depth - 1)
    else:
        [depth, depth, depth]


def line(kept):
    kept[0] = bytes(100)


def lines(exponent):
    kept = [None]
    first = 1 << exponent
    for number in range(first, 2 * first):
        types.FunctionType(line.__code__.replace(co_firstlineno=number), {"bytes": bytes})(kept)


def mapped_bytes():
    with open("/proc/self/status") as status:
        return next(int(words.split()[1]) << 10 for words in status if words.startswith("VmSize"))


make = {"tree": tree, "lines": lines}[sys.argv[1]]
before, after, room = map(int, sys.argv[2:])
make(before)
limit = mapped_bytes() + room
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
make(after)
print("all made")
sys.exit(7)
