"""Links that call in the plain ways: functions, methods, decorators, classes, comprehensions, code from text."""

import functools
import itertools

from chains import link


@link
def plain(chain):
    go, rest = chain
    go(rest)


@link
def on_many_lines(chain):
    go, rest = chain
    first = (
        len("x"),
        go(
            rest,
        ),
        len("y"),
    )
    return first[0]


@link
def keywords(chain, *more, switch=False, **others):
    if not switch:
        return keywords(chain, 1, 2, switch=True, other=3)
    go, rest = chain
    return go(*(rest,), **{})


@link
def nested(chain):
    def outer(first):
        def inner():
            go, rest = first
            go(rest)

        inner()

    outer(chain)


def recursion(chain, depth):
    if depth:
        return recursion(chain, depth - 1)
    go, rest = chain
    return go(rest)


@link
def recursion_of_3(chain):
    return recursion(chain, 3)


@link
def recursion_of_30(chain):
    return recursion(chain, 30)


@link
def mutual_even(chain, depth=8):
    if depth:
        return mutual_odd(chain, depth - 1)
    go, rest = chain
    return go(rest)


def mutual_odd(chain, depth):
    return mutual_even(chain, depth - 1)


link(lambda chain: chain[0](chain[1]))


def decorator(function):
    @functools.wraps(function)
    def wrapper(*arguments, **keywords):
        return function(*arguments, **keywords)

    return wrapper


class Counting:
    def __init__(self, function):
        self.function = function
        self.calls = 0

    def __call__(self, *arguments):
        self.calls += 1
        return self.function(*arguments)


@link
@decorator
@decorator
def decorated(chain):
    go, rest = chain
    go(rest)


@link
@Counting
@decorator
def decorated_by_an_object(chain):
    go, rest = chain
    go(rest)


class Methods:
    def __init__(self, chain=None):
        self.chain = chain

    def method(self, chain):
        go, rest = chain
        go(rest)

    def through_self(self, chain):
        self.method(chain)

    @classmethod
    def of_class(cls, chain):
        go, rest = chain
        go(rest)

    @staticmethod
    def of_none(chain):
        go, rest = chain
        go(rest)


class Derived(Methods):
    def method(self, chain):
        super().method(chain)


link(Methods().method)
link(Derived().through_self)
link(Derived.of_class)
link(Methods.of_none)


@link
def list_comprehension(chain):
    go, rest = chain
    return [go(rest) for _ in (1,)]


@link
def nested_comprehensions(chain):
    go, rest = chain
    return [{number: {go(rest) is None for _ in (1,)} for number in row} for row in ((1,),)]


@link
def comprehension_of_lambdas(chain):
    return [call() for call in [lambda: chain[0](chain[1])]]


@link
def in_a_condition(chain):
    go, rest = chain
    while go(rest) or True:
        break
    else:
        return None
    return 1 if chain else 2


@link
def in_a_late_iteration(chain):
    go, rest = chain
    for number in range(40):
        if number == 37:
            go(rest)


@link
def in_a_default(chain):
    go, rest = chain

    def with_default(value=go(rest)):
        return value

    return with_default()


@link
def in_a_string(chain):
    go, rest = chain
    return f"{go(rest) is None} {len(chain):>{4}}"


@link
def in_an_assertion(chain):
    go, rest = chain
    assert (go(rest), True)[1], "never said"


@link
def in_an_operand(chain):
    go, rest = chain
    values = [1, 2, 3]
    values[len(values) - 1] += (go(rest) is None) + len(values)


@link
def class_body(chain):
    class Body:
        go, rest = chain
        go(rest)

        class Nested:
            pass

    return Body.__name__


@link
def nested_class_body(chain):
    class Body:
        class Nested:
            chain[0](chain[1])

    return Body.__name__


@link
def executed(chain):
    exec("go, rest = chain\nif rest is not go:\n  go(rest)\n", {"chain": chain})


@link
def evaluated(chain):
    return eval("chain[0](\nchain[1])", {"chain": chain})


numbers = itertools.count()


@link
def made_and_dropped(chain):
    # The function dies before the next is made, so that the address of its code object is used again.
    number = next(numbers)
    name = f"made_{number % 7}"
    made = {}
    exec(compile("\n" * (number % 5) + f"def {name}(go, rest):\n  go(rest)\n", f"{name}.py", "exec"), made)
    made[name](*chain)
