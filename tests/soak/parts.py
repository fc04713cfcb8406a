"""What the soak consists of."""

import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """One command, and what it is to show."""

    name: str
    what: str
    command: tuple


def _tests(name, what, *filters):
    """A part that is one or several tests of the integration binary, chosen by the beginnings of their names."""
    options = ("--nocapture", "--test-threads=1")
    cargo = ("cargo", "test", "--release", "--package", "pytrace", "--test", "integration")
    return Part(name, what, (*cargo, "--", *options, *filters))


PARTS = [
    _tests("kill9", "200 kills at random moments: every capture opens; how much is missing", "f47_killed_at_random"),
    _tests(
        "fork_storm",
        "20 000 forks with 8 threads allocating: none hangs, the parent's totals are exact, "
        "the captures of 200 children open and are exact",
        "f38_locks",
    ),
    _tests("fork_warnings", "3 000 forks on each interpreter from 3.12 on: no warning of threads", "f38_warnings"),
    _tests("fork_mid_flush", "10 000 forks while the capture is being written", "f40_"),
    _tests("fork_handlers", "3 × 1 000 forks with another library's allocating handlers", "f41_"),
    _tests("bare_clone", "1 000 bare clones on each interpreter, each with a forked child", "f42_"),
    _tests("spawn", "10 000 vforks and spawns with 8 threads allocating: the parent's totals are exact", "f43_"),
    _tests("exits", "100 ends on each interpreter while 32 daemon threads allocate", "f49_"),
    _tests(
        "servers", "gunicorn with sync, gthread and gevent workers: 20 000 requests each, reloads, recycling", "f59_"
    ),
    _tests("trees", "multiprocessing and concurrent.futures in all start methods on each interpreter", "f60_"),
    _tests(
        "faults",
        "each system call of the shim and each call of libc that may end in one fails, in 7 ways: a program with threads, "
        "a fork and mappings is unaffected",
        "faults::",
    ),
    _tests(
        "held",
        "the background thread held for 30 s under the load of 16 threads, with the aggregator's lock and without",
        "held::",
    ),
    _tests(
        "events_1e9",
        "a capture of 10⁹ events, 10⁶ blocks live at a time, reported as text and every event as CSV and Parquet: no row is missing, "
        "and the reader stays within 1 GiB",
        "long_events::",
    ),
    _tests("limits", "little address space in 17 steps; a run of 40 million events", "f64_", "f66_"),
    _tests(
        "damage",
        "a capture cut at each of its first 65 536 bytes and at 10 000 random places, and 100 000 flipped bits: it is reported as far as it is good, or refused in a line",
        "damaged::",
    ),
    _tests("neighbours", "other libraries and tools in one process with the tracer", "neighbours::"),
    Part(
        "models",
        "the hand-over of buffers, cuts of growing streams, the lock, waking and leaving of the background thread, forks, "
        "flushes and the end: every interleaving with 2 to 4 preemptions",
        ("cargo", "test", "--package", "pytrace-preload", "--lib", "--features", "loom", "models::"),
    ),
    Part("miri", "the buffers of events and the format under Miri", ("scripts/miri",)),
    Part(
        "fuzz",
        "a million runs each of the fuzz targets over the decoders and over all reports, within 512 MB: no finding",
        ("scripts/fuzz", "1000000"),
    ),
    Part(
        "exit_latency",
        "300 ends with 32 daemon threads allocating, traced and not in turn, from `sys.exit` on",
        (sys.executable, "-m", "tests.soak.exit_latency", "300"),
    ),
    Part(
        "regrtest",
        "CPython's own tests, the quick list, on every interpreter",
        ("scripts/regrtest", "--quick", "--resume"),
    ),
]


def named(name):
    """The part of this name; KeyError if there is none."""
    return {part.name: part for part in PARTS}[name]
