"""Links that C code calls as special methods: attributes, comparisons, conversions, classes that are made, deaths."""

import copy
import gc
import operator
import weakref

from chains import link, slow_link


class Special:
    """Goes on in whichever of its methods is called first."""

    def __init__(self, chain):
        self.__dict__["chain"] = chain

    def go(self):
        chain = self.__dict__.pop("chain", None)
        if chain:
            go, rest = chain
            go(rest)

    def __getattr__(self, name):
        if name != "missing":
            raise AttributeError(name)
        self.go()

    def __setattr__(self, name, value):
        self.go()

    def __delattr__(self, name):
        self.go()

    @property
    def attribute(self):
        self.go()

    @attribute.setter
    def attribute(self, value):
        self.go()

    def __call__(self, *arguments, **keywords):
        self.go()

    def __eq__(self, other):
        self.go()
        return True

    def __lt__(self, other):
        self.go()
        return False

    def __hash__(self):
        self.go()
        return 7

    def __bool__(self):
        self.go()
        return True

    def __len__(self):
        self.go()
        return 3

    def __iter__(self):
        self.go()
        return iter((1, 2))

    def __contains__(self, item):
        self.go()
        return False

    def __getitem__(self, key):
        self.go()
        return key

    def __setitem__(self, key, value):
        self.go()

    def __index__(self):
        self.go()
        return 1

    def __float__(self):
        self.go()
        return 1.5

    def __add__(self, other):
        self.go()
        return NotImplemented

    def __radd__(self, other):
        self.go()
        return 1

    def __repr__(self):
        self.go()
        return "special"

    def __format__(self, how):
        self.go()
        return how

    def __bytes__(self):
        self.go()
        return b""

    def __reduce_ex__(self, protocol):
        self.go()
        return (int, ())

    def __dir__(self):
        self.go()
        return []


for use in (
    lambda chain: Special(chain).missing,
    lambda chain: getattr(Special(chain), "missing", None),
    lambda chain: hasattr(Special(chain), "attribute"),
    lambda chain: operator.attrgetter("attribute")(Special(chain)),
    lambda chain: setattr(Special(chain), "any", 1),
    lambda chain: delattr(Special(chain), "any"),
    lambda chain: Special(chain)(1, two=2),
    lambda chain: [1, 2, Special(chain)].index(5),
    lambda chain: 5 in (1, Special(chain)),
    lambda chain: sorted([Special(None), Special(chain)]),
    lambda chain: max(Special(chain), Special(None)),
    lambda chain: {Special(chain): 1},
    lambda chain: {1: 2}.get(Special(chain)),
    lambda chain: not Special(chain),
    lambda chain: all([Special(chain)]),
    lambda chain: len(Special(chain)),
    lambda chain: list(Special(chain)),
    lambda chain: (lambda *all: None)(*Special(chain)),
    lambda chain: dict.fromkeys(Special(chain)),
    lambda chain: 1 in Special(chain),
    lambda chain: Special(chain)[1:2],
    lambda chain: operator.setitem(Special(chain), 1, 2),
    lambda chain: [10, 20][Special(chain)],
    lambda chain: hex(Special(chain)),
    lambda chain: float(Special(chain)),
    lambda chain: 1 + Special(chain),
    lambda chain: sum([Special(chain), 1], Special(None).__index__()),
    lambda chain: repr([Special(chain)]),
    lambda chain: "%s and %r" % (Special(chain), 1),
    lambda chain: f"{Special(chain)!r}",
    lambda chain: "{:9}".format(Special(chain)),
    lambda chain: bytes(Special(chain)),
    lambda chain: copy.copy(Special(chain)),
    lambda chain: dir(Special(chain)),
):
    link(use)


@link
def swapped_equality(chain):
    return object() == Special(chain)


class Descriptor:
    def __get__(self, instance, owner):
        go, rest = owner.chain
        go(rest)

    def __set_name__(self, owner, name):
        owner.named = name


@link
def descriptor(chain):
    type("Described", (), {"chain": chain, "described": Descriptor()}).described


class Meta(type):
    def __new__(meta, name, bases, names, **keywords):
        if names.get("where") == "new":
            names["chain"][0](names["chain"][1])
        return super().__new__(meta, name, bases, names)

    def __call__(cls, *arguments):
        if cls.where == "call":
            cls.chain[0](cls.chain[1])
        return super().__call__(*arguments)

    def __instancecheck__(cls, instance):
        cls.chain[0](cls.chain[1])
        return False


class Base:
    def __init_subclass__(cls, chain=None, **keywords):
        if chain:
            chain[0](chain[1])

    def __class_getitem__(cls, chain):
        go, rest = chain
        go(rest)


@link
def metaclass_new(chain):
    Meta("Made", (), {"where": "new", "chain": chain})


@link
def metaclass_call(chain):
    Meta("Made", (), {"where": "call", "chain": chain})()


@link
def metaclass_instance_check(chain):
    isinstance(1, Meta("Made", (), {"where": "check", "chain": chain}))


@link
def subclass(chain):
    class Made(Base, chain=chain):
        pass

    return Made.__name__


@link
def class_item(chain):
    Base[chain]


class Constructed:
    def __new__(cls, chain, first):
        if first:
            chain[0](chain[1])
        return super().__new__(cls)

    def __init__(self, chain, first):
        if not first:
            go, rest = chain
            go(rest)


link(lambda chain: Constructed(chain, True))
link(lambda chain: Constructed(chain, False))


class Missing(dict):
    def __missing__(self, key):
        go, rest = key
        go(rest)


link(lambda chain: Missing()[chain])


class Dying:
    def __init__(self, chain):
        self.chain = chain

    def __del__(self):
        go, rest = self.chain
        go(rest)


@link
def deleted(chain):
    dying = Dying(chain)
    del dying


@link
def rebound(chain):
    dying = Dying(chain)
    dying = len([dying, 1])
    return dying


@link
def dies_with_its_frame(chain):
    def holder():
        local = [Dying(chain)]
        return len(local)

    return holder()


@link
def dies_in_a_container(chain):
    several = {1: [Dying(chain)], 2: 3}
    several.clear()


@slow_link
def dies_in_a_collection(chain):
    cycle = [Dying(chain)]
    cycle.append(cycle)
    del cycle
    gc.collect()


@link
def watched(chain):
    followed = {1}
    watcher = weakref.ref(followed, lambda gone: chain[0](chain[1]))
    del followed
    return watcher
