"""What does each of these three lines add?

The list has a million integers. Does its deep copy hold a million more? What do you
get back when you delete the first list?

    pytrace run examples/deepcopy.py
"""

import copy

x = list(range(1_000_000))
y = copy.deepcopy(x)
del x
