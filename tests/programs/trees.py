"""Trees of processes that the standard library makes. Each task keeps ten blocks where it runs."""

import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor

kept = []


def task(number):
    for _ in range(10):
        kept.append(bytes(911))
    return number * number


def pool(context):
    with context.Pool(2) as workers:
        answers = workers.map(task, range(40), chunksize=1)
        workers.close()
        workers.join()
    return answers


def terminated_pool(context):
    with context.Pool(2) as workers:
        return workers.map(task, range(40), chunksize=1)


def executor(context):
    with ProcessPoolExecutor(2, mp_context=context) as workers:
        return list(workers.map(task, range(40)))


if __name__ == "__main__":
    print(sum(globals()[sys.argv[1]](multiprocessing.get_context(sys.argv[2]))))
