"""Keeps 1009 blocks (or as many as the first argument says) of bytes(911), all from line 8, and prints what one takes."""

import sys

count = int(sys.argv[1]) if len(sys.argv) > 1 else 1009
kept = [None] * count
for i in range(count):
    kept[i] = bytes(911)
print(sys.getsizeof(kept[0]))
