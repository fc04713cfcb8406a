"""The ends of chains: one block of a size of its own, on a line whose stack was just written down."""

import itertools
import sys
import threading
import traceback

from chains import bottom

kept = []
expected = []
frame_numbers = {}
sizes = itertools.count(1009)
names_are_qualified = sys.version_info >= (3, 11)


writing = threading.Lock()  # linecache, which traceback asks, is not made for several threads


def here():
    """Writes down the caller's stack as `traceback` sees it, and returns a size that no other block has."""
    with writing:
        return write_down(sys._getframe(1))


def write_down(frame):
    numbers = []
    for summary in reversed(traceback.extract_stack(frame)):
        code = frame.f_code
        # traceback knows the short name; the qualified one is the code's, which must be the same code.
        assert (summary.filename, summary.name.rpartition(".")[2]) == (code.co_filename, code.co_name)
        name = code.co_qualname if names_are_qualified else summary.name
        key = (name, summary.filename, summary.lineno)
        numbers.append(frame_numbers.setdefault(key, len(frame_numbers)))
        frame = frame.f_back
    assert frame is None
    size = next(sizes)
    expected.append((size + bytes.__basicsize__, numbers))
    return size


@bottom
def function(_):
    kept.append(bytes(here()))


@bottom
def operand(_, *rest, more=2):
    kept.append(bytes(here()) + b"" if more else rest)


@bottom
def comprehension(_):
    kept.extend([bytes(here()) for _ in (1,)])


@bottom
def expression(_):
    kept.extend(bytes(here()) for _ in (1,))


@bottom
def class_body(_):
    class Body:
        kept.append(bytes(here()))


@bottom
def evaluated(_, code=compile("kept.append(bytes(here()))", "<evaluated>", "eval")):
    eval(code)


@bottom
def executed(_, code=compile("\n\nfor _ in (1,):\n  kept.append(bytes(here()))", "<executed>", "exec")):
    exec(code)


@bottom
def handler(_):
    try:
        {}["missing"]
    except KeyError:
        kept.append(bytes(here()))


class Holder:
    def __init__(self):
        kept.append(bytes(here()))


@bottom
def construction(_):
    Holder()


class Dying:
    def __del__(self):
        kept.append(bytes(here()))


@bottom
def death(_):
    Dying()


bottom(lambda _: kept.append(bytes(here())))
