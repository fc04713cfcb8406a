"""Allocates one block of a size of its own in each kind of Python code, and prints the stack that asked for it.

`bytes(here(SIZE))` allocates SIZE + 33 bytes on a line whose stack `here` has just written down, from CPython's own
frame objects. Where the call spans lines, `here` is told how many lines above its own the call begins.
"""

import asyncio
import collections
import functools
import gc
import json
import os
import signal
import sys
import threading
import weakref

expected = []
kept = collections.deque(maxlen=10000)


def here(size, lines_above=0):
    frames, frame = [], sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        name = getattr(code, "co_qualname", code.co_name)
        frames.append([name, code.co_filename, frame.f_lineno - (0 if frames else lines_above)])
        frame = frame.f_back
    expected.append({"bytes": size + bytes.__basicsize__, "frames": frames})
    return size


def plain():
    kept.append(bytes(here(1009)))


def outer():
    def inner():
        kept.append(bytes(here(1013)))

    inner()


def recursion(depth):
    if depth == 0:
        kept.append(bytes(here(1019)))
    else:
        recursion(depth - 1)


def keywords(*args, size, **rest):
    kept.append(bytes(here(size)))


def many_lines():
    kept.append(
        bytes(
            here(
                1021,
                lines_above=1,
            )
        )
    )
    first = [
        len("x" * 10),
        bytes(here(1031)),
        len("y" * 10),
    ]
    kept.append(first[1])
    # fmt: off
    kept.append(bytes(here(1033))); kept.append(bytes(here(1039)))  # noqa: E702
    # fmt: on


def generator():
    for size in (1049, 1051):
        yield bytes(here(size))


def delegating():
    yield from generator()


def sending():
    received = None
    while True:
        received = yield received and bytes(here(received))


def generator_in_expression():
    kept.extend(bytes(here(size)) for size in (1061, 1063))


def comprehensions():
    kept.extend([bytes(here(size)) for size in (1069,)])
    kept.extend({size: bytes(here(size)) for size in (1087,)}.values())
    kept.extend({bytes(here(size)) for size in (1091,)})
    kept.extend([[bytes(here(size)) for size in row] for row in ((1093,),)][0])


class Body:
    kept.append(bytes(here(1097)))

    class Nested:
        kept.append(bytes(here(1103)))

    def method(self):
        kept.append(bytes(here(1109)))

    @classmethod
    def of_class(cls):
        kept.append(bytes(here(1117)))

    @staticmethod
    def of_none():
        kept.append(bytes(here(1123)))

    @property
    def attribute(self):
        kept.append(bytes(here(1129)))

    def __getattr__(self, name):
        kept.append(bytes(here(1151)))

    def __call__(self):
        kept.append(bytes(here(1153)))

    def __eq__(self, other):
        kept.append(bytes(here(1163)))
        return True

    def __init_subclass__(cls):
        kept.append(bytes(here(1171)))


def methods():
    body = Body()
    body.method()
    Body.of_class()
    Body.of_none()
    body.attribute
    body.missing
    body()
    body == 1
    type("Made", (Body,), {})


def decorator(size):
    kept.append(bytes(here(size)))

    def decorate(function):
        @functools.wraps(function)
        def wrapper(*args):
            kept.append(bytes(here(1181)))
            return function(*args)

        return wrapper

    return decorate


@decorator(1187)
@decorator(
    1193,
)
def decorated(size=len(bytes(here(1201)))):
    kept.append(bytes(here(1213)))


def callbacks():
    kept.extend(map(lambda size: bytes(here(size)), (1217,)))
    sorted([1], key=lambda one: kept.append(bytes(here(1223))))
    sorted([1, 2], key=functools.cmp_to_key(lambda one, other: kept.append(bytes(here(1229))) or 0))
    functools.reduce(lambda one, other: kept.append(bytes(here(1231))), (1, 2))
    functools.partial(keywords, size=1237)()
    json.loads('{"a": 1}', object_hook=lambda found: kept.append(bytes(here(1249))))


class Dying:
    def __init__(self, size):
        self.size = size

    def __del__(self):
        kept.append(bytes(here(self.size)))


def deletions():
    dying = Dying(1259)
    del dying
    dying = Dying(1277)
    dying = str(dying)

    def holder():
        local = Dying(1279)
        return len([local])

    holder()
    cycle = [Dying(1543)]
    cycle.append(cycle)
    del cycle
    gc.collect()
    followed = Body()
    watcher = weakref.ref(followed, lambda gone: kept.append(bytes(here(1549))))
    del followed
    return watcher


class Manager:
    def __enter__(self):
        kept.append(bytes(here(1283)))

    def __exit__(self, *reason):
        kept.append(bytes(here(1289)))
        return True


def raising(size):
    local = Dying(size)  # dies while the exception unwinds this frame
    raise KeyError(local.size)


def unwinding():
    try:
        raising(1291)
    except KeyError:
        kept.append(bytes(here(1297)))
    finally:
        kept.append(bytes(here(1301)))
    try:
        try:
            raising(1303)
        finally:
            kept.append(bytes(here(1307)))
    except KeyError as error:
        kept.append(bytes(here(1319)))
        error.__traceback__ = None
    with Manager():
        raising(1321)
    with Manager() as nothing, Manager():
        kept.append(bytes(here(1327)))
    return nothing


def generator_that_is_closed():
    try:
        yield 1
    finally:
        kept.append(bytes(here(1361)))


def generator_that_is_thrown_into():
    try:
        yield 1
    except ValueError:
        kept.append(bytes(here(1367)))
        yield 2


def code_from_text():
    exec(compile("kept.append(bytes(here(1373)))", "<text>", "exec"))
    exec(
        compile(
            "\n" * 700 + "def far():\n" + "\n" * 300 + "  kept.append(bytes(here(1381)))\nfar()\n", "far.py", "exec"
        )
    )
    eval(compile("kept.append(bytes(here(1399)))", "<expression>", "eval"))
    long = (
        "def long():\n" + "".join(f"  x{i} = {i}.5\n" for i in range(400)) + "  kept.append(bytes(here(1409)))\nlong()"
    )
    exec(compile(long, "long.py", "exec"), {"kept": kept, "bytes": bytes, "here": here})
    name = "caf\u00e9_\u4e16\u754c"
    exec(compile(f"def {name}():\n  kept.append(bytes(here(1423)))\n{name}()", "\U0001f600.py", "exec"))


def code_that_comes_and_goes():
    # Each function dies before the next is made, so that its code object's address is used again.
    for number in range(300):
        text = (
            "\n" * (number % 7) + f"def made_{number}():\n  kept.append(bytes(here({3001 + number})))\nmade_{number}()"
        )
        exec(compile(text, f"made_{number}.py", "exec"), {"kept": kept, "bytes": bytes, "here": here})


def interrupted():
    def handler(number, frame):
        kept.append(bytes(here(1553)))

    before = signal.signal(signal.SIGUSR1, handler)
    os.kill(os.getpid(), signal.SIGUSR1)
    sum(range(1000))
    signal.signal(signal.SIGUSR1, before)


def control_flow():
    for number in range(3):
        if number == 1:
            kept.append(bytes(here(1427)))
        elif number == 2:
            while True:
                kept.append(bytes(here(1429)))
                break
        else:
            assert kept.append(bytes(here(1433))) is None
    kept.append(bytes(here(1439)) if kept else b"")
    return len(bytes(here(1447)))


async def awaited():
    kept.append(bytes(here(1451)))
    await asyncio.sleep(0)
    kept.append(bytes(here(1453)))


async def asynchronous_generator():
    yield bytes(here(1459))


class AsynchronousManager:
    async def __aenter__(self):
        kept.append(bytes(here(1471)))

    async def __aexit__(self, *reason):
        kept.append(bytes(here(1481)))


async def asynchronous():
    await awaited()
    async for block in asynchronous_generator():
        kept.append(block)
    async with AsynchronousManager():
        kept.append(bytes(here(1483)))
    kept.extend([block async for block in asynchronous_generator_2()])
    await asyncio.gather(gathered(1487), gathered(1489))


async def asynchronous_generator_2():
    yield bytes(here(1493))


async def gathered(size):
    await asyncio.sleep(0)
    kept.append(bytes(here(size)))


def small():
    kept.append(bytes(here(283)))
    kept.append(bytes(here(307)))


def main():
    plain()
    outer()
    recursion(60)
    keywords(1, size=1499, more=2)
    many_lines()
    kept.extend(delegating())
    sender = sending()
    next(sender)
    kept.append(sender.send(1511))
    generator_in_expression()
    comprehensions()
    methods()
    decorated()
    callbacks()
    deletions()
    unwinding()
    closed = generator_that_is_closed()
    next(closed)
    closed.close()
    thrown = generator_that_is_thrown_into()
    next(thrown)
    thrown.throw(ValueError())
    code_from_text()
    code_that_comes_and_goes()
    interrupted()
    control_flow()
    asyncio.run(asynchronous())
    thread = threading.Thread(target=keywords, kwargs={"size": 1523})
    thread.start()
    thread.join()
    small()


kept.append(bytes(here(1531)))
main()
sys.stdout.reconfigure(encoding="utf-8")
json.dump(expected, sys.stdout)
