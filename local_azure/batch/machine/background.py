"""Coroutines that run beside the requests: kept, logged when they fail, ended at the close."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from local_azure.batch.state.records import Key

_log = logging.getLogger(__name__)

ResultT = TypeVar("ResultT")


def cancel_once(task: asyncio.Task[None]) -> None:
    """Cancel a coroutine unless it was cancelled before: that would interrupt its clean-up."""
    if not task.cancelling():
        task.cancel()


class Background:
    """A set of running coroutines."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a coroutine; a failure is the emulator's own fault and is logged with its trace."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("the emulator failed", exc_info=error)

    async def close(self) -> None:
        """Cancel everything and wait until it has ended."""
        while self._tasks:
            tasks = list(self._tasks)
            for task in tasks:
                cancel_once(task)
            await asyncio.wait(tasks)


class KeyedWorker:
    """Does one piece of work per key, never two at once for one key.

    A key that is woken during its work gets another turn afterwards: the work always sees the
    latest state.
    """

    def __init__(self, background: Background, work: Callable[[Key], Awaitable[None]]) -> None:
        self._background = background
        self._work = work
        self._busy: set[Key] = set()
        self._again: set[Key] = set()

    def wake(self, key: Key) -> None:
        """Do the work for `key` soon."""
        if key in self._busy:
            self._again.add(key)
            return
        self._busy.add(key)
        self._background.spawn(self._do(key))

    async def _do(self, key: Key) -> None:
        try:
            await self._work(key)
        finally:
            self._busy.discard(key)
            if key in self._again:
                self._again.discard(key)
                self.wake(key)


class Threads:
    """Blocking calls beside the event loop, a limited number of them at once.

    A call whose waiter is cancelled is abandoned, not waited for: it may hang in the network, and
    must neither hold up a deletion nor the end of the emulator.

    Args:
        limit: how many calls run at once.
    """

    def __init__(self, limit: int) -> None:
        self._room = asyncio.Semaphore(limit)

    async def run(self, call: Callable[[], ResultT]) -> ResultT:
        """Make a call in a thread of its own and give its result, or raise what it raises."""
        async with self._room:
            return await in_thread(call)


async def in_thread(call: Callable[[], ResultT]) -> ResultT:
    """Make a call in a thread of its own and give its result, or raise what it raises.

    Unlike those of `asyncio.to_thread`, such threads are never all taken by calls that hang.
    """
    future: Future[ResultT] = Future()
    threading.Thread(target=_make_call, args=(call, future), daemon=True).start()
    return await asyncio.wrap_future(future)


def _make_call(call: Callable[[], ResultT], future: Future[ResultT]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(call())
    except Exception as error:  # noqa: BLE001 - it is raised where the result is awaited
        future.set_exception(error)
