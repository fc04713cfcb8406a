"""How much longer a process takes to end when it is traced and 32 daemon threads allocate: `python -m tests.soak.exit_latency
PAIRS`. Traced and bare runs take turns, so that both see the same machine.
"""

import os
import statistics
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
    print(
        f"measured: bare: median {statistics.median(bare):.0f} ms, p99 {quantile(bare, 0.99):.0f} ms; "
        f"traced: median {statistics.median(traced):.0f} ms, p99 {quantile(traced, 0.99):.0f} ms; "
        f"added at p99: {added:.0f} ms (bar: {BAR_MS} ms)"
    )
    return 0 if added <= BAR_MS else 1


if __name__ == "__main__":
    sys.exit(main())
