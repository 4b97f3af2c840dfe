"""What the store holds: pools, nodes, jobs and tasks as frozen records, replaced and never changed.

`body` holds what the client gave, with the service's defaults filled in, under its wire names.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Self

from local_azure.batch.state.states import (
    NODE_TAKES_TASKS,
    AllocationState,
    JobState,
    NodeState,
    PoolState,
    TaskState,
    check_transition,
)
from local_azure.batch.wire.failures import task_ended
from local_azure.batch.wire.formats import Json, etag_of, format_time

Key = tuple[str, ...]

PERFORM_JOB_ACTION = "performexitoptionsjobaction"
"""The onTaskFailure of a job that does what the exit conditions of its tasks ask for."""


def key_of(*ids: str) -> Key:
    """Make a store key: ids are unique whatever their case."""
    return tuple(part.lower() for part in ids)


def task_directory(job_id: str, task_id: str) -> str:
    """Return the folder of a task, or of a job's preparation or release, below a node's root."""
    return f"workitems/{job_id}/job-1/{task_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What every resource has.

    Attributes:
        id: as the client wrote it; unique within its parent whatever its case.
        serial: number of creation, ascending over the whole account; lists go by it.
        etag: changes with every write of a client, not with state transitions.
    """

    noun: ClassVar[str]

    id: str
    serial: int
    state: StrEnum
    created: datetime
    state_since: datetime
    modified: datetime
    etag: str
    previous_state: StrEnum | None = None
    previous_since: datetime | None = None

    @property
    def key(self) -> Key:
        """The record's key in its table."""
        return key_of(self.id)

    def move(self, state: StrEnum, now: datetime, **changes: Any) -> Self:
        """Return the record in another state.

        Raises:
            IllegalTransitionError: the table of its states forbids it.
        """
        check_transition(f"{self.noun} {'/'.join(self.key)}", self.state, state)
        return replace(
            self,
            state=state,
            state_since=now,
            previous_state=self.state,
            previous_since=self.state_since,
            **changes,
        )

    def written(self, now: datetime, serial: int, **changes: Any) -> Self:
        """Return the record as a client's write leaves it: a new ETag and modification time."""
        return replace(self, modified=now, etag=etag_of(serial, now), **changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool(Record):
    """A pool; its targets are what the last create or resize asked for."""

    noun: ClassVar[str] = "Pool"

    state: PoolState
    body: Json
    allocation: AllocationState
    allocation_since: datetime
    target_dedicated: int
    target_low_priority: int
    node_deallocation: str = "requeue"
    resize_errors: tuple[Json, ...] = ()
    auto_scale_run: Json | None = None

    @property
    def slots(self) -> int:
        """Task slots of each of its nodes."""
        return int(self.body["taskSlotsPerNode"])

    def allocate(self, state: AllocationState, now: datetime, **changes: Any) -> Self:
        """Return the pool in another allocation state."""
        check_transition(f"allocation of pool {self.id}", self.allocation, state)
        return replace(self, allocation=state, allocation_since=now, **changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node(Record):
    """A compute node: here a folder in which tasks run.

    Attributes:
        schedulable: whether it may be given tasks.
        task_option: what happens to its tasks when it leaves, reboots or is not schedulable any
            more: requeue, terminate, or taskcompletion (they run to their end).
    """

    noun: ClassVar[str] = "Node"

    state: NodeState
    pool_id: str
    dedicated: bool
    vm_size: str
    root: str
    ip_address: str
    booted: datetime
    schedulable: bool = True
    task_option: str = "requeue"
    start_task: Json | None = None
    start_task_info: Json | None = None
    running_tasks: int = 0
    running_slots: int = 0
    total_tasks_run: int = 0
    total_tasks_succeeded: int = 0
    recent_tasks: tuple[Json, ...] = ()

    @property
    def key(self) -> Key:
        """Pool id and node id."""
        return key_of(self.pool_id, self.id)

    @property
    def takes_tasks(self) -> bool:
        """Whether tasks may be placed on it, as far as it has free slots."""
        return self.schedulable and self.state in NODE_TAKES_TASKS


@dataclass(frozen=True, slots=True, kw_only=True)
class Job(Record):
    """A job; `pool_id` names its pool, which may not exist (yet, or any more).

    Attributes:
        disable_option: what happens to its running tasks while it is disabling: requeue, terminate
            or wait.
        auto_pool_id: its own pool, made with it.
        scheduling_error: why it could not be started.
        node_tasks: how its preparation and release tasks went (`preparation`, `release`), by the
            id of the node.
    """

    noun: ClassVar[str] = "Job"

    state: JobState
    body: Json
    ended: datetime | None = None
    terminate_reason: str | None = None
    disable_option: str = "requeue"
    auto_pool_id: str | None = None
    scheduling_error: Json | None = None
    node_tasks: Json = field(default_factory=dict)

    @property
    def pool_id(self) -> str:
        """Id of the pool its tasks run on; empty if its auto pool could not be made."""
        return self.auto_pool_id or str(self.body["poolInfo"].get("poolId", ""))

    def is_barred_from(self, node: Node) -> bool:
        """Whether its preparation failed on a node, which gets no task of it until it reboots."""
        preparation = self.body.get("jobPreparationTask")
        known = self.node_tasks.get(node.id)
        if preparation is None or known is None or not preparation["waitForSuccess"]:
            return False
        failed = known["preparation"].get("result") == "failure"
        return bool(failed and known["booted"] == format_time(node.booted))


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """What is known of a task's runs; of the last one, where there were several."""

    started: datetime | None = None
    ended: datetime | None = None
    exit_code: int | None = None
    failure: Json | None = None
    result: str | None = None
    retry_count: int = 0
    last_retry: datetime | None = None
    requeue_count: int = 0
    last_requeue: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Task(Record):
    """A task; `node_id` is set from its first assignment on."""

    noun: ClassVar[str] = "Task"

    state: TaskState
    body: Json
    job_id: str
    execution: Execution = field(default_factory=Execution)
    pool_id: str | None = None
    node_id: str | None = None
    files_cleaned: bool = False

    @property
    def key(self) -> Key:
        """Job id and task id."""
        return key_of(self.job_id, self.id)

    @property
    def slots(self) -> int:
        """Task slots it takes on a node."""
        return int(self.body["requiredSlots"])

    def requeued(self, now: datetime) -> Self:
        """Return the task as it waits again because it was taken off its node."""
        count = self.execution.requeue_count + 1
        execution = replace(self.execution, requeue_count=count, last_requeue=now)
        return self.move(TaskState.ACTIVE, now, execution=execution)

    def ended_by(self, by: str, now: datetime) -> Self:
        """Return the task as failed because it was ended from outside; `by` says by what."""
        execution = replace(self.execution, ended=now, result="failure", failure=task_ended(by))
        return self.move(TaskState.COMPLETED, now, execution=execution)

    @property
    def directory(self) -> str:
        """Its folder, below the node's root folder."""
        return task_directory(self.job_id, self.id)
