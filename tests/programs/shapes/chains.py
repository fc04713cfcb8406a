"""What a call shape is made of.

A chain is a pair: a link to call and the chain that it goes on with. A link is a function that takes the chain after its own
and, one way or another, has `go(rest)` called exactly once. The last link of every chain is a bottom, which allocates.
"""

LINKS = []
SLOW_LINKS = []  # those that start a thread, a loop or a collection: fewer of them
BOTTOMS = []


def link(function):
    LINKS.append(function)
    return function


def slow_link(function):
    SLOW_LINKS.append(function)
    return function


def bottom(function):
    BOTTOMS.append(function)
    return function
