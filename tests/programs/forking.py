"""Forks in the ways that have hung, torn or confused tracers. Blocks of bytes(911) are made on two lines."""

import ctypes
import os
import subprocess
import sys
import threading
import time

kept = []


def keep(count):
    for _ in range(count):
        kept.append(bytes(911))


def pass_by(count):
    for _ in range(count):
        bytes(911)


class Busy:
    """Threads that allocate, half of them without Python's lock; at the end it is known how often."""

    def __init__(self, library, count):
        self.made = [0] * (count // 2)
        self.must_end = False
        self.library = ctypes.CDLL(library)
        self.library.busy_stop.restype = ctypes.c_long
        self.library.busy_start(count - count // 2)
        self.threads = [threading.Thread(target=self.work, args=(i,)) for i in range(count // 2)]
        for thread in self.threads:
            thread.start()

    def work(self, mine):
        while not self.must_end:
            pass_by(200)
            self.made[mine] += 200
            time.sleep(0.0005)

    def stop(self):
        self.must_end = True
        for thread in self.threads:
            thread.join()
        print(sum(self.made), self.library.busy_stop())


def leave_unseen():
    """Ends the process by a system call of its own: no hook sees it."""
    ctypes.PyDLL(None).syscall(231, 0)


def wait_for(child):
    status = os.waitpid(child, 0)[1]
    assert status == 0, status


def storm(library, forks, captures):
    """Forks; the children allocate and end, so many of them with a capture."""
    import warnings

    warnings.simplefilter("ignore")  # CPython's own: the program has threads without us
    busy = Busy(library, 8)
    every = int(forks) // int(captures)
    for number in range(int(forks)):
        child = os.fork()
        if child == 0:
            keep(100)
            bytearray(100_000)
            if number % every:
                leave_unseen()
            os._exit(0)
        wait_for(child)
    busy.stop()


def lines(count, name):
    """A program of so many lines, each of which makes a block: places for the tables to hold, and for flushes to write."""
    return compile("".join("made = bytes(%d)\n" % (700 + i % 300) for i in range(count)), name, "exec")


def quiet_forks(forks):
    """Forks at all distances from the last one, while the program works or waits; it has no threads."""
    for number in range(int(forks)):
        pass_by(number % 5 * 1000)
        time.sleep(number % 4 * 0.01)
        child = os.fork()
        if child == 0:
            leave_unseen()
        wait_for(child)


def many_places(forks):
    """Forks while the capture is being written, as it always is: thousands of lines allocate."""
    code = lines(15_000, "of all")
    must_end = []

    def work():
        while not must_end:
            exec(code, {"bytes": bytes})

    workers = [threading.Thread(target=work) for _ in range(2)]
    import warnings

    warnings.simplefilter("ignore")
    for worker in workers:
        worker.start()
    for number in range(int(forks)):
        child = os.fork()
        if child == 0:
            keep(100)
            if number % 10:
                leave_unseen()
            os._exit(0)
        wait_for(child)
    must_end.append(True)
    for worker in workers:
        worker.join()


def worker():
    """A child that works for a moment and then waits for work, as its parent does."""
    child = os.fork()
    keep(107 if child == 0 else 53)
    time.sleep(0.03)
    keep(1)
    print("ready", os.getpid(), flush=True)
    time.sleep(600)


def handlers(library, forks):
    """Another library's handlers of fork allocate."""
    if library != "preloaded":
        ctypes.CDLL(library).register_handlers()
    for _ in range(int(forks)):
        child = os.fork()
        if child == 0:
            keep(7)
            leave_unseen()
        wait_for(child)
    keep(53)


def bare_clone(children):
    """Children that libc does not know of, made while the capture is being written; they do what was never done before."""
    keep(50)
    everything = lines(15_000, "of the parent")
    news = lines(1000, "of the child")
    for number in range(int(children)):
        exec(everything, {"bytes": bytes})
        time.sleep(0.003 * (number % 7))
        child = ctypes.PyDLL(None).syscall(56, 17, 0, 0, 0, 0)  # clone(SIGCHLD)
        if child == 0:
            exec(news, {"bytes": bytes})
            keep(3000)
            grandchild = os.fork()
            if grandchild != 0:
                wait_for(grandchild)
            os._exit(0)
        wait_for(child)
    keep(3)


def spawn(library, commands):
    """Children that share the memory until they become another program."""
    busy = Busy(library, 8)
    for number in range(int(commands)):
        if number % 2:
            child = os.posix_spawn("/bin/true", ["true"], os.environ)
            wait_for(child)
        else:
            answer = subprocess.run(["/bin/echo", str(number)], stdout=subprocess.PIPE, check=True).stdout
            assert answer == b"%d\n" % number
    busy.stop()


def siblings(count):
    """Children that all live at once, and write at once."""
    children = []
    keep(53)
    for number in range(int(count)):
        child = os.fork()
        if child == 0:
            keep(1000 + number)
            time.sleep(0.1)
            os._exit(0)
        children.append(child)
    for child in children:
        wait_for(child)


def chain(links):
    """One process, several programs in a row."""
    keep(100 + int(links))
    if int(links) > 1:
        os.execv(sys.executable, [sys.executable, "-S", __file__, "chain", str(int(links) - 1)])


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
    print(sys.argv[1])
