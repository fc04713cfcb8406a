"""Which test files are run: all of them, the quick list, or the part of it that fits into scripts/test.

An entry is `file`, or `file/part` for a part of a long one. Newer versions have split some files into folders: a part is then a
file of such a folder. In older ones it is a pattern for the names of cases.
"""

from dataclasses import dataclass
from fnmatch import fnmatchcase

QUICK = (
    "test_threading",
    "test_thread",
    "test_threadsignals",
    "test_fork1",
    "test_gc",
    "test_signal",
    "test_subprocess",
    "test_capi/test_mem",
    "test_tracemalloc",
    "test_frame",
    "test_generators",
    "test_coroutines",
    "test_asyncgen",
    "test_asyncio/test_subprocess",
    "test_asyncio/test_unix_events",
    "test_multiprocessing_fork/test_misc",
    "test_multiprocessing_spawn/test_misc",
    "test_multiprocessing_forkserver/test_misc",
    "test_concurrent_futures/test_init",
    "test_os",
    "test_posix",
    "test_mmap",
    "test_ctypes",
    "test_embed",
    "test_sys",
    "test_sys_settrace",
    "test_sys_setprofile",
    "test_monitoring",
    "test_faulthandler",
    "test_atexit",
    "test_weakref",
    "test_io",
    "test_exceptions",
    "test_code",
    "test_dict",
    "test_list",
    "test_socket",
    "test_interpreters",
    "test__xxsubinterpreters",
)

# Short ones, each for another way in which a preload could show.
CI = (
    "test_fork1",
    "test_thread",
    "test_threadsignals",
    "test_gc",
    "test_tracemalloc",
    "test_sys_settrace",
    "test_sys_setprofile",
    "test_coroutines",
    "test_frame",
    "test_atexit",
)

# Names of cases in the versions that have one file for what was a folder later. Their multiprocessing tests take minutes.
PATTERNS = {
    "test_asyncio/test_subprocess": "test.test_asyncio.test_subprocess.*",
    "test_asyncio/test_unix_events": "test.test_asyncio.test_unix_events.*",
    "test_capi/test_mem": "*PyMem*",
    "test_multiprocessing_fork/test_misc": "*.Test[A-Z]*",
    "test_multiprocessing_spawn/test_misc": "*.Test[A-Z]*",
    "test_multiprocessing_forkserver/test_misc": "*.Test[A-Z]*",
    "test_concurrent_futures/test_init": "*InitializerTest.*",
}


@dataclass(frozen=True)
class TestFile:
    name: str  # as regrtest wants it
    pattern: str = ""  # of names of cases; empty for all

    def __str__(self):
        return f"{self.name} -m {self.pattern}" if self.pattern else self.name


def select(listed, entries):
    """The test files of `entries` among those `listed`, and the entries that this version does not have."""
    chosen, missing = [], []
    for entry in entries:
        found = list(_of_entry(listed, entry))
        chosen += [file for file in found if file not in chosen]
        if not found:
            missing.append(entry)
    return chosen, missing


def _of_entry(listed, entry):
    file, _, part = entry.partition("/")
    short = {name.removeprefix("test."): name for name in listed}
    if part and f"{file}.{part}" in short:
        yield TestFile(short[f"{file}.{part}"])
    elif file in short:
        yield TestFile(short[file], PATTERNS.get(entry, f"*{part}*") if part else "")
    elif not part:
        yield from (
            TestFile(name) for key, name in short.items() if key.startswith(f"{file}.") or fnmatchcase(key, file)
        )
