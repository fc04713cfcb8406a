"""Links that C code calls back as functions: iterators, sorting, patterns, parsers, tracing, imports."""

import bisect
import codecs
import collections
import contextvars
import csv
import ctypes
import functools
import heapq
import importlib.machinery
import io
import itertools
import json
import operator
import pickle
import re
import sys
import threading
import xml.parsers.expat

from chains import link


def once(chain):
    """A function of any arguments that goes on when it is called first."""
    left = [chain]

    def callback(*arguments, **keywords):
        if left:
            go, rest = left.pop()
            go(rest)
        return 1

    return callback


def text_once(chain):
    callback = once(chain)
    return lambda *arguments: str(callback())


def parse_xml(chain):
    parser = xml.parsers.expat.ParserCreate()
    parser.StartElementHandler = once(chain)
    parser.Parse("<a><b/></a>", True)


class Pickled:
    def __init__(self, chain):
        self.__dict__["chain"] = chain

    def __getstate__(self):
        go, rest = self.chain
        go(rest)
        return {"state": 1}


class Fields:
    def __init__(self, chain):
        self.callback = once(chain)

    def __iter__(self):
        return self

    def __next__(self):
        self.callback()
        raise StopIteration

    def write(self, text):
        self.callback()

    def keys(self):
        self.callback()
        return []

    def __getitem__(self, key):
        self.callback()
        return key


class Cached:
    def __init__(self, chain):
        self.callback = once(chain)

    @functools.cached_property
    def value(self):
        return self.callback()


@functools.singledispatch
def dispatched(argument, chain):
    raise TypeError(argument)


@dispatched.register(int)
def dispatched_int(argument, chain):
    go, rest = chain
    go(rest)


def partial_of_partial(chain):
    go, rest = chain
    functools.partial(functools.partial(go), rest)()


def decoding_error(chain):
    callback = once(chain)
    name = f"shapes_{threading.get_ident()}"  # the names are common to all threads
    codecs.register_error(name, lambda error: ("?" * callback(), error.end))
    "caf\u00e9".encode("ascii", name)


compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
sort = ctypes.CDLL(None).qsort
sort.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t, compare]
sort.restype = None


def sort_in_c(chain):
    callback = once(chain)
    sort((ctypes.c_int * 2)(2, 1), 2, 4, compare(lambda one, other: callback()))


for use in (
    lambda chain: sorted([1, 2], key=once(chain)),
    lambda chain: [2, 1].sort(key=lambda value: (value == 2 and chain[0](chain[1])) is None),
    lambda chain: sorted([2, 1], key=functools.cmp_to_key(once(chain))),
    lambda chain: list(map(once(chain), (1, 2))),
    lambda chain: next(map(chain[0], (chain[1],))),
    lambda chain: list(filter(once(chain), (1, 2))),
    lambda chain: min((1, 2), key=once(chain)),
    lambda chain: max(1, 2, key=once(chain)),
    lambda chain: functools.reduce(once(chain), (1, 2)),
    lambda chain: list(itertools.starmap(once(chain), [(1, 2)])),
    lambda chain: list(itertools.accumulate((1, 2), once(chain))),
    lambda chain: list(itertools.takewhile(once(chain), (1, 2))),
    lambda chain: [key for key, _ in itertools.groupby((1, 2), once(chain))],
    lambda chain: list(iter(once(chain), 1)),
    lambda chain: list(zip(map(once(chain), (1, 2)), filter(None, (1, 2)))),
    lambda chain: re.sub("a|b", text_once(chain), "cab"),
    lambda chain: re.compile("(x)").subn(text_once(chain), "xyz"),
    lambda chain: json.loads('{"a": {"b": 1}}', object_hook=once(chain)),
    lambda chain: json.loads("[1.5]", parse_float=once(chain)),
    lambda chain: json.dumps({"a": Fields(None)}, default=once(chain)),
    lambda chain: csv.reader(Fields(chain)) and next(csv.reader(Fields(chain)), None),
    lambda chain: print("text", file=Fields(chain)),
    lambda chain: dict(Fields(chain)),
    lambda chain: (lambda **names: names)(**Fields(chain)),
    lambda chain: "%(name)s" % Fields(chain),
    lambda chain: "{0[name]}".format(Fields(chain)),
    lambda chain: collections.defaultdict(once(chain))["missing"],
    lambda chain: collections.deque(map(once(chain), (1, 2)), maxlen=1),
    lambda chain: collections.Counter(map(once(chain), "ab")),
    lambda chain: contextvars.copy_context().run(*chain),
    lambda chain: functools.lru_cache(maxsize=2)(once(chain))(5),
    lambda chain: Cached(chain).value,
    lambda chain: dispatched(5, chain),
    lambda chain: operator.methodcaller("write", "text")(Fields(chain)),
    lambda chain: pickle.dumps(Pickled(chain)),
    lambda chain: heapq.nsmallest(1, [2, 1, 3], key=once(chain)),
    lambda chain: bisect.bisect([1, 2], Ordered(chain)),
    lambda chain: io.BufferedReader(Raw(chain)).read(1),
    lambda chain: "".join(map(text_once(chain), "ab")),
    lambda chain: b"".join(filter(once(chain), (b"a",))),
    lambda chain: threading.local.__new__(threading.local) and Local(chain).any,
    parse_xml,
    partial_of_partial,
    decoding_error,
    sort_in_c,
):
    link(use)


class Ordered:
    def __init__(self, chain):
        self.callback = once(chain)

    def __lt__(self, other):
        return self.callback() == 1


class Raw(io.RawIOBase):
    def __init__(self, chain):
        self.callback = once(chain)

    def readable(self):
        return True

    def readinto(self, buffer):
        return self.callback() - 1


class Local(threading.local):
    any = 1

    def __init__(self, chain):
        go, rest = chain
        go(rest)


class Finder:
    """Finds the modules that `imported` makes up. One for all threads: one that left the path while another thread looks
    along it would have that thread step over its own."""

    callbacks = {}

    @classmethod
    def find_spec(cls, name, path, target=None):
        return importlib.machinery.ModuleSpec(name, cls) if name in cls.callbacks else None

    @staticmethod
    def create_module(spec):
        return None

    @classmethod
    def exec_module(cls, module):
        exec("call()", {"call": cls.callbacks.pop(module.__name__)})


sys.meta_path.insert(0, Finder)
imports = itertools.count()


@link
def imported(chain):
    made = f"shapes_made_{next(imports)}"
    Finder.callbacks[made] = once(chain)
    __import__(made)
    sys.modules.pop(made)


@link
def profiled(chain):
    left = [chain]

    def profile(frame, event, argument):
        if left and event == "call":
            go, rest = left.pop()
            go(rest)

    def called():
        return 1

    before = sys.getprofile()
    sys.setprofile(profile)
    called()
    sys.setprofile(before)
    profile(None, "call", None)  # within another such function none is called


@link
def traced(chain):
    go, rest = chain
    before = sys.gettrace()
    sys.settrace(lambda frame, event, argument: None)
    try:
        go(rest)
    finally:
        sys.settrace(before)


@link
def traced_line_by_line(chain):
    left = [chain]

    def trace(frame, event, argument):
        if left and event == "line":
            go, rest = left.pop()
            go(rest)
        return trace

    def called():
        number = 1
        return number + 1

    before = sys.gettrace()
    sys.settrace(trace)
    called()
    sys.settrace(before)
    trace(None, "line", None)
