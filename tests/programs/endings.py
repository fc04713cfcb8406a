"""Keeps 1009 blocks, then ends in the way that the first argument names."""

import faulthandler
import os
import signal
import sys
import threading
import time

kept = [None] * 1009
for i in range(1009):
    kept[i] = bytes(911)


def exit_code():
    sys.exit(3)


def exception():
    raise LookupError("on purpose")


def hard_exit():
    os._exit(7)


def abort():
    os.abort()


def own_interrupt():
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(60)


def own_termination():
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)


def daemon_threads():
    def churn():
        while True:
            bytearray(1234)

    for _ in range(4):
        threading.Thread(target=churn, daemon=True).start()
    time.sleep(0.2)


def thread_at_the_end():
    threading.Thread(target=lambda: (time.sleep(0.2), kept.append(bytes(911)))).start()


def at_exit():
    import atexit

    atexit.register(lambda: kept.append(bytes(911)))


def failing_exec():
    for name in ("/nonexistent/program", "/etc/passwd"):
        try:
            os.execv(name, [name])
        except OSError:
            kept.append(bytes(911))


def segmentation_fault():
    sys.stderr = None
    faulthandler._sigsegv()


def from_outside():
    print("ready", flush=True)
    time.sleep(600)


globals()[sys.argv[1]]()
