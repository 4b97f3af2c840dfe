"""How long each phase takes."""

import time

from prefect_azure_batch.model.stopwatch import Stopwatch


def test_phases_add_up() -> None:
    """A phase that comes again is one phase, and all of them together are the time that passed."""
    began = time.monotonic()
    stopwatch = Stopwatch("one")
    for name in ("two", "one"):
        stopwatch.begin(name)
        time.sleep(0)
    elapsed_s = stopwatch.elapsed_s()

    assert list(elapsed_s) == ["one", "two"]
    assert 0 < sum(elapsed_s.values()) <= time.monotonic() - began


def test_time_since_a_phase_first_began() -> None:
    """The time since a phase counts from its first beginning, through all phases after it."""
    stopwatch = Stopwatch("one")
    stopwatch.begin("two")

    one, two = stopwatch.since("one"), stopwatch.since("two")
    assert one
    assert two is not None
    assert one >= two >= 0


def test_phase_that_never_began() -> None:
    """A phase that was left out has no time."""
    assert Stopwatch("one").since("two") is None
