"""When a run last moved: what its heartbeat proves, beside a thread that lives."""

import time
from contextvars import ContextVar
from typing import Any


def awake_s() -> float:
    """Return seconds of a clock that never goes back and, where it can, counts sleep as well.

    A laptop that was closed must see that time has passed.
    """
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


class Movement:
    """The last sign that a run gets on: a turn of a wait, an answer of a service, a chunk.

    The thread that works notes it, and so do the clients whenever a service answers; the code that
    calls the run does not, and neither does the heartbeat.
    """

    def __init__(self) -> None:
        self._last_s = awake_s()

    def note(self, *_: Any) -> None:
        """Take note that the run moves; fits where a client calls with its answer."""
        self._last_s = awake_s()

    @property
    def age_s(self) -> float:
        """Seconds since the last movement."""
        return awake_s() - self._last_s


movement_of_run: ContextVar[Movement | None] = ContextVar("movement_of_run", default=None)
"""Of the run that is at work here: clients that its clean-up opens note theirs there, too."""
