"""The time of the emulator, which tests can make faster or slower, stop, and move forward."""

import asyncio
import heapq
import time
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count

# Turns of the event loop after each timer of an advance: what it wakes gets as far as its own
# next wait, so that a chain of waits happens in order. Processes and sockets take longer.
_TURNS = 20
_END = datetime(9999, 12, 31, tzinfo=UTC).timestamp()


class Timer:
    """A call that will be made at an instant of emulated time, unless it is cancelled."""

    def __init__(self, due: float, callback: Callable[[], None]) -> None:
        self.due = due
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Prevent the call."""
        self.callback = None


class Clock:
    """Wall-clock time that can be made to pass faster or slower, stopped, and moved forward.

    Args:
        scale: emulated seconds that pass per real second; 0 stops the clock.

    Raises:
        ValueError: the scale is negative.
    """

    def __init__(self, scale: float = 1.0) -> None:
        self._real = self._emulated = time.time()
        self._scale = 1.0
        self._timers: list[tuple[float, int, Timer]] = []
        self._numbers = count()
        self._alarm: asyncio.TimerHandle | None = None
        self._sweep_at = 1000
        self.set_scale(scale)

    @property
    def scale(self) -> float:
        """Emulated seconds that pass per real second."""
        return self._scale

    def set_scale(self, scale: float) -> None:
        """Let time pass so much faster than real time from now on, also for those who wait already.

        Raises:
            ValueError: the scale is negative or not finite.
        """
        if not 0 <= scale < float("inf"):
            raise ValueError(f"the scale of the clock must be 0 or more, not {scale}")
        self._set(self._seconds())
        self._scale = scale
        self._arm()

    def now(self) -> datetime:
        """Return the current time, in UTC."""
        return datetime.fromtimestamp(self._seconds(), UTC)

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds` of emulated time."""
        over = asyncio.get_running_loop().create_future()
        timer = self.call_later(seconds, lambda: None if over.done() else over.set_result(None))
        try:
            await over
        finally:
            timer.cancel()

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Call `callback` on the event loop after `seconds` of emulated time."""
        timer = Timer(self._seconds() + max(0.0, seconds), callback)
        self._sweep()
        heapq.heappush(self._timers, (timer.due, next(self._numbers), timer))
        if self._timers[0][2] is timer:
            self._arm()
        return timer

    async def advance(self, seconds: float) -> None:
        """Move the clock forward; what becomes due on the way happens in order, at its own time.

        Raises:
            ValueError: the number of seconds is negative, or the time would be after the year 9999.
        """
        if not 0 <= seconds < _END - self._seconds():
            raise ValueError(f"the clock advances by 0 seconds or more, not {seconds}")
        target = self._seconds() + seconds
        await _let_others_run()
        while self._timers and self._timers[0][0] <= target:
            self._set(max(self._seconds(), self._timers[0][0]))
            self._fire_next()
            await _let_others_run()
        self._set(max(self._seconds(), target))
        self._arm()

    def _seconds(self) -> float:
        return self._emulated + (time.time() - self._real) * self._scale

    def _set(self, seconds: float) -> None:
        self._real, self._emulated = time.time(), seconds

    def _sweep(self) -> None:
        """Drop the cancelled timers once they could be half of all."""
        if len(self._timers) >= self._sweep_at:
            self._timers = [entry for entry in self._timers if entry[2].callback is not None]
            heapq.heapify(self._timers)
            self._sweep_at = max(1000, 2 * len(self._timers))

    def _arm(self) -> None:
        """Have the event loop wake us when the next timer is due."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self._timers and self._scale > 0:
            wait = max(0.0, self._timers[0][0] - self._seconds()) / self._scale
            self._alarm = asyncio.get_running_loop().call_later(wait, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        now = self._seconds()
        try:
            while self._timers and self._timers[0][0] <= now:
                self._fire_next()
        finally:
            self._arm()

    def _fire_next(self) -> None:
        callback = heapq.heappop(self._timers)[2].callback
        if callback is not None:
            callback()


async def _let_others_run() -> None:
    for _ in range(_TURNS):
        await asyncio.sleep(0)
