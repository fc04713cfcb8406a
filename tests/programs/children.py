"""Starts children in every way that CPython has; each, and the parent, keeps bytes blocks of a number of its own."""

import multiprocessing
import os
import subprocess
import sys

kept = [None] * 5000


def keep(count):
    for i in range(count):
        kept[i] = bytes(911)


def subprocess_child():
    subprocess.run([sys.executable, "-S", __file__, "keep", "101"], check=True)


def shell_child():
    subprocess.run(["/bin/sh", "-c", '"$0" -S "$1" keep 103; ls / > /dev/null', sys.executable, __file__], check=True)


def fork_child():
    keep(50)
    child = os.fork()
    if child == 0:
        keep(107)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


def fork_exec_child():
    child = os.fork()
    if child == 0:
        os.execv(sys.executable, [sys.executable, "-S", __file__, "keep", "109"])
    assert os.waitpid(child, 0)[1] == 0


def multiprocessing_child(method):
    process = multiprocessing.get_context(method).Process(target=keep, args=(113,))
    process.start()
    process.join()
    assert process.exitcode == 0


def exec_self():
    os.execv(sys.executable, [sys.executable, "-S", __file__, "keep", "127"])


if __name__ == "__main__":
    what = sys.argv[1]
    if what == "keep":
        keep(int(sys.argv[2]))
    elif what in ("fork", "spawn", "forkserver"):
        multiprocessing_child(what)
    else:
        globals()[what]()
    print(what)
