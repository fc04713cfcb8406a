"""Threads in a ring that allocate for the next one and free what the last one made: exchange.py THREADS BATCHES

A batch is a thousand objects, so nearly every free is of a block that another thread allocated.
"""

import sys
import threading
from collections import deque

THREADS, BATCHES = int(sys.argv[1]), int(sys.argv[2])
inboxes = [deque(maxlen=4) for _ in range(THREADS)]


def work(own, following):
    for _ in range(BATCHES):
        batch = [object() for _ in range(1000)]
        # A full inbox drops its oldest batch: then this thread frees what it made itself.
        following.append(batch)
        del batch
        try:
            while True:
                own.popleft()
        except IndexError:
            pass


threads = [threading.Thread(target=work, args=(inboxes[i], inboxes[(i + 1) % THREADS])) for i in range(THREADS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
