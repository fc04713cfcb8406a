"""How much memory does an array expression take on its way?

Both functions compute the same million distances, 8 MB of them. One is written as in
the textbook; the other puts each intermediate result into an array that it has. NumPy
asks libc for the data of its arrays, so they are in the domain `malloc`.

    python -m pip install numpy
    pytrace run examples/numpy_temporaries.py
"""

import numpy as np


def distances(x, y):
    """A new array for each operation, unless NumPy sees that it can reuse one."""
    return np.sqrt(x * x + y * y)


def distances_in_place(x, y):
    """Two new arrays in all: the result, and one for the squares of y."""
    result = np.multiply(x, x)
    y_squared = np.multiply(y, y)
    np.add(result, y_squared, out=result)
    return np.sqrt(result, out=result)


if __name__ == "__main__":
    x = np.arange(1_000_000, dtype=np.float64)
    y = np.ones(1_000_000)
    long_way = distances(x, y)
    short_way = distances_in_place(x, y)
    print("same results:", np.array_equal(long_way, short_way))
