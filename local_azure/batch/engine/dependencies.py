"""Which tasks wait for others, in jobs with usesTaskDependencies.

A waiting task watches one unsatisfied dependency at a time, then the next: it costs nothing until
that one is satisfied, and a range of any length is never expanded. All of this follows from the
records: after a restart it is built from them again.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from local_azure.batch.engine import exit_conditions
from local_azure.batch.state.records import Job, Key, Task, key_of
from local_azure.batch.state.states import TaskState
from local_azure.batch.state.store import Store


@dataclass(eq=False)
class _Waiter:
    """A task that waits: `watched` is the dependency it waits for, `ahead` those after it."""

    key: Key
    ahead: Iterator[str]
    watched: Key = ()


class Dependencies:
    """The active tasks of jobs with dependencies: those that wait, and those that may run."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiters: dict[Key, _Waiter] = {}
        self._watchers: dict[Key, dict[Key, _Waiter]] = {}
        self._ready: dict[Key, dict[Key, None]] = {}

    def ready(self, job: Job) -> Iterator[Task]:
        """Return a job's active tasks that may run, longest ready first."""
        tasks = self._store.tasks.of(job.id)
        return (tasks[key] for key in self._ready.get(job.key, {}))

    def changed(self, task: Task, new: Task | None) -> None:
        """Follow a change of a task; `task` is what was there before, or the new one."""
        job = self._store.jobs.find(task.job_id)
        if new is None or job is None or not job.body["usesTaskDependencies"]:
            self._forget(task.key)
        elif new.state is TaskState.ACTIVE:
            self._add(new)
        else:
            self._forget(new.key)
            if self._is_satisfied(new):
                for waiter in list(self._watchers.pop(new.key, {}).values()):
                    self._watch_next(waiter)

    def _add(self, task: Task) -> None:
        if task.key in self._waiters or task.key in self._ready.get(task.key[:-1], {}):
            return
        # Once it has been on a node, its dependencies were satisfied: it is there again.
        given = {} if task.node_id is not None else task.body.get("dependsOn", {})
        ranges = (range(item["start"], item["end"] + 1) for item in given.get("taskIdRanges", []))
        ahead = chain(given.get("taskIds", []), map(str, chain.from_iterable(ranges)))
        self._watch_next(_Waiter(task.key, iter(ahead)))

    def _watch_next(self, waiter: _Waiter) -> None:
        job_id = waiter.key[0]
        for task_id in waiter.ahead:
            found = self._store.tasks.find(job_id, task_id)
            if found is None or not self._is_satisfied(found):
                waiter.watched = key_of(job_id, task_id)
                self._watchers.setdefault(waiter.watched, {})[waiter.key] = waiter
                self._waiters[waiter.key] = waiter
                return
        self._waiters.pop(waiter.key, None)
        self._ready.setdefault(waiter.key[:-1], {})[waiter.key] = None

    def _is_satisfied(self, task: Task) -> bool:
        return task.state is TaskState.COMPLETED and exit_conditions.satisfies(task)

    def _forget(self, key: Key) -> None:
        ready = self._ready.get(key[:-1], {})
        ready.pop(key, None)
        if not ready:
            self._ready.pop(key[:-1], None)
        waiter = self._waiters.pop(key, None)
        if waiter is not None:
            watchers = self._watchers[waiter.watched]
            del watchers[key]
            if not watchers:
                del self._watchers[waiter.watched]
