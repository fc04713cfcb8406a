"""Makes a tree of very many distinct stacks, the most of it when the system gives no more memory."""

import resource
import sys


def branch(depth):
    if depth:
        branch(depth - 1)
        branch(depth - 1)
    else:
        [depth, depth, depth]


def status(name):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith(name))


branch(int(sys.argv[1]))
limit = status("VmSize") + int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
branch(int(sys.argv[2]))
print("all branches")
sys.exit(7)
