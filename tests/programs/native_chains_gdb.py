"""Runs inside gdb: stops at each `at_allocation` and writes down the stack: a JSON object from the size to the names of the
frames, innermost first, without `at_allocation`'s own. Inlined functions share a frame and are left out, and so are those that
gdb concludes from jumps.

Settings, as gdb variables: $library to preload, $output to write to.
"""

import json

import gdb

for command in (
    "set pagination off",
    "set confirm off",
    "set breakpoint pending on",
    "set startup-with-shell off",
    "set debuginfod enabled off",
    "handle all nostop noprint pass",
):
    try:
        gdb.execute(command, to_string=True)
    except gdb.error:  # an older gdb asks no server
        assert "debuginfod" in command
gdb.execute("set environment LD_PRELOAD " + gdb.convenience_variable("library").string())

stacks = {}


class Stop(gdb.Breakpoint):
    def stop(self):
        size = int(gdb.parse_and_eval("(unsigned long)$rdi"))
        names = []
        frame = gdb.newest_frame().older()
        while frame is not None and frame.is_valid():
            if frame.type() == gdb.NORMAL_FRAME:
                names.append(frame.name())
            frame = frame.older()
        stacks[size] = names
        return False


Stop("at_allocation")
gdb.execute("run", to_string=True)
with open(gdb.convenience_variable("output").string(), "w") as output:
    json.dump(stacks, output)
