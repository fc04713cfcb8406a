"""Links that go on from frames which can be suspended: generators, coroutines, tasks."""

import asyncio
import functools
import threading

from chains import link, slow_link


def one_step(chain):
    go, rest = chain
    yield go(rest)


def late_step(chain):
    yield 1
    yield 2
    go, rest = chain
    yield go(rest)


def delegating(chain, depth=3):
    if depth:
        yield from delegating(chain, depth - 1)
    else:
        yield from late_step(chain)


@link
def iterated(chain):
    for value in late_step(chain):
        pass
    return value


@link
def listed(chain):
    return list(one_step(chain))


@link
def unpacked(chain):
    (value,) = one_step(chain)
    return value


@link
def delegated(chain):
    return sum(1 for _ in delegating(chain))


@link
def delegated_step_by_step(chain):
    steps = delegating(chain)
    next(steps)
    sum([1])
    next(steps, None)
    return next(steps)


@link
def resumed_elsewhere(chain):
    steps = late_step(chain)
    next(steps)

    def deeper(depth):
        return deeper(depth - 1) if depth else next(steps) and next(steps)

    return deeper(5)


@link
def generator_expression(chain):
    go, rest = chain
    return any(go(rest) for _ in (1,))


@link
def nested_expressions(chain):
    go, rest = chain
    return tuple(tuple(go(rest) for _ in (1,)) for _ in (1,))


def receiving():
    received = yield
    go, rest = received
    yield go(rest)


@link
def sent(chain):
    steps = receiving()
    next(steps)
    steps.send(chain)


def guarded(chain):
    go, rest = chain
    try:
        yield 1
    except KeyError:
        go(rest)
        yield 2
    except GeneratorExit:
        go(rest)


def outer_guard(chain):
    yield from guarded(chain)


@link
def thrown_into(chain):
    steps = guarded(chain)
    next(steps)
    steps.throw(KeyError("thrown"))


@link
def thrown_through(chain):
    steps = outer_guard(chain)
    next(steps)
    steps.throw(KeyError("thrown"))


@link
def closed(chain):
    steps = outer_guard(chain)
    next(steps)
    steps.close()


@link
def closed_by_death(chain):
    steps = guarded(chain)
    next(steps)
    del steps


class Waiting:
    """Something awaitable that suspends its coroutine once."""

    def __init__(self, chain=None):
        self.chain = chain

    def __await__(self):
        yield self
        if self.chain:
            go, rest = self.chain
            go(rest)


async def at_once(chain):
    go, rest = chain
    go(rest)


async def after_a_wait(chain):
    await Waiting()
    go, rest = chain
    go(rest)


async def awaiting(chain, depth=3):
    if depth:
        await awaiting(chain, depth - 1)
    else:
        await after_a_wait(chain)


async def in_awaitable(chain):
    await Waiting(chain)


async def asynchronous_steps(chain):
    yield 1
    await Waiting()
    go, rest = chain
    yield go(rest)


async def in_asynchronous_for(chain):
    async for value in asynchronous_steps(chain):
        len([value])


async def in_asynchronous_comprehension(chain):
    return [value async for value in asynchronous_steps(chain)]


class Asynchronous:
    def __init__(self, chain, entering):
        self.chain = chain
        self.entering = entering

    async def __aenter__(self):
        if self.entering:
            await after_a_wait(self.chain)

    async def __aexit__(self, *reason):
        if not self.entering:
            go, rest = self.chain
            go(rest)


async def entered(chain):
    async with Asynchronous(chain, True):
        pass


async def left(chain):
    async with Asynchronous(chain, False):
        await Waiting()


def drive(coroutine):
    """The smallest event loop: goes on at once whatever is awaited."""
    try:
        while True:
            coroutine.send(None)
    except StopIteration:
        pass


COROUTINES = (
    at_once,
    after_a_wait,
    awaiting,
    in_awaitable,
    in_asynchronous_for,
    in_asynchronous_comprehension,
    entered,
    left,
)


def driven(function, chain):
    drive(function(chain))


for function in COROUTINES:
    link(functools.partial(driven, function))


async def sleeping(chain):
    await asyncio.sleep(0)
    go, rest = chain
    go(rest)


async def gathering(chain):
    await asyncio.gather(asyncio.sleep(0), sleeping(chain))


async def as_a_task(chain):
    await asyncio.get_running_loop().create_task(sleeping(chain))


async def called_soon(chain):
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    done.add_done_callback(lambda future: chain[0](chain[1]))
    loop.call_soon(done.set_result, 1)
    await done
    await asyncio.sleep(0)


loops = threading.local()


def in_a_loop(function, chain):
    if asyncio._get_running_loop() is not None:
        return drive(awaiting(chain))  # loops do not nest
    if not hasattr(loops, "own"):
        loops.own = asyncio.new_event_loop()
    return loops.own.run_until_complete(function(chain))


for function in (sleeping, gathering, as_a_task, called_soon):
    slow_link(functools.partial(in_a_loop, function))


@slow_link
def in_a_thread(chain):
    thread = threading.Thread(target=chain[0], args=(chain[1],))
    thread.start()
    thread.join()


class Thread(threading.Thread):
    def __init__(self, chain):
        super().__init__()
        self.chain = chain

    def run(self):
        go, rest = self.chain
        go(rest)


@slow_link
def in_a_thread_of_a_class(chain):
    thread = Thread(chain)
    thread.start()
    thread.join()
