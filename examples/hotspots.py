"""Which line allocates most?

A small log analysis in four steps. All four look harmless, and one of them asks for
far more memory than the others together. Guess which, then look:

    pytrace run examples/hotspots.py
"""


def read_log(requests):
    """The lines of the log, as they would come from a file."""
    return [f"user-{n % 400} /item/{n} {n % 900}" for n in range(requests)]


def parse(lines):
    """Splits each line into its fields."""
    return [line.split() for line in lines]


def time_by_user(rows):
    """Adds the milliseconds up for each user."""
    totals = {}
    for user, _path, milliseconds in rows:
        totals = {**totals, user: totals.get(user, 0) + int(milliseconds)}
    return totals


def slowest(totals, number):
    """The users that waited longest."""
    return sorted(totals, key=totals.get, reverse=True)[:number]


if __name__ == "__main__":
    rows = parse(read_log(20_000))
    print("waited longest:", *slowest(time_by_user(rows), 3))
