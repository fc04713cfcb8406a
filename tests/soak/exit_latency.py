"""How much longer a process takes to end when it is traced and 32 daemon threads allocate: `python -m tests.soak.exit_latency
PAIRS`. Traced and bare runs take turns, so that both see the same machine.
"""

import os
import random
import subprocess
import sys
import tempfile
import time

from .run import ROOT

BAR_MS = 100

PROGRAM = """
import sys, threading, time
go = threading.Event()
def churn():
    go.wait()
    while True:
        [bytes(i) for i in range(1, 900)]
for _ in range(32):
    threading.Thread(target=churn, daemon=True).start()
go.set()
time.sleep(0.3)
print(time.monotonic_ns(), flush=True)
sys.exit(0)
"""


def end_ms(environment):
    """Milliseconds from the program's last line to its end."""
    command = [sys.executable, "-S", "-c", PROGRAM]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    last_line_ns = int(process.stdout.read())
    status = process.wait()
    ended_ns = time.monotonic_ns()
    if status != 0:
        raise SystemExit(f"exit status {status}")
    return (ended_ns - last_line_ns) / 1e6


def quantile(values, part):
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


def resampled(bare, traced, times=2000):
    """Between which values 90 % of what is added at p99 lies when the runs are drawn again: the tail is a few runs."""
    draw = random.Random(1)
    added = sorted(
        quantile(draw.choices(traced, k=len(traced)), 0.99) - quantile(draw.choices(bare, k=len(bare)), 0.99)
        for _ in range(times)
    )
    return added[times // 20], added[-times // 20]


def main():
    pairs = int(sys.argv[1])
    bare, traced = [], []
    library = ROOT / "target" / "release" / "libpytrace.so"
    for _ in range(pairs):
        with tempfile.TemporaryDirectory() as folder:
            environment = {"PATH": os.environ["PATH"]}
            bare.append(end_ms(environment))
            tracing = {"LD_PRELOAD": str(library), "PYTRACE_OUTPUT": f"{folder}/%p.pytrace"}
            traced.append(end_ms(environment | tracing))
    added = quantile(traced, 0.99) - quantile(bare, 0.99)
    low, high = resampled(bare, traced)
    shares = (0.5, 0.9, 0.95, 0.99)
    of = {
        name: ", ".join(f"{quantile(all_ms, share):.0f}" for share in shares)
        for name, all_ms in (("bare", bare), ("traced", traced))
    }
    print(
        f"measured: ms at p50, p90, p95, p99: bare {of['bare']}; traced {of['traced']}; "
        f"added at p99: {added:.0f} ms (bar: {BAR_MS} ms; 90 % of resamplings: {low:.0f} to {high:.0f} ms)"
    )
    return 0 if added <= BAR_MS else 1


if __name__ == "__main__":
    sys.exit(main())
