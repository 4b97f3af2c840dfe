"""The emulator's memory: tables of records, and a call to the listeners after every change.

One store serves the whole account. All access is from the event loop's thread, so there is no
lock. `journal` keeps it on disk, on request.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import count
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from local_azure.batch.state.records import Job, Key, Node, Pool, Record, Task, key_of
from local_azure.batch.state.states import TASK_UNDER_WAY, TaskState
from local_azure.batch.wire.errors import not_found

RecordT = TypeVar("RecordT", bound=Record)
Listener = Callable[[Record | None, Record | None], None]


class Table(Generic[RecordT]):
    """Records of one kind, by parent, in the order of their creation.

    The parent is every part of the key but the last: a node's pool, a task's job.
    """

    def __init__(self, noun: str, notify: Listener) -> None:
        self._noun = noun
        self._notify = notify
        self._children: dict[Key, dict[Key, RecordT]] = {}

    def find(self, *ids: str) -> RecordT | None:
        """Return the record, or None."""
        key = key_of(*ids)
        return self._children.get(key[:-1], {}).get(key)

    def get(self, *ids: str) -> RecordT:
        """Return the record.

        Raises:
            BatchError: 404, there is none.
        """
        record = self.find(*ids)
        if record is None:
            raise not_found(self._noun, ids[-1])
        return record

    def of(self, *parent: str) -> Mapping[Key, RecordT]:
        """Return a live view of the records of a parent (of the account, for pools and jobs)."""
        return MappingProxyType(self._children.get(key_of(*parent), {}))

    def list(self, *parent: str) -> list[RecordT]:
        """Return the records of a parent, in the order of their creation."""
        return list(self.of(*parent).values())

    def put(self, record: RecordT) -> None:
        """Insert or replace a record and call the listeners."""
        siblings = self._children.setdefault(record.key[:-1], {})
        old = siblings.get(record.key)
        siblings[record.key] = record
        self._notify(old, record)

    def remove(self, record: RecordT) -> None:
        """Remove a record, if it is there, and call the listeners."""
        parent = record.key[:-1]
        old = self._children.get(parent, {}).pop(record.key, None)
        if not self._children.get(parent):
            self._children.pop(parent, None)
        if old is not None:
            self._notify(old, None)


class Store:
    """All resources of the account, the counts of tasks, and the queue of active ones."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []
        self._serials = count(1)
        self._task_counts: dict[Key, Counter[str]] = {}
        self._slot_counts: dict[Key, Counter[str]] = {}
        self._active: dict[Key, dict[Key, None]] = {}
        self.pools: Table[Pool] = Table("Pool", self._changed)
        self.nodes: Table[Node] = Table("Node", self._changed)
        self.jobs: Table[Job] = Table("Job", self._changed)
        self.tasks: Table[Task] = Table("Task", self._changed)

    def subscribe(self, listener: Listener) -> None:
        """Call `listener(old, new)` after every change; None means absent."""
        self._listeners.append(listener)

    def restore(self, records: Iterable[Record]) -> None:
        """Fill the empty store with what was there before a restart, parents first."""
        last = 0
        for record in records:
            self._table(record).put(record)
            last = max(last, record.serial)
        self._serials = count(last + 1)

    def everything(self) -> Iterator[Record]:
        """Return all records, parents before their children."""
        for pool in self.pools.list():
            yield pool
            yield from self.nodes.list(pool.id)
        for job in self.jobs.list():
            yield job
            yield from self.tasks.list(job.id)

    def _table(self, record: Record) -> Table[Any]:
        tables: dict[type[Record], Table[Any]] = {
            Pool: self.pools,
            Node: self.nodes,
            Job: self.jobs,
            Task: self.tasks,
        }
        return tables[type(record)]

    def next_serial(self) -> int:
        """Return a number higher than any before."""
        return next(self._serials)

    def task_counts(self, job_id: str) -> tuple[Counter[str], Counter[str]]:
        """Return a job's tasks and its task slots, counted by state and by result."""
        key = key_of(job_id)
        return self._task_counts.get(key, Counter()), self._slot_counts.get(key, Counter())

    def tasks_under_way(self, job_id: str) -> int:
        """Return how many of a job's tasks are on a node."""
        counts, _ = self.task_counts(job_id)
        return sum(counts[state] for state in TASK_UNDER_WAY)

    def active_tasks(self, job_id: str) -> Iterator[Task]:
        """Return a job's active tasks, longest waiting first; take them before you change any."""
        job_key = key_of(job_id)
        siblings = self.tasks.of(job_id)
        return (siblings[key] for key in self._active.get(job_key, {}))

    def _changed(self, old: Record | None, new: Record | None) -> None:
        if isinstance(old, Task):
            self._count(old, -1)
        if isinstance(new, Task):
            self._count(new, +1)
        if isinstance(old, Task) or isinstance(new, Task):
            self._queue(old, new)
        elif isinstance(old, Job) and new is None:
            for book in (self._task_counts, self._slot_counts, self._active):
                book.pop(old.key, None)
        for listener in self._listeners:
            listener(old, new)

    def _count(self, task: Task, sign: int) -> None:
        job = task.key[:-1]
        for kind in (str(task.state), task.execution.result):
            if kind is not None:
                self._task_counts.setdefault(job, Counter())[kind] += sign
                self._slot_counts.setdefault(job, Counter())[kind] += sign * task.slots

    def _queue(self, old: Record | None, new: Record | None) -> None:
        """Keep the active tasks in the order in which they became active."""
        was = old is not None and old.state is TaskState.ACTIVE
        now = new is not None and new.state is TaskState.ACTIVE
        if new is not None and now and not was:
            self._active.setdefault(new.key[:-1], {})[new.key] = None
        elif old is not None and was and not now:
            self._active[old.key[:-1]].pop(old.key)
