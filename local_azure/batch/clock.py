"""Time as the emulator sees it: the one seam through which tests and settings may bend it."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime


class Clock:
    """Wall-clock time, whose waiting can be made shorter.

    Args:
        scale: emulated seconds that pass per real second of waiting.
    """

    def __init__(self, scale: float = 1.0) -> None:
        self._scale = scale

    def now(self) -> datetime:
        """Give the current time, in UTC."""
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds` of emulated time."""
        await asyncio.sleep(seconds / self._scale)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> None:
        """Call `callback` on the event loop after `seconds` of emulated time."""
        asyncio.get_running_loop().call_later(max(0.0, seconds) / self._scale, callback)
