"""How long the watch waits between two looks."""

from prefect_azure_batch.running.watch import FIRST_INTERVAL_S, JITTER, Interval


def test_interval_grows_to_the_longest_while_nothing_changes() -> None:
    """It begins short and ends at the poll interval, a little spread."""
    interval = Interval(5.0)
    waits = [interval.after(is_changed=False) for _ in range(30)]

    assert waits[0] <= FIRST_INTERVAL_S * 1.3 * (1 + JITTER)
    assert all(5.0 * (1 - JITTER) <= wait <= 5.0 * (1 + JITTER) for wait in waits[-5:])
    assert len(set(waits[-5:])) == 5


def test_interval_shrinks_when_something_changes() -> None:
    """Where one thing happened, the next may be near."""
    interval = Interval(5.0)
    for _ in range(30):
        interval.after(is_changed=False)

    waits = [interval.after(is_changed=True) for _ in range(10)]

    assert waits[0] <= 2.5 * (1 + JITTER)
    assert waits[-1] <= FIRST_INTERVAL_S * (1 + JITTER)


def test_short_poll_interval_is_kept() -> None:
    """The first wait is no longer than the longest asked for."""
    assert Interval(0.02).after(is_changed=False) <= 0.02 * (1 + JITTER)


def test_looking_takes_a_small_part_of_a_long_time() -> None:
    """However much changes, a run of an hour is not looked at ten times a second."""
    interval = Interval(100.0)
    interval._began -= 3600
    for _ in range(10):
        wait_s = interval.after(is_changed=True)

    assert wait_s >= 0.02 * 3600 * (1 - JITTER)
