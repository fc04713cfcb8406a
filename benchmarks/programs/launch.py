"""Runs one program and measures it from outside: launch.py RESULT DIRECTORY [NAME=VALUE…] -- COMMAND…

Linux hands the peak memory of the process that forks on to the one that it forks, so the peak of a small program would
be that of the benchmark driver. This launcher imports nothing that is not built in and runs under the measured interpreter
with `-I -S`: its own peak stays below that of any Python program.
"""

import posix
import sys
import time


def main():
    result, directory = sys.argv[1:3]
    split = sys.argv.index("--")
    environment = {name: value for name, _, value in (pair.partition("=") for pair in sys.argv[3:split])}
    command = sys.argv[split + 1 :]
    posix.chdir(directory)
    start = time.perf_counter()
    pid = posix.fork()
    if pid == 0:
        try:
            posix.execve(command[0], command, environment)
        finally:
            posix._exit(127)
    _, status, usage = posix.wait4(pid, 0)
    wall_s = time.perf_counter() - start
    line = f"{status} {wall_s!r} {usage.ru_utime + usage.ru_stime!r} {usage.ru_maxrss * 1024}\n"
    handle = posix.open(result, posix.O_WRONLY | posix.O_CREAT | posix.O_TRUNC, 0o644)
    posix.write(handle, line.encode())


main()
