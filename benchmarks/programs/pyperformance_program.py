"""One program of pyperformance, in this process, a fixed number of times: pyperformance_program.py FOLDER LOOPS [ARGUMENT…]

FOLDER is the program's own, in an installed pyperformance. The module `pyperf` that it asks for is the one in stand_in/.
"""

import os
import runpy
import sys

folder, loops = sys.argv[1], int(sys.argv[2])
sys.path[0] = folder
sys.path.insert(1, os.path.join(os.path.dirname(os.path.abspath(__file__)), "stand_in"))

import pyperf  # noqa: E402

pyperf.LOOPS = loops
script = os.path.join(folder, "run_benchmark.py")
sys.argv = [script, *sys.argv[3:]]
runpy.run_path(script, run_name="__main__")
