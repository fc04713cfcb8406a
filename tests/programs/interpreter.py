"""What CPython does while a tracer looks; the first argument chooses. The output is the same with and without one."""

import gc
import os
import sys
import threading


def gc_at_every_allocation():
    """Collections, resizes of dicts and errors that are set, while everything is half built."""
    from xml.etree import ElementTree

    gc.set_threshold(1)

    class Key:
        def __init__(self, number):
            self.number = number
            self.cycle = [self]

        def __hash__(self):
            return self.number % 7

        def __eq__(self, other):
            return [self.number] == [other.number]

    table = {}
    for number in range(120):
        table[Key(number)] = {str(i): [i] for i in range(number % 12)}
        try:
            raise LookupError(number)
        except LookupError as error:
            assert bytes(600) and sys.exc_info()[1] is error
        try:
            table[Key(-number - 1)]
        except KeyError:
            pass
        if number % 3 == 0:
            table.pop(Key(number), None)
    text = "<a>%s</a>" % "".join("<b n='%d'>text %d</b>" % (i, i) for i in range(300))
    root = ElementTree.fromstring(text)
    root.extend(ElementTree.fromstring(text))
    print(len(table), len(root), len(ElementTree.tostring(root)))
    print(sys.exc_info())


def watchers():
    """Everything else that watches a program is there and sees what it would see alone."""
    import cProfile
    import faulthandler
    import pstats
    import tracemalloc

    def work(depth):
        return [bytes(depth), work(depth - 1)] if depth else None

    seen = []
    for set_watcher in (sys.settrace, sys.setprofile):

        def watch(frame, event, argument):
            if frame.f_code is work.__code__:
                seen.append((event, frame.f_lineno))
            return watch

        assert sys.gettrace() is None and sys.getprofile() is None
        set_watcher(watch)
        work(20)
        set_watcher(None)
    print(len(seen), sorted(set(seen)))

    tracemalloc.start(5)
    kept = work(50)
    blocks = [
        trace
        for trace in tracemalloc.take_snapshot().traces
        if trace.traceback[-1].lineno == work.__code__.co_firstlineno + 1
    ]
    tracemalloc.stop()
    print(len(blocks) > 50, len(kept))

    profile = cProfile.Profile()
    profile.runcall(work, 30)
    counted = [row[0] for place, row in pstats.Stats(profile).stats.items() if place[2] == "work"]
    print(counted)

    if hasattr(sys, "monitoring"):
        print([sys.monitoring.get_tool(tool) for tool in range(6)])
        calls = []
        sys.monitoring.use_tool_id(3, "ours")
        sys.monitoring.register_callback(
            3, sys.monitoring.events.PY_START, lambda code, offset: calls.append(code.co_name)
        )
        sys.monitoring.set_events(3, sys.monitoring.events.PY_START)
        work(10)
        sys.monitoring.set_events(3, 0)
        sys.monitoring.free_tool_id(3)
        print(calls.count("work"))

    with open(os.devnull, "w") as nowhere:
        faulthandler.enable(nowhere)
        faulthandler.dump_traceback_later(0.01, repeat=True, file=nowhere)
        for _ in range(200):
            work(100)
        faulthandler.cancel_dump_traceback_later()
        faulthandler.disable()


def interpreters_with_locks_of_their_own():
    """Eight interpreters allocate at the same time, each under its own lock (3.12 and later)."""
    try:
        import _interpreters as interpreters

        create = lambda: interpreters.create("isolated")  # noqa: E731
    except ImportError:
        import _xxsubinterpreters as interpreters

        create = lambda: interpreters.create(isolated=True)  # noqa: E731
    code = "kept = []\nfor n in range(4000): kept.append([n, str(n), bytes(n % 700), {n: n}])\nassert len(kept) == 4000"
    errors = []

    def run():
        identifier = create()
        errors.append(interpreters.run_string(identifier, code))
        interpreters.destroy(identifier)

    for _ in range(2):
        workers = [threading.Thread(target=run) for _ in range(8)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    print(errors)


def kept_blocks():
    """Blocks that stay, of all sizes."""
    kept = [bytes(size) for size in range(3000)]
    kept.extend({number: str(number)} for number in range(20000))
    print(len(kept))
    globals()["kept"] = kept


def daemon_threads_at_the_end():
    """Threads that nobody waits for allocate while the interpreter ends, and functions run at its end."""
    import atexit
    import ctypes

    def churn():
        while True:
            [bytes(300) for _ in range(50)]
            ctypes.CDLL(None).getpid()  # gives the lock back, and takes it again

    for _ in range(6):
        threading.Thread(target=churn, daemon=True).start()
    atexit.register(lambda: print(sum(len(bytes(200)) for _ in range(2000))))


globals()[sys.argv[1]]()
