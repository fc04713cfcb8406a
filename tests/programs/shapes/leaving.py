"""Links that go on while blocks are left: context managers, exceptions and what handles them."""

import contextlib
import sys

from chains import link


class Manager:
    def __init__(self, chain, entering):
        self.chain = chain
        self.entering = entering

    def __enter__(self):
        if self.entering:
            go, rest = self.chain
            go(rest)
        return self

    def __exit__(self, *reason):
        if not self.entering:
            self.chain[0](self.chain[1])
        return True


@link
def entered(chain):
    with Manager(chain, True):
        pass


@link
def left(chain):
    with Manager(chain, False):
        pass


@link
def left_by_an_exception(chain):
    with Manager(chain, False):
        raise KeyError("left")


@link
def left_by_returning(chain):
    with Manager(chain, False), contextlib.suppress(KeyError):
        return 1


@link
def within(chain):
    go, rest = chain
    with contextlib.suppress(KeyError), contextlib.ExitStack() as stack:
        stack.callback(len, "x")
        go(rest)


@contextlib.contextmanager
def managed(chain, entering):
    go, rest = chain
    if entering:
        go(rest)
    try:
        yield 1
    finally:
        if not entering:
            go(rest)


@link
def generator_entered(chain):
    with managed(chain, True):
        pass


@link
def generator_left(chain):
    with managed(chain, False):
        pass


@link
def generator_left_by_an_exception(chain):
    with contextlib.suppress(KeyError), managed(chain, False):
        raise KeyError("left")


class AsDecorator(contextlib.ContextDecorator):
    def __enter__(self):
        return self

    def __exit__(self, *reason):
        return False


@link
@AsDecorator()
def decorated(chain):
    go, rest = chain
    go(rest)


@link
def stacked_exits(chain):
    go, rest = chain
    with contextlib.ExitStack() as stack:
        stack.callback(len, "x")
        stack.callback(go, rest)


def failing(depth, error=KeyError):
    if depth:
        failing(depth - 1, error)
    raise error("failed")


@link
def handled(chain):
    go, rest = chain
    try:
        failing(2)
    except KeyError:
        go(rest)


@link
def handled_with_a_name(chain):
    go, rest = chain
    try:
        [].index(5)
    except (KeyError, ValueError) as error:
        return error and go(rest)


@link
def in_the_try(chain):
    go, rest = chain
    try:
        go(rest)
    except KeyError:
        raise


@link
def in_the_else(chain):
    go, rest = chain
    try:
        len(chain)
    except KeyError:
        raise
    else:
        go(rest)


@link
def finally_in_passing(chain):
    go, rest = chain
    try:
        try:
            failing(1)
        finally:
            go(rest)
    except KeyError:
        pass


@link
def finally_in_returning(chain):
    go, rest = chain
    try:
        return 1
    finally:
        go(rest)


@link
def finally_in_a_loop(chain):
    go, rest = chain
    for number in range(3):
        try:
            if number == 1:
                break
            continue
        finally:
            if number == 1:
                go(rest)


@link
def handler_in_a_handler(chain):
    go, rest = chain
    try:
        failing(0)
    except KeyError as first:
        try:
            raise ValueError("second") from first
        except ValueError:
            go(rest)


@link
def handler_below_a_handler(chain):
    go, rest = chain

    def below():
        try:
            failing(1, ValueError)
        except ValueError:
            go(rest)

    try:
        failing(1)
    except KeyError:
        below()


@link
def while_an_exception_is_made(chain):
    class Failure(Exception):
        def __init__(self):
            go, rest = chain
            go(rest)

    try:
        raise Failure
    except Failure:
        pass


@link
def while_a_handler_is_chosen(chain):
    go, rest = chain
    try:
        failing(0)
    except (go(rest), KeyError)[1]:
        pass


class Dying:
    def __init__(self, chain):
        self.chain = chain

    def __del__(self):
        go, rest = self.chain
        go(rest)


def failing_with(chain):
    dying = Dying(chain)
    raise KeyError(len([dying]))


@link
def dies_with_the_traceback(chain):
    try:
        failing_with(chain)
    except KeyError:
        pass


@link
def dies_when_the_error_is_forgotten(chain):
    error = None
    try:
        failing_with(chain)
    except KeyError as caught:
        error = caught
    error.__traceback__ = None


GROUPS = """
def handled_in_a_group(chain):
    go, rest = chain
    try:
        raise ExceptionGroup("several", [KeyError(1), ValueError(2)])
    except* KeyError:
        go(rest)
    except* ValueError:
        pass
"""

MATCHES = """
class Point:
    __match_args__ = ("x", "y")

    def __init__(self, chain):
        self.chain = chain
        self.y = 2

    @property
    def x(self):
        go, rest = self.chain
        go(rest)
        return 1

def in_a_pattern(chain):
    match Point(chain):
        case Point(1, 2):
            return 1

def in_a_guard(chain):
    match chain:
        case (go, rest) if go(rest):
            return 1
        case _:
            return 2
"""

for since, text, names in (
    ((3, 11), GROUPS, ["handled_in_a_group"]),
    ((3, 10), MATCHES, ["in_a_pattern", "in_a_guard"]),
):
    if sys.version_info >= since:
        found = {"__name__": "from_text"}
        exec(compile(text, "from_text.py", "exec"), found)
        for name in names:
            link(found[name])
