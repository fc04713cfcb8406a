"""What do int, float, str, list, tuple and dict really cost?

`sys.getsizeof` tells what an object believes; pytrace sees what the allocator was asked
for and what it set aside. This program makes 3000 objects of each kind in a traced
child of its own and prints what was measured, in bytes per object:

    cargo build --release --workspace
    python examples/object_sizes.py

What a container refers to is not part of its size.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile

COPIES = 3000  # more than CPython's free lists can hand back unseen
SMALL, LARGE, FLOAT, LETTER, EURO = 12345, 2**100, 2.5, "x", "€"
LISTS = {n: [None] * n for n in (0, 5, 10, 100, 1000)}
DICTS = {n: dict.fromkeys(range(n)) for n in (0, 5, 6, 100, 1000)}

# Each of these functions makes one object and nothing else, so what the report says of
# its line is what the object costs.
KINDS = [
    ("int, 14 bits", lambda: -SMALL),
    ("int, 101 bits", lambda: -LARGE),
    ("float", lambda: -FLOAT),
    ("str, 10 ASCII", lambda: LETTER * 10),
    ("str, 100 ASCII", lambda: LETTER * 100),
    ("str, 1000 ASCII", lambda: LETTER * 1000),
    ("str, 10 with €", lambda: EURO * 10),
    ("list of 0", lambda: LISTS[0][:]),
    ("list of 10", lambda: LISTS[10][:]),
    ("list of 1000", lambda: LISTS[1000][:]),
    ("tuple of 1", lambda: (SMALL,)),
    ("tuple of 10", lambda: (SMALL,) * 10),
    ("tuple of 1000", lambda: (SMALL,) * 1000),
    ("dict of 0", lambda: DICTS[0].copy()),
    ("dict of 5", lambda: DICTS[5].copy()),
    ("dict of 6", lambda: DICTS[6].copy()),
    ("dict of 100", lambda: DICTS[100].copy()),
    ("dict of 1000", lambda: DICTS[1000].copy()),
]


def make_all():
    """Makes the objects and keeps them. This part is traced."""
    kept = [[None] * COPIES for _ in KINDS]
    for objects, (_, make) in zip(kept, KINDS):
        for n in range(COPIES):
            objects[n] = make()
    os._exit(0)  # with all of them alive


def traced_sites():
    """Runs `make_all` under pytrace; returns the call sites of its report."""
    built = os.path.join(os.path.dirname(__file__), "..", "target", "release")
    pytrace = shutil.which("pytrace", path=built + os.pathsep + os.environ["PATH"])
    if pytrace is None:
        sys.exit("pytrace is not built yet: cargo build --release --workspace")
    with tempfile.TemporaryDirectory() as folder:
        capture = os.path.join(folder, "sizes.pytrace")
        run = [pytrace, "run", "--summary", "none", "-o", capture, "--"]
        subprocess.check_call(run + [sys.executable, __file__, "make"])
        report = [pytrace, "report", capture, "--format", "json"]
        return json.loads(subprocess.check_output(report))["sites"]


def line_of(site):
    """The innermost line of this file that a site was called from, or None."""
    frames = (frame for frame in site["stack"] if frame["kind"] == "python")
    innermost = next(frames, {"file": ""})
    is_here = os.path.basename(innermost["file"]) == os.path.basename(__file__)
    return innermost["line"] if is_here else None


def print_table(sites):
    """One row per kind; the blocks of a list or a dict have a call site each."""
    print(f"{'':16} {'getsizeof':>10} {'requested':>10} {'served':>10} {'blocks':>7}")
    for name, make in KINDS:
        line = make.__code__.co_firstlineno
        here = (site for site in sites if line_of(site) == line)
        # A few more blocks on the line are the function's own.
        blocks = [site for site in here if site["live_blocks"] > COPIES // 4]
        requested = sum(b["requested_bytes"] / b["allocations"] for b in blocks)
        served = sum(b["served_bytes"] / b["allocations"] for b in blocks)
        size = sys.getsizeof(make())
        print(f"{name:16} {size:10} {requested:10.0f} {served:10.0f} {len(blocks):7}")


if __name__ == "__main__":
    if sys.argv[1:] == ["make"]:
        make_all()
    print_table(traced_sites())
