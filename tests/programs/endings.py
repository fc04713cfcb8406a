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


def hard_exit_of_libc():
    import ctypes

    ctypes.CDLL(None)._Exit(7)


def quick_exit():
    import ctypes

    ctypes.CDLL(None).quick_exit(7)


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


def logged():
    import struct

    log = os.open("log", os.O_WRONLY | os.O_CREAT)
    made = 0
    print("ready", flush=True)
    while True:
        for _ in range(100):
            bytes(937)
        made += 100
        os.write(log, struct.pack("<QQ", time.monotonic_ns(), made))


def held_background():
    """A debugger holds the only other thread of the process."""
    import subprocess

    code = """if True:
        import ctypes, os, sys
        libc = ctypes.CDLL(None, use_errno=True)
        thread = int(sys.argv[1])
        assert libc.ptrace(0x4206, thread, None, None) == 0, ctypes.get_errno()  # PTRACE_SEIZE
        assert libc.ptrace(0x4207, thread, None, None) == 0, ctypes.get_errno()  # PTRACE_INTERRUPT
        os.waitpid(thread, 0x40000000)  # __WALL
        print("held", flush=True)
        sys.stdin.read()
    """
    [thread] = set(os.listdir("/proc/self/task")) - {str(os.getpid())}
    alone = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    holder = subprocess.Popen([sys.executable, "-c", code, thread], env=alone, **pipes)
    print(holder.stdout.readline().decode().strip(), flush=True)
    for _ in range(2):
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
    print("forked", flush=True)
    os._exit(5)


def many_daemon_threads():
    go = threading.Event()

    def churn():
        go.wait()
        while True:
            kept = [bytes(i) for i in range(1, 900)]
            del kept

    for _ in range(32):
        threading.Thread(target=churn, daemon=True).start()
    go.set()
    sys.exit(5)


def last_thread():
    """The main thread ends by itself, another is the process's last."""
    import ctypes

    threading.Thread(target=lambda: (time.sleep(0.3), print("last", flush=True))).start()
    ctypes.CDLL(None).pthread_exit(None)


def last_thread_of_a_fork():
    """A thread forks; in the child its function returns."""

    def fork():
        child = os.fork()
        if child:
            print(os.waitpid(child, 0)[1], flush=True)
        else:
            time.sleep(0.3)
            kept.extend(bytes(911) for _ in range(10))

    threading.Thread(target=fork).start()


def loads():
    import ctypes

    ctypes.CDLL(sys.argv[2])


globals()[sys.argv[1]]()
