"""The delays of transitions: at once, seconds of the clock, or until they are released."""

import asyncio

import pytest

from local_azure.batch.controls.clock import Clock
from local_azure.batch.controls.delays import Delays


def stopped() -> tuple[Clock, Delays]:
    """Return the delays of a clock that stands still."""
    clock = Clock(scale=0)
    return clock, Delays(clock)


async def turns() -> None:
    """Let what can run run."""
    for _ in range(5):
        await asyncio.sleep(0)


def test_no_delay_is_no_wait() -> None:
    """A delay of 0 does not even wait for the clock."""

    async def scenario() -> None:
        """What happens on the event loop."""
        _, delays = stopped()
        delays.set("boot", 0)
        await asyncio.wait_for(delays.wait("boot"), 10)

    asyncio.run(scenario())


def test_seconds_are_those_of_the_clock() -> None:
    """It ends when the clock has moved so far, not before."""

    async def scenario() -> list[bool]:
        """What happens on the event loop."""
        clock, delays = stopped()
        delays.set("boot", 60)
        waiter = asyncio.ensure_future(delays.wait("boot"))
        await clock.advance(59)
        early = waiter.done()
        await clock.advance(1)
        return [early, waiter.done()]

    assert asyncio.run(scenario()) == [False, True]


def test_manual_ones_wait_until_they_are_released() -> None:
    """However late it is; a release lets through all who wait then, and tells how many."""

    async def scenario() -> tuple[bool, int, int]:
        """What happens on the event loop."""
        clock, delays = stopped()
        delays.set("boot", None)
        waiters = [asyncio.ensure_future(delays.wait("boot")) for _ in range(3)]
        await clock.advance(1_000_000)
        early = any(waiter.done() for waiter in waiters)
        released = delays.release("boot")
        await asyncio.gather(*waiters)
        return early, released, delays.waiting["boot"]

    assert asyncio.run(scenario()) == (False, 3, 0)


def test_who_gives_up_waits_no_more() -> None:
    """A cancelled waiter is neither counted nor released."""

    async def scenario() -> int:
        """What happens on the event loop."""
        _, delays = stopped()
        delays.set("boot", None)
        waiter = asyncio.ensure_future(delays.wait("boot"))
        await turns()
        waiter.cancel()
        await turns()
        return delays.release("boot")

    assert asyncio.run(scenario()) == 0


def test_reset_lets_everybody_through() -> None:
    """Those who wait for seconds too; and the delays are the defaults again."""

    async def scenario() -> Delays:
        """What happens on the event loop."""
        _, delays = stopped()
        delays.set("boot", None)
        delays.set("removal", 60)
        waiters = [asyncio.ensure_future(delays.wait(name)) for name in ("boot", "removal")]
        await turns()
        delays.reset()
        await asyncio.wait_for(asyncio.gather(*waiters), 10)
        return delays

    assert asyncio.run(scenario()).seconds == stopped()[1].seconds


def test_unknown_names_are_refused() -> None:
    """The message says which there are."""
    with pytest.raises(ValueError, match="allocation"):
        stopped()[1].set("coffee", 1)


def test_negative_seconds_are_refused() -> None:
    """A transition does not end before it begins."""
    with pytest.raises(ValueError, match="boot"):
        stopped()[1].set("boot", -1)
