"""Many calls at once: all results, few items ahead, and the first error ends it."""

import signal
import threading
from collections.abc import Iterator

import pytest

from prefect_azure_batch.service.parallel import NUM_THREADS, in_parallel


def numbers(taken: list[int], limit: int = 1000) -> Iterator[int]:
    """Yield numbers, and write down how far it came."""
    for number in range(limit):
        taken.append(number)
        yield number


def test_every_result_comes() -> None:
    """What is worked on is worked on once, in whatever order it ends."""
    turns = list(in_parallel(lambda number: number * 2, range(100)))

    assert sorted(result for turn in turns for result in turn) == list(range(0, 200, 2))


def test_nothing_to_do() -> None:
    """No items are no turns."""
    assert list(in_parallel(lambda number: number, range(0))) == []


def test_several_at_once() -> None:
    """As many calls as there are threads are under way together."""
    meeting = threading.Barrier(NUM_THREADS, timeout=10)

    turns = list(in_parallel(lambda _: meeting.wait(), range(NUM_THREADS)))

    assert sorted(place for turn in turns for place in turn) == list(range(NUM_THREADS))


def test_items_are_taken_as_they_are_needed() -> None:
    """Ten thousand items are not all held at once."""
    taken: list[int] = []

    turns = in_parallel(lambda number: number, numbers(taken))
    next(turns)

    assert len(taken) <= 2 * NUM_THREADS
    turns.close()


def test_a_slow_call_lets_the_caller_look_around() -> None:
    """While nothing comes, the caller gets its turn all the same."""
    done = threading.Event()
    turns = in_parallel(lambda _: done.wait(10), [1])

    assert next(turns) == []
    done.set()
    assert [result for turn in turns for result in turn] == [True]


def test_first_error_ends_it() -> None:
    """After an error nothing new is begun, and the error comes out."""
    taken: list[int] = []

    def fail(number: int) -> int:
        """Fail at once."""
        raise ValueError(number)

    with pytest.raises(ValueError, match=r"\d+"):
        list(in_parallel(fail, numbers(taken)))

    assert len(taken) <= 2 * NUM_THREADS


def test_who_is_interrupted_waits_for_nothing() -> None:
    """A run that is cancelled has thirty seconds to clean up, and a call can take longer."""
    done = threading.Event()
    has_begun = threading.Event()

    def interrupt_when_begun() -> None:
        """Press Ctrl-C."""
        has_begun.wait(10)
        signal.raise_signal(signal.SIGINT)

    ended: list[bool] = []

    def work(_: int) -> None:
        """Begin, and end after the test."""
        has_begun.set()
        ended.append(done.wait(10))

    threading.Thread(target=interrupt_when_begun).start()
    with pytest.raises(KeyboardInterrupt):
        list(in_parallel(work, [1]))

    assert ended == []
    done.set()
