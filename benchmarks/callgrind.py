"""Runs a program under valgrind's callgrind and reads its cost files: own instructions by object and function, all threads together."""

import re
import subprocess
from collections import Counter

from .setup import Unusable

NAME = re.compile(r"(ob|fn)=\((\d+)\)(?: (.*))?$")
COST = re.compile(r"[+*\-\d]\S* (\d+)$")


def count(valgrind, command, environment, directory):
    """The instructions of `command` by (object, function)."""
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
    """Own instructions by (object, function) in one cost file.

    Names are given once and then by number. The line after `calls=` is what the callee cost, which is not the function's own. A
    function keeps its object, also where `cob=` or an inlined file (`fi=`, `fe=`) is named in between.
    """
    names, costs = {}, Counter()
    object_name = function = ""
    is_callee = False
    for line in lines:
        line = line.rstrip("\n")
        if line.startswith("calls="):
            is_callee = True
        elif cost := COST.match(line):
            if not is_callee:
                costs[object_name, function] += int(cost[1])
            is_callee = False
        elif found := NAME.match(line[1:] if line.startswith(("cob=", "cfn=")) else line):
            kind, number, text = found.groups()
            name = names.setdefault((kind, number), text or "")
            if line.startswith("ob="):
                object_name = name
            elif line.startswith("fn="):
                function = name
    return costs
