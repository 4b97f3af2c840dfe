"""Many calls at once, bounded: few threads, and few items taken from where they come from."""

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
R = TypeVar("R")

# A line of this machine is full with fewer; each service takes far more.
NUM_THREADS = 8
TURN_S = 1.0


def in_parallel(
    work: Callable[[Item], R], items: Iterable[Item], num_threads: int = NUM_THREADS
) -> Generator[list[R], None, None]:
    """Work on items in threads and yield the results as they come, in any order.

    Args:
        work: called in a thread for each item.
        items: taken only when there is a thread for them soon.
        num_threads: how many at once.

    Yields:
        What came since the last time; at least once a second, even if that is nothing.

    Raises:
        Exception: the first that `work` raised; what runs is then waited for, the rest dropped.
        BaseException: who waits is to end; nothing is waited for, for a call can take minutes.
    """
    left = iter(items)
    threads = ThreadPoolExecutor(num_threads)
    is_awaited = True
    try:
        running = {threads.submit(work, item) for item in islice(left, 2 * num_threads)}
        while running:
            done, running = wait(running, TURN_S, FIRST_COMPLETED)
            yield [future.result() for future in done]
            running |= {threads.submit(work, item) for item in islice(left, len(done))}
    except BaseException as error:
        is_awaited = isinstance(error, (Exception, GeneratorExit))
        raise
    finally:
        threads.shutdown(wait=is_awaited, cancel_futures=True)
