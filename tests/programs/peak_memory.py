"""Runs a command and writes the most memory that it had, in bytes, to a file.

Arguments: the file, seconds after which the command is killed, the command. The exit status is the command's.
"""

import resource
import subprocess
import sys
import threading

path, limit, *command = sys.argv[1:]
child = subprocess.Popen(command)
timer = threading.Timer(float(limit), child.kill)
timer.daemon = True
timer.start()
status = child.wait()
with open(path, "w") as file:
    file.write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024))
sys.exit(status if status >= 0 else 128 - status)
