"""How long the transitions of the engine take: at once, some seconds, or until they are released.

`state.states` says what may happen; each wait of the engine before it happens has a name here.
"""

import asyncio
from collections.abc import Mapping
from types import MappingProxyType

from local_azure.batch.controls.clock import Clock

DEFAULTS: Mapping[str, float | None] = MappingProxyType(
    {
        # a pool that resizes: until it begins to make and remove nodes
        "allocation": 0.05,
        # a node: until its machine is there (creating -> starting), also after a reimage
        "boot": 0.05,
        # a node: from starting to idle, or to its start task
        "start": 0.0,
        # a node that leaves its pool: from the end of its tasks until it is gone
        "removal": 0.0,
        # a job: from the end of its tasks until it is completed
        "job_termination": 0.0,
        # a job that is deleted: from the end of its tasks until it is gone
        "job_deletion": 0.0,
    }
)
"""Every delay by its name, in seconds of emulated time; None waits until it is released."""


class Delays:
    """The delays of one emulator, which may be changed while it runs.

    Args:
        clock: lets the seconds pass.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._delays = dict(DEFAULTS)
        self._waiting: dict[str, list[asyncio.Future[None]]] = {name: [] for name in DEFAULTS}

    async def wait(self, name: str) -> None:
        """Wait as long as the transition `name` takes; a change does not reach who waits already.

        Raises:
            KeyError: there is no such name.
        """
        seconds = self._delays[name]
        if seconds == 0:
            return
        over = asyncio.get_running_loop().create_future()
        self._waiting[name].append(over)
        timer = None if seconds is None else self._clock.call_later(seconds, lambda: _end(over))
        try:
            await over
        finally:
            if timer is not None:
                timer.cancel()
            if over in self._waiting[name]:
                self._waiting[name].remove(over)

    def set(self, name: str, seconds: float | None) -> None:
        """Let the transition `name` take so many seconds from now on; None: until it is released.

        Raises:
            ValueError: the name is unknown, or the number negative.
        """
        self._check(name)
        if seconds is not None and not 0 <= seconds < float("inf"):
            raise ValueError(f"the delay {name} must be 0 or more seconds, not {seconds}")
        self._delays[name] = seconds

    def release(self, name: str) -> int:
        """End all waits for `name` and return how many there were.

        Raises:
            ValueError: the name is unknown.
        """
        self._check(name)
        waiting, self._waiting[name] = self._waiting[name], []
        for over in waiting:
            _end(over)
        return len(waiting)

    def reset(self) -> None:
        """Go back to the defaults and end all waits."""
        self._delays = dict(DEFAULTS)
        for name in self._delays:
            self.release(name)

    @property
    def seconds(self) -> Mapping[str, float | None]:
        """Every delay as it is now."""
        return MappingProxyType(self._delays)

    @property
    def waiting(self) -> Mapping[str, int]:
        """How many transitions wait now, by name."""
        return {name: len(waiting) for name, waiting in self._waiting.items()}

    def _check(self, name: str) -> None:
        if name not in self._delays:
            raise ValueError(f"there is no delay {name}; there are {', '.join(self._delays)}")


def _end(wait: asyncio.Future[None]) -> None:
    # Its waiter may have been cancelled a moment ago.
    if not wait.done():
        wait.set_result(None)
