"""What has crashed or hung tracers before; the first argument chooses. Each prints `survived` at its end."""

import os
import subprocess
import sys
import threading
import time


def churn(seconds=0.0, rounds=3000):
    """Allocates small, large and growing things; for a while, or so many times."""
    until = time.monotonic() + seconds
    done = 0
    while done < rounds or time.monotonic() < until:
        done += 1
        text = str(done) * 20
        grown = []
        for part in text[:40]:
            grown.append((part, bytes(700)))
        bytearray(200_000)


def tracemalloc_and_locale():
    import locale
    import tracemalloc

    for _ in range(3):
        tracemalloc.start()
        churn(rounds=50)
        locale.setlocale(locale.LC_ALL, "")
        churn(rounds=50)
        tracemalloc.stop()
        locale.setlocale(locale.LC_ALL, "C")
        churn(rounds=50)


def subinterpreters():
    try:
        import _interpreters as interpreters
    except ImportError:
        import _xxsubinterpreters as interpreters
    for _ in range(3):
        identifier = interpreters.create()
        interpreters.run_string(identifier, "import json; kept = [json.loads('[1, 2.5]') for _ in range(2000)]")
        interpreters.destroy(identifier)


def threads():
    workers = [threading.Thread(target=churn) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def short_threads():
    for _ in range(40):
        workers = [threading.Thread(target=churn, kwargs={"rounds": 2}) for _ in range(25)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()


def forks_among_threads():
    import warnings

    warnings.simplefilter("ignore")  # CPython's own: the program's threads are there without us
    workers = [threading.Thread(target=churn, kwargs={"seconds": 1.0}) for _ in range(4)]
    for worker in workers:
        worker.start()
    for _ in range(60):
        child = os.fork()
        if child == 0:
            churn(rounds=20)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
    for worker in workers:
        worker.join()


def commands_among_threads():
    workers = [threading.Thread(target=churn, kwargs={"seconds": 1.0}) for _ in range(2)]
    for worker in workers:
        worker.start()
    for number in range(100):
        answer = subprocess.run(["/bin/echo", str(number)], stdout=subprocess.PIPE, check=True).stdout
        assert answer == b"%d\n" % number
    for worker in workers:
        worker.join()


def signals_while_allocating():
    import signal

    ticks = []
    signal.signal(signal.SIGALRM, lambda number, frame: ticks.append(bytes(100)))
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    churn(seconds=1.0)
    signal.setitimer(signal.ITIMER_REAL, 0)
    assert len(ticks) > 50


def huge_blocks():
    import ctypes

    libc = ctypes.CDLL(None)
    for name in ("malloc", "realloc"):
        getattr(libc, name).restype = ctypes.c_void_p
    libc.realloc.argtypes = libc.malloc.argtypes = None
    block = libc.malloc(ctypes.c_size_t((4 << 30) + 4001))
    if block is None:
        print("refused")
        return
    block = libc.realloc(ctypes.c_void_p(block), ctypes.c_size_t((5 << 30) + 5003))
    assert block is not None


def greenlets():
    import greenlet

    def deep(depth, other):
        if depth:
            return [deep(depth - 1, other), bytes(depth)]
        for _ in range(50):
            other[0].switch()
            churn(rounds=1)

    main = [greenlet.getcurrent()]
    workers = [greenlet.greenlet(lambda depth=depth: deep(depth, main)) for depth in range(1, 60)]
    while any(not worker.dead for worker in workers):
        for worker in workers:
            if not worker.dead:
                worker.switch()


def code_in_weird_frames():
    import gc
    import types

    def weird():
        return bytes(10)

    table = {"co_name": "x" * 100_000, "co_filename": "y" * 100_000, "co_firstlineno": 2**31 - 1}
    function = types.FunctionType(weird.__code__.replace(**table), {"bytes": bytes})
    kept = [function() for _ in range(100)]
    del function
    gc.collect()
    lone = types.FunctionType(weird.__code__.replace(co_name="\udc80", co_filename="\ud800.py"), {"bytes": bytes})
    kept.append(lone())


if __name__ == "__main__":
    globals()[sys.argv[1]]()
    print("survived")
