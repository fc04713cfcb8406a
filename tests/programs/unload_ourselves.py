"""Gives back handles of the preloaded library again and again, more than it ever had, while threads end: its path, how often."""

import _ctypes
import sys
import threading

handle = _ctypes.dlopen(sys.argv[1], 0)
for _ in range(int(sys.argv[2])):
    _ctypes.dlclose(handle)
    worker = threading.Thread(target=lambda: [bytes(n) for n in range(100)])
    worker.start()
    worker.join()
    try:
        handle = _ctypes.dlopen(sys.argv[1], 0)
    except OSError:
        sys.exit("it was unloaded")
    _ctypes.dlclose(handle)
print("still there")
