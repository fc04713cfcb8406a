"""Makes objects and keeps them all until the end: live.py COUNT"""

import sys

kept = [object() for _ in range(int(sys.argv[1]))]
