"""What runs on nodes now: each run is one task, or a job's preparation or release, on one node."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from local_azure.batch.machine.background import Background, cancel_once
from local_azure.batch.state.records import Key, Task


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """A task on a node, from its assignment until its process is gone.

    Attributes:
        task_key: the task's; of a preparation or release a key that no task can have.
    """

    task_key: Key
    node_key: Key
    slots: int
    coroutine: asyncio.Task[None]

    async def stop(self) -> None:
        """Kill it and wait until nothing of it is left; its task's record stays as it is."""
        # Cancelled before its first step it would never give its slots back.
        await asyncio.sleep(0)
        cancel_once(self.coroutine)
        await asyncio.wait({self.coroutine})


class Runs:
    """All runs, by the key of what runs."""

    def __init__(self, background: Background) -> None:
        self._background = background
        self._runs: dict[Key, Run] = {}

    def start(
        self, task_key: Key, node_key: Key, slots: int, work: Coroutine[Any, Any, None]
    ) -> Run:
        """Start a run; it is known at once, and until `ended` says that it is over."""
        run = Run(
            task_key=task_key,
            node_key=node_key,
            slots=slots,
            coroutine=self._background.spawn(work),
        )
        self._runs[task_key] = run
        return run

    def ended(self, task_key: Key) -> None:
        """Forget a run: its task may have another one."""
        del self._runs[task_key]

    def find(self, task_key: Key) -> Run | None:
        """Return the run of a task, a preparation or a release, if there is one."""
        return self._runs.get(task_key)

    def has(self, task_key: Key) -> bool:
        """Whether there is a run of a task."""
        return task_key in self._runs

    def of(self, task: Task) -> Run | None:
        """Return the run of a task, if it has one."""
        return self.find(task.key)

    def where(self, holds: Callable[[Run], bool]) -> list[Run]:
        """Return the runs for which something holds."""
        return [run for run in self._runs.values() if holds(run)]
