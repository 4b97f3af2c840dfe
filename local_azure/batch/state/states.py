"""The states of pools, nodes, jobs and tasks as on the wire, and which may follow which.

This says what may happen; the engine and the clock decide when it happens.
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
    """Life of a task. Success is not a state: it is the result of a completed task."""

    ACTIVE = "active"
    PREPARING = "preparing"
    RUNNING = "running"
    COMPLETED = "completed"


class IllegalTransitionError(RuntimeError):
    """The emulator tried a transition that its own table forbids: a bug, never a client's fault."""


# Sets of states that several parts of the emulator ask for, each under one name.

NODE_TAKES_TASKS = frozenset({NodeState.IDLE, NodeState.RUNNING})
"""Tasks may be placed on the node, as far as it has free slots."""

NODE_READY = NODE_TAKES_TASKS | {NodeState.OFFLINE}
"""The node is up and its start task does not hold it up any more."""

NODE_BOOTED = NODE_READY | {NodeState.WAITING_FOR_START_TASK}
"""The node's machine is up; its start task may still run."""

NODE_RESTARTABLE = NODE_READY | {NodeState.START_TASK_FAILED}
"""A request may reboot, reimage or deallocate the node."""

NODE_RESTARTING = frozenset({NodeState.REBOOTING, NodeState.REIMAGING, NodeState.DEALLOCATING})
"""A request has asked for it; the node's tasks are being ended."""

NODE_LEAVING = frozenset({NodeState.LEAVING_POOL, NodeState.PREEMPTED})
"""The node does not count towards its pool's target any more."""

NODE_LOST = NODE_LEAVING | {NodeState.UNUSABLE}
"""What may happen to a node at any time, until it is leaving."""

NODE_INTERRUPTED = NODE_RESTARTING | NODE_LOST
"""Whatever the node was doing ends."""

JOB_ENDING = frozenset({JobState.TERMINATING, JobState.DELETING})
"""The job's tasks are being ended."""

JOB_OVER = JOB_ENDING | {JobState.COMPLETED}
"""The job takes no tasks and no changes any more."""

TASK_UNDER_WAY = frozenset({TaskState.PREPARING, TaskState.RUNNING})
"""The task is on a node."""

TRANSIENT: frozenset[str] = frozenset(
    {
        *NODE_INTERRUPTED - {NodeState.UNUSABLE},
        *(NodeState.CREATING, NodeState.STARTING, NodeState.WAITING_FOR_START_TASK),
        *(NodeState.RUNNING, AllocationState.RESIZING, AllocationState.STOPPING),
        *(PoolState.DELETING, JobState.DISABLING, JobState.ENABLING),
        *JOB_ENDING,
        *TASK_UNDER_WAY,
    }
)
"""The states, of whatever kind of resource, that lead to another one by themselves."""

Transitions = Mapping[Any, frozenset[Any]]

POOL: Transitions = {
    PoolState.ACTIVE: frozenset({PoolState.DELETING}),
    PoolState.DELETING: frozenset(),
}
ALLOCATION: Transitions = {
    AllocationState.STEADY: frozenset({AllocationState.RESIZING}),
    AllocationState.RESIZING: frozenset({AllocationState.STEADY, AllocationState.STOPPING}),
    AllocationState.STOPPING: frozenset({AllocationState.STEADY}),
}
NODE: Transitions = {
    NodeState.CREATING: NODE_LOST | {NodeState.STARTING},
    NodeState.STARTING: NODE_LOST
    | {NodeState.WAITING_FOR_START_TASK, NodeState.IDLE, NodeState.OFFLINE},
    NodeState.WAITING_FOR_START_TASK: NODE_LOST
    | {NodeState.IDLE, NodeState.OFFLINE, NodeState.START_TASK_FAILED},
    NodeState.START_TASK_FAILED: NODE_LOST | NODE_RESTARTING,
    NodeState.IDLE: NODE_LOST | NODE_RESTARTING | {NodeState.RUNNING, NodeState.OFFLINE},
    NodeState.RUNNING: NODE_LOST | NODE_RESTARTING | {NodeState.IDLE},
    NodeState.OFFLINE: NODE_LOST | NODE_RESTARTING | {NodeState.IDLE},
    NodeState.REBOOTING: NODE_LOST | {NodeState.STARTING},
    NodeState.REIMAGING: NODE_LOST | {NodeState.STARTING},
    NodeState.DEALLOCATING: NODE_LOST | {NodeState.DEALLOCATED},
    NodeState.DEALLOCATED: NODE_LOST | {NodeState.STARTING},
    NodeState.PREEMPTED: frozenset({NodeState.LEAVING_POOL}),
    NodeState.UNUSABLE: frozenset({NodeState.LEAVING_POOL}),
    NodeState.LEAVING_POOL: frozenset(),
}
JOB: Transitions = {
    JobState.ACTIVE: JOB_ENDING | {JobState.DISABLING},
    JobState.DISABLING: JOB_ENDING | {JobState.DISABLED},
    JobState.DISABLED: JOB_ENDING | {JobState.DISABLING, JobState.ENABLING},
    JobState.ENABLING: JOB_ENDING | {JobState.ACTIVE},
    JobState.TERMINATING: frozenset({JobState.COMPLETED, JobState.DELETING}),
    JobState.COMPLETED: frozenset({JobState.DELETING}),
    JobState.DELETING: frozenset(),
}
TASK: Transitions = {
    TaskState.ACTIVE: frozenset({TaskState.PREPARING, TaskState.COMPLETED}),
    TaskState.PREPARING: frozenset({TaskState.ACTIVE, TaskState.RUNNING, TaskState.COMPLETED}),
    TaskState.RUNNING: frozenset({TaskState.ACTIVE, TaskState.COMPLETED}),
    TaskState.COMPLETED: frozenset({TaskState.ACTIVE}),
}

_TRANSITIONS: dict[type[StrEnum], Transitions] = {
    PoolState: POOL,
    AllocationState: ALLOCATION,
    NodeState: NODE,
    JobState: JOB,
    TaskState: TASK,
}


def check_transition(name: str, old: StrEnum, new: StrEnum) -> None:
    """Raise IllegalTransitionError unless `new` may follow `old`; `name` says whose state it is."""
    if new not in _TRANSITIONS[type(old)][old]:
        raise IllegalTransitionError(f"{name}: {old} -> {new}")
