"""Whether the emulator is doing anything, and the wait until it is not."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator

from local_azure.batch.state.records import Record
from local_azure.batch.state.states import TRANSIENT
from local_azure.batch.state.store import Store

# What a change sets off is begun, and has changed a state, some turns of the event loop later.
_TURNS = 20


class Idleness:
    """Watches a store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._watching: set[asyncio.Event] = set()
        store.subscribe(self._changed)

    def busy(self) -> Iterator[str]:
        """Report what is under way, one by one: transitions, resizes and runs."""
        for record in self._store.everything():
            yield from _activities(record)

    async def until(self, holds: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until something holds of the store and nothing changes any more.

        Args:
            holds: asked after each change.
            timeout_s: real seconds to wait at most.

        Returns:
            Whether it came to that in time.
        """
        changed = asyncio.Event()
        self._watching.add(changed)
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    while not await _lasts(holds, changed):
                        await changed.wait()
                    return True
        finally:
            self._watching.discard(changed)
        return False

    def _changed(self, _old: Record | None, _new: Record | None) -> None:
        for event in self._watching:
            event.set()


async def _lasts(holds: Callable[[], bool], changed: asyncio.Event) -> bool:
    changed.clear()
    for _ in range(_TURNS):
        await asyncio.sleep(0)
    return holds() and not changed.is_set()


def _activities(record: Record) -> list[str]:
    states = (str(record.state), str(getattr(record, "allocation", "")))
    name = f"{record.noun.lower()} {'/'.join(record.key)}"
    return [f"{name} is {state}" for state in states if state in TRANSIENT]
