"""Why does memory that was freed not go back to the system?

Half a million messages are read, one in five thousand is kept, the rest is freed.
pymalloc takes memory from the system in arenas and gives an arena back when the last
object in it is gone. How many arenas do the few survivors hold?

    pytrace run examples/fragmentation.py
"""

MESSAGES = 500_000
KEEP_EVERY = 5_000


def read_messages():
    """Small byte strings, one after the other, as a parser makes them."""
    return [b"message %d" % n for n in range(MESSAGES)]


if __name__ == "__main__":
    messages = read_messages()
    kept = messages[::KEEP_EVERY]
    del messages
    print(f"kept {len(kept)} of {MESSAGES} messages, {sum(map(len, kept))} bytes")
