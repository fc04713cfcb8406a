"""Runs random call shapes, each down to one block of a size of its own, and prints the stacks that asked for them.

Arguments: how many shapes, and the seed. Three in four run in the main thread, one after the other; the others in four
threads at once, which the interpreter switches between every 50 microseconds. What is printed: `frames`, each [function,
file, line], and `blocks`, each [bytes, its stack as numbers of frames, innermost first].
"""

import gc
import json
import random
import sys
import threading

import bottoms
import callbacks  # noqa: F401  (what registers links)
import calls  # noqa: F401
import leaving  # noqa: F401
import objects  # noqa: F401
import suspended  # noqa: F401
from chains import BOTTOMS, LINKS, SLOW_LINKS

SLOW_ONE_IN = 40
LONGEST = 8


def run(seed, count):
    choice = random.Random(seed)
    for _ in range(count):
        chain = (choice.choice(BOTTOMS), None)
        for _ in range(choice.randint(1, LONGEST)):
            links = LINKS if choice.randrange(SLOW_ONE_IN) else SLOW_LINKS
            chain = (choice.choice(links), chain)
        go, rest = chain
        go(rest)


def noting_failures(print_failure):
    """The failures of threads from now on; each is printed, too."""
    failures = []

    def note(failure):
        failures.append(failure.exc_type)
        print_failure(failure)

    threading.excepthook = note
    return failures


def main(count, seed):
    failures = noting_failures(threading.excepthook)
    # The order in which dead cycles are found would be the interpreter's choice.
    gc.disable()
    at_once = count // 16
    run(seed, count - 4 * at_once)
    sys.setswitchinterval(50e-6)
    threads = [threading.Thread(target=run, args=(seed + number, at_once)) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        sys.exit(f"{len(failures)} threads failed")
    while gc.collect():  # a collection within another one does nothing: its garbage is still there
        pass
    json.dump({"frames": list(bottoms.frame_numbers), "blocks": bottoms.expected}, sys.stdout)


main(int(sys.argv[1]), int(sys.argv[2]))
