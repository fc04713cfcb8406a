"""How much longer a process takes to end when it is traced and 32 daemon threads allocate: `python -m tests.soak.exit_latency
ROUNDS`. Bare and traced runs take turns, so that both see the same machine.

Two spans are taken apart. The end goes from `sys.exit` until the parent has waited for the process: the bar is for that. Before
it the program prints a line. In that the main thread lets go of the GIL, and at times one of the 32 others is faster and has it
for 5 ms, then the next: hundreds of milliseconds, untraced as well. How often depends on whether another processor is awake just
then. So the wait is given too, and for comparison that of untraced runs beside a process which works in short bursts, as the
background thread does.
"""

import os
import random
import struct
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, nullcontext

from .run import ROOT

BAR_MS = 100

# Moments are written to shared memory: that keeps the GIL.
PROGRAM = """
import mmap, os, struct, sys, threading, time
moments = mmap.mmap(os.open(sys.argv[1], os.O_RDWR), 16)
go = threading.Event()
def churn():
    go.wait()
    while True:
        [bytes(i) for i in range(1, 900)]
for _ in range(32):
    threading.Thread(target=churn, daemon=True).start()
go.set()
time.sleep(0.3)
struct.pack_into("=q", moments, 0, time.monotonic_ns())
print("the last line", flush=True)
struct.pack_into("=q", moments, 8, time.monotonic_ns())
sys.exit(0)
"""

NEIGHBOUR = """
import time
while True:
    sum(range(20_000))
    time.sleep(0.0005)
"""


@contextmanager
def neighbour():
    process = subprocess.Popen([sys.executable, "-S", "-c", NEIGHBOUR])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def spans_ms(folder, tracing):
    """Milliseconds in which the program printed its last line, and in which it ended."""
    moments = f"{folder}/moments"
    with open(moments, "wb") as file:
        file.truncate(16)
    command = [sys.executable, "-S", "-c", PROGRAM, moments]
    environment = {"PATH": os.environ["PATH"]} | tracing
    status = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).returncode
    ended_ns = time.monotonic_ns()
    if status != 0:
        raise SystemExit(f"exit status {status}")
    with open(moments, "rb") as file:
        print_ns, exit_ns = struct.unpack("=qq", file.read())
    return (exit_ns - print_ns) / 1e6, (ended_ns - exit_ns) / 1e6


def quantile(values, part):
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


def added_ms(bare, traced):
    return quantile(traced, 0.99) - quantile(bare, 0.99)


def resampled(bare, traced, times=2000):
    """Between which values 90 % of what is added at p99 lies when the runs are drawn again: the tail is a few runs."""
    draw = random.Random(1)
    added = sorted(added_ms(draw.choices(bare, k=len(bare)), draw.choices(traced, k=len(traced))) for _ in range(times))
    return added[times // 20], added[-times // 20]


def quantiles(values):
    return ", ".join(f"{quantile(values, share):.0f}" for share in (0.5, 0.9, 0.95, 0.99))


def main():
    rounds = int(sys.argv[1])
    library = ROOT / "target" / "release" / "libpytrace.so"
    runs = {"bare": [], "traced": [], "beside a busy process": []}
    for _ in range(rounds):
        for kind, spans in runs.items():
            with tempfile.TemporaryDirectory() as folder:
                tracing = {"LD_PRELOAD": str(library), "PYTRACE_OUTPUT": f"{folder}/%p.pytrace"}
                with neighbour() if kind.startswith("beside") else nullcontext():
                    spans.append(spans_ms(folder, tracing if kind == "traced" else {}))
    prints, ends = ({kind: [span[at] for span in spans] for kind, spans in runs.items()} for at in (0, 1))
    added = added_ms(ends["bare"], ends["traced"])
    low, high = resampled(ends["bare"], ends["traced"])
    print(
        f"measured: ms at p50, p90, p95, p99 from `sys.exit` to the end: bare {quantiles(ends['bare'])}; "
        f"traced {quantiles(ends['traced'])}; added at p99: {added:.0f} ms (bar: {BAR_MS} ms; 90 % of resamplings: "
        f"{low:.0f} to {high:.0f} ms); the last `print` before it, which waits for the GIL: "
        + "; ".join(f"{kind} {quantiles(values)}" for kind, values in prints.items())
    )
    return 0 if added <= BAR_MS else 1


if __name__ == "__main__":
    sys.exit(main())
