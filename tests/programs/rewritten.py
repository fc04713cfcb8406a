"""Allocates on 20 000 lines, again and again, until its capture was written anew as often as the first argument says.

Says how often it did so, and ends as the second argument says: `exit`, or `kill` as one that is killed.
"""

import ctypes
import os
import signal
import sys
import time

LINES = 20_000
LIMIT_S = 40

times, ending = int(sys.argv[1]), sys.argv[2]
captures = os.path.dirname(os.environ["PYTRACE_OUTPUT"])
many_lines = compile("\n".join(f"bytes({1000 + line % 9})" for line in range(LINES)), "many_lines.py", "exec")

ctypes.CDLL(None).pytrace_mark(b"begun")
begun = time.monotonic()
passes, rewritten, inode = 0, 0, None
while rewritten < times and time.monotonic() < begun + LIMIT_S:
    exec(many_lines, {})
    passes += 1
    for entry in os.scandir(captures):
        if entry.name.endswith(".pytrace"):
            rewritten += inode not in (None, entry.inode())
            inode = entry.inode()
print(passes, rewritten, flush=True)
if ending == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
