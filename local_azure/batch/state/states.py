"""The states of pools, nodes, jobs and tasks as on the wire, and which may follow which.

What may happen stands here; when it happens is the business of the scheduler and the clock.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any


class PoolState(StrEnum):
    """Life of a pool; a deleted pool is gone (404)."""

    ACTIVE = "active"
    DELETING = "deleting"


class AllocationState(StrEnum):
    """Whether a pool is changing its number of nodes."""

    STEADY = "steady"
    RESIZING = "resizing"
    STOPPING = "stopping"


class NodeState(StrEnum):
    """Life of a compute node; a removed node is gone (404)."""

    CREATING = "creating"
    STARTING = "starting"
    WAITING_FOR_START_TASK = "waitingforstarttask"
    START_TASK_FAILED = "starttaskfailed"
    IDLE = "idle"
    RUNNING = "running"
    OFFLINE = "offline"
    REBOOTING = "rebooting"
    REIMAGING = "reimaging"
    DEALLOCATING = "deallocating"
    DEALLOCATED = "deallocated"
    PREEMPTED = "preempted"
    UNUSABLE = "unusable"
    LEAVING_POOL = "leavingpool"


class JobState(StrEnum):
    """Life of a job; a deleted job is gone (404)."""

    ACTIVE = "active"
    DISABLING = "disabling"
    DISABLED = "disabled"
    ENABLING = "enabling"
    TERMINATING = "terminating"
    COMPLETED = "completed"
    DELETING = "deleting"


class TaskState(StrEnum):
    """Life of a task. Success is no state: it is the result of a completed task."""

    ACTIVE = "active"
    PREPARING = "preparing"
    RUNNING = "running"
    COMPLETED = "completed"


class IllegalTransitionError(RuntimeError):
    """The emulator tried a transition that its own table forbids: a bug, never a client's fault."""


Table = Mapping[Any, frozenset[Any]]

POOL: Table = {
    PoolState.ACTIVE: frozenset({PoolState.DELETING}),
    PoolState.DELETING: frozenset(),
}
ALLOCATION: Table = {
    AllocationState.STEADY: frozenset({AllocationState.RESIZING}),
    AllocationState.RESIZING: frozenset({AllocationState.STEADY, AllocationState.STOPPING}),
    AllocationState.STOPPING: frozenset({AllocationState.STEADY}),
}
# What may befall a node at any time, until it is leaving.
_LOST = frozenset({NodeState.LEAVING_POOL, NodeState.PREEMPTED, NodeState.UNUSABLE})
# What may be asked of a node that has booted.
_RESTARTED = frozenset({NodeState.REBOOTING, NodeState.REIMAGING, NodeState.DEALLOCATING})
NODE: Table = {
    NodeState.CREATING: _LOST | {NodeState.STARTING},
    NodeState.STARTING: _LOST
    | {NodeState.WAITING_FOR_START_TASK, NodeState.IDLE, NodeState.OFFLINE},
    NodeState.WAITING_FOR_START_TASK: _LOST
    | {NodeState.IDLE, NodeState.OFFLINE, NodeState.START_TASK_FAILED},
    NodeState.START_TASK_FAILED: _LOST | _RESTARTED,
    NodeState.IDLE: _LOST | _RESTARTED | {NodeState.RUNNING, NodeState.OFFLINE},
    NodeState.RUNNING: _LOST | _RESTARTED | {NodeState.IDLE},
    NodeState.OFFLINE: _LOST | _RESTARTED | {NodeState.IDLE},
    NodeState.REBOOTING: _LOST | {NodeState.STARTING},
    NodeState.REIMAGING: _LOST | {NodeState.STARTING},
    NodeState.DEALLOCATING: _LOST | {NodeState.DEALLOCATED},
    NodeState.DEALLOCATED: _LOST | {NodeState.STARTING},
    NodeState.PREEMPTED: frozenset({NodeState.LEAVING_POOL}),
    NodeState.UNUSABLE: frozenset({NodeState.LEAVING_POOL}),
    NodeState.LEAVING_POOL: frozenset(),
}
_JOB_ENDS = frozenset({JobState.TERMINATING, JobState.DELETING})
JOB: Table = {
    JobState.ACTIVE: _JOB_ENDS | {JobState.DISABLING},
    JobState.DISABLING: _JOB_ENDS | {JobState.DISABLED},
    JobState.DISABLED: _JOB_ENDS | {JobState.DISABLING, JobState.ENABLING},
    JobState.ENABLING: _JOB_ENDS | {JobState.ACTIVE},
    JobState.TERMINATING: frozenset({JobState.COMPLETED, JobState.DELETING}),
    JobState.COMPLETED: frozenset({JobState.DELETING}),
    JobState.DELETING: frozenset(),
}
TASK: Table = {
    TaskState.ACTIVE: frozenset({TaskState.PREPARING, TaskState.COMPLETED}),
    TaskState.PREPARING: frozenset({TaskState.ACTIVE, TaskState.RUNNING, TaskState.COMPLETED}),
    TaskState.RUNNING: frozenset({TaskState.ACTIVE, TaskState.COMPLETED}),
    TaskState.COMPLETED: frozenset({TaskState.ACTIVE}),
}

_TABLES: dict[type[StrEnum], Table] = {
    PoolState: POOL,
    AllocationState: ALLOCATION,
    NodeState: NODE,
    JobState: JOB,
    TaskState: TASK,
}


def check_transition(name: str, old: StrEnum, new: StrEnum) -> None:
    """Raise IllegalTransitionError unless `new` may follow `old`; `name` says whose state it is."""
    if new not in _TABLES[type(old)][old]:
        raise IllegalTransitionError(f"{name}: {old} -> {new}")


GOING = (NodeState.LEAVING_POOL, NodeState.PREEMPTED)
"""States of nodes that do not count towards a target any more."""
