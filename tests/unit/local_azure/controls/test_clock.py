"""The emulator's clock: scaled, stopped and moved on, and the order in which timers fire."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from local_azure.batch.controls.clock import Clock

HOUR_S = 3600.0


def test_it_shows_wall_clock_time() -> None:
    """Left alone it is the time of the machine."""
    assert abs(Clock().now() - datetime.now(UTC)) < timedelta(seconds=1)


def test_a_stopped_clock_stands_still() -> None:
    """With scale 0 no time passes."""
    clock = Clock(scale=0)

    assert clock.now() == clock.now()


def test_a_scaled_clock_ends_long_waits_soon() -> None:
    """An hour of waiting takes moments, and afterwards it is an hour later."""
    clock = Clock(scale=1_000_000)
    before = clock.now()

    asyncio.run(clock.sleep(HOUR_S))

    assert clock.now() - before >= timedelta(hours=1)


def test_a_new_scale_reaches_who_waits_already() -> None:
    """A wait that began at real speed ends soon after the clock was made faster."""

    async def scenario() -> None:
        """What happens on the event loop."""
        clock = Clock()
        waiter = asyncio.ensure_future(clock.sleep(HOUR_S))
        await asyncio.sleep(0)
        clock.set_scale(1_000_000)
        await asyncio.wait_for(waiter, 10)

    asyncio.run(scenario())


def in_advance(seconds: float, begin: Callable[[Clock, list[str]], None]) -> list[str]:
    """Stop a clock, begin something, advance it, and return what was noted."""
    noted: list[str] = []

    async def scenario() -> None:
        """What happens on the event loop."""
        clock = Clock(scale=0)
        begin(clock, noted)
        await clock.advance(seconds)

    asyncio.run(scenario())
    return noted


def test_timers_fire_in_the_order_of_their_instants() -> None:
    """Whatever the order in which they were set; those due later do not fire."""

    def begin(clock: Clock, noted: list[str]) -> None:
        for seconds in (30, 10, 20, 40):
            clock.call_later(seconds, lambda seconds=seconds: noted.append(str(seconds)))  # type: ignore[misc]

    assert in_advance(35, begin) == ["10", "20", "30"]


def test_waits_in_a_row_are_gone_through_in_one_advance() -> None:
    """What a sleeper waits for next is part of the same advance, in its place among the others."""

    async def steps(name: str, seconds: float, clock: Clock, noted: list[str]) -> None:
        """What happens on the event loop."""
        for number in range(3):
            await clock.sleep(seconds)
            noted.append(f"{name}{number}")

    sleepers: list[Awaitable[None]] = []

    def begin(clock: Clock, noted: list[str]) -> None:
        sleepers.append(asyncio.ensure_future(steps("a", 10, clock, noted)))
        sleepers.append(asyncio.ensure_future(steps("b", 11, clock, noted)))

    assert in_advance(60, begin) == ["a0", "b0", "a1", "b1", "a2", "b2"]


def test_each_timer_sees_its_own_instant() -> None:
    """While an advance is under way, now() is the instant of the timer that fires."""

    def begin(clock: Clock, noted: list[str]) -> None:
        start = clock.now()
        for seconds in (10, 20):
            clock.call_later(seconds, lambda: noted.append(str(clock.now() - start)))

    assert in_advance(60, begin) == ["0:00:10", "0:00:20"]


def test_now_follows_an_advance() -> None:
    """The clock is as much later as it was advanced."""

    async def scenario() -> timedelta:
        """What happens on the event loop."""
        clock = Clock(scale=0)
        before = clock.now()
        await clock.advance(HOUR_S)
        return clock.now() - before

    assert asyncio.run(scenario()) == timedelta(hours=1)


def test_a_cancelled_timer_does_not_fire() -> None:
    """Nor does a sleeper that was cancelled leave one behind."""

    def begin(clock: Clock, noted: list[str]) -> None:
        clock.call_later(10, lambda: noted.append("fired")).cancel()

    assert in_advance(60, begin) == []


def test_cancelled_timers_are_forgotten() -> None:
    """A hundred thousand limits that were never reached do not stay in memory."""

    async def scenario() -> int:
        """What happens on the event loop."""
        clock = Clock()
        for _ in range(100_000):
            clock.call_later(HOUR_S, lambda: None).cancel()
        return len(clock._timers)

    assert asyncio.run(scenario()) < 2000


@pytest.mark.parametrize("scale", [-1, float("inf"), float("nan")])
def test_scales_that_make_no_sense(scale: float) -> None:
    """Time runs neither backwards nor infinitely fast."""
    with pytest.raises(ValueError, match="scale"):
        Clock(scale)


@pytest.mark.parametrize("seconds", [-1, float("inf"), float("nan"), 1e12])
def test_advances_that_make_no_sense(seconds: float) -> None:
    """Nor does it go back, or beyond what a date can say."""
    with pytest.raises(ValueError, match="advances"):
        asyncio.run(Clock().advance(seconds))
