"""Runs a program under valgrind's callgrind and reads its cost files: own instructions by place, all threads together."""

import re
import subprocess
from collections import Counter, namedtuple

from .setup import Unusable

# Where instructions are: the object file, the function, and the source file, which is another where a function was inlined.
Place = namedtuple("Place", "object function source")

# Objects, functions and files have numbers of their own. A leading c is a callee's.
NAME = re.compile(r"(c?)(?:(ob)|(fn)|(fl|fi|fe))=\((\d+)\)(?: (.*))?$")
COST = re.compile(r"[+*\-\d]\S* (\d+)$")


def count(valgrind, command, environment, directory):
    """The instructions of `command` by place."""
    pattern = directory / "callgrind"
    tool = [valgrind, "--tool=callgrind", "--separate-threads=yes", f"--callgrind-out-file={pattern}"]
    command = [str(part) for part in (*tool, *command)]
    done = subprocess.run(command, env=environment, cwd=directory, capture_output=True, text=True)
    if done.returncode:
        raise Unusable(f"{' '.join(command)} failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
    costs = Counter()
    for path in directory.glob("callgrind-*"):
        with path.open(errors="replace") as lines:
            costs += own_costs(lines)
        path.unlink()
    return costs


def own_costs(lines):
    """Own instructions by place in one cost file.

    Names are given once and then by number. The line after `calls=` is what the callee cost, which is not the function's own. A
    function keeps its object until the next `ob=`, whatever is named in between.
    """
    names, costs = {}, Counter()
    place = Place("", "", "")
    is_callee = False
    for line in lines:
        line = line.rstrip("\n")
        if line.startswith("calls="):
            is_callee = True
        elif cost := COST.match(line):
            if not is_callee:
                costs[place] += int(cost[1])
            is_callee = False
        elif found := NAME.match(line):
            callee, is_object, is_function, _, number, text = found.groups()
            kind = "object" if is_object else "function" if is_function else "source"
            name = names.setdefault((kind, number), text or "")
            if not callee:
                place = place._replace(**{kind: name})
    return costs
