"""The tables of states over their full product, and which operation a state forbids."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from local_azure.batch.calls.call import Call, Reply
from local_azure.batch.controls.clock import Clock
from local_azure.batch.operations import jobs, pool_scaling, pools, tasks
from local_azure.batch.state.account import Account
from local_azure.batch.state.service import BatchService
from local_azure.batch.state.states import (
    AllocationState,
    IllegalTransitionError,
    JobState,
    NodeState,
    PoolState,
    TaskState,
    check_transition,
)
from local_azure.batch.state.store import Store
from local_azure.batch.wire.errors import BatchError

NOW = datetime(2026, 11, 22, tzinfo=UTC)
# A node can be lost at any time but when it is lost or leaving.
_EVERY_LOSS = " ".join(
    f"{state}>preempted {state}>unusable"
    for state in NodeState
    if state not in (NodeState.PREEMPTED, NodeState.UNUSABLE, NodeState.LEAVING_POOL)
)
LEGAL = {
    PoolState: "active>deleting",
    AllocationState: "steady>resizing resizing>steady resizing>stopping stopping>steady",
    NodeState: (
        "creating>starting starting>waitingforstarttask starting>idle waitingforstarttask>idle "
        "waitingforstarttask>starttaskfailed idle>running running>idle "
        "creating>leavingpool starting>leavingpool waitingforstarttask>leavingpool "
        "starttaskfailed>leavingpool idle>leavingpool running>leavingpool "
        "starting>offline waitingforstarttask>offline idle>offline offline>idle "
        "rebooting>starting reimaging>starting deallocating>deallocated deallocated>starting "
        "starttaskfailed>rebooting idle>rebooting running>rebooting offline>rebooting "
        "starttaskfailed>reimaging idle>reimaging running>reimaging offline>reimaging "
        "starttaskfailed>deallocating idle>deallocating running>deallocating "
        "offline>deallocating offline>leavingpool rebooting>leavingpool reimaging>leavingpool "
        "deallocating>leavingpool deallocated>leavingpool preempted>leavingpool "
        "unusable>leavingpool " + _EVERY_LOSS
    ),
    JobState: (
        "active>disabling disabling>disabled disabled>disabling disabled>enabling enabling>active "
        "active>terminating disabling>terminating disabled>terminating enabling>terminating "
        "terminating>completed active>deleting disabling>deleting disabled>deleting "
        "enabling>deleting terminating>deleting completed>deleting"
    ),
    TaskState: (
        "active>preparing preparing>running running>completed "
        "active>completed preparing>completed preparing>active running>active completed>active"
    ),
}
"""Every transition that there may be, as section 3.1 of the service's description has them."""

Operation = Callable[[Call], Reply]


ALL_PAIRS = [pair for kind in LEGAL for pair in product(kind, kind)]
"""Every pair of states of one kind."""


@pytest.mark.parametrize(("old", "new"), ALL_PAIRS)
def test_transitions(old: StrEnum, new: StrEnum) -> None:
    """What the table does not allow is an error of the emulator's own."""
    legal = f"{old}>{new}" in LEGAL[type(old)].split()
    if legal:
        check_transition("it", old, new)
        return
    with pytest.raises(IllegalTransitionError, match=f"it: {old} -> {new}"):
        check_transition("it", old, new)


def call(store: Store, body: object = None, **ids: str) -> Call:
    """Return a request, as the operations see it, to an account that nothing schedules."""
    service = BatchService(
        account=Account(name="a", key=""), store=store, clock=Clock(), nodes_dir=Path("unused")
    )
    return Call(
        service=service, base_url="http://host", path="/", ids=ids, query={}, headers={}, body=body
    )


POOL = {
    "id": "p",
    "vmSize": "standard_d2s_v5",
    "virtualMachineConfiguration": {"imageReference": {}, "nodeAgentSKUId": "x"},
}
JOB = {"id": "j", "poolInfo": {"poolId": "p"}}
TASK = {"id": "t", "commandLine": "true"}


@pytest.fixture
def store() -> Store:
    """An account with a pool, a job and a task."""
    store = Store()
    pools.create_pool(call(store, dict(POOL)))
    jobs.create_job(call(store, dict(JOB)))
    tasks.create_task(call(store, dict(TASK), job_id="j"))
    return store


def code_of(operation: Operation, request: Call) -> str | None:
    """Return the code with which an operation is refused; None if it is not."""
    try:
        operation(request)
    except BatchError as error:
        return error.code
    return None


JOB_REFUSALS = {
    **dict.fromkeys(
        (JobState.ACTIVE, JobState.DISABLING, JobState.DISABLED, JobState.ENABLING), None
    ),
    JobState.TERMINATING: "JobBeingTerminated",
    JobState.COMPLETED: "JobCompleted",
    JobState.DELETING: "JobBeingDeleted",
}
JOB_WRITES: list[tuple[Operation, object]] = [
    (jobs.update_job, {"priority": 1}),
    (jobs.replace_job, {"poolInfo": {"poolId": "p"}}),
    (jobs.terminate_job, None),
    (tasks.create_task, {"id": "new", "commandLine": "true"}),
    (tasks.create_task_collection, {"value": []}),
]


@pytest.mark.parametrize("state", JobState)
@pytest.mark.parametrize(("operation", "body"), JOB_WRITES)
def test_writes_of_a_job(store: Store, state: JobState, operation: Operation, body: object) -> None:
    """Only an active job takes changes and tasks."""
    store.jobs.put(replace(store.jobs.get("j"), state=state))

    assert code_of(operation, call(store, body, job_id="j")) == JOB_REFUSALS[state]


@pytest.mark.parametrize("state", JobState)
def test_deletion_of_a_job(store: Store, state: JobState) -> None:
    """It can be deleted once, in any state."""
    store.jobs.put(replace(store.jobs.get("j"), state=state))

    refused = code_of(jobs.delete_job, call(store, job_id="j"))

    assert refused == ("JobBeingDeleted" if state is JobState.DELETING else None)
    assert store.jobs.get("j").state is JobState.DELETING


@pytest.mark.parametrize("state", JobState)
def test_creation_of_a_job_that_is_there(store: Store, state: JobState) -> None:
    """Its id is taken until it is gone."""
    store.jobs.put(replace(store.jobs.get("j"), state=state))

    expected = "JobBeingDeleted" if state is JobState.DELETING else "JobExists"
    assert code_of(jobs.create_job, call(store, dict(JOB))) == expected


POOL_WRITES: list[tuple[Operation, Any, str | None]] = [
    (pools.update_pool, {"displayName": "x"}, None),
    (pools.delete_pool, None, None),
    (pools.create_pool, POOL, "PoolExists"),
    (pool_scaling.resize_pool, {"targetDedicatedNodes": 1}, None),
]


@pytest.mark.parametrize("state", PoolState)
@pytest.mark.parametrize(("operation", "body", "otherwise"), POOL_WRITES)
def test_writes_of_a_pool(
    store: Store, state: PoolState, operation: Operation, body: Any, otherwise: str | None
) -> None:
    """A pool that is being deleted takes none, its creation included."""
    store.pools.put(replace(store.pools.get("p"), state=state))

    expected = "PoolBeingDeleted" if state is PoolState.DELETING else otherwise
    assert code_of(operation, call(store, body and dict(body), pool_id="p")) == expected


@pytest.mark.parametrize("state", AllocationState)
def test_a_resize_needs_a_steady_pool(store: Store, state: AllocationState) -> None:
    """One resize at a time."""
    store.pools.put(replace(store.pools.get("p"), allocation=state))

    request = call(store, {"targetDedicatedNodes": 1}, pool_id="p")
    refused = code_of(pool_scaling.resize_pool, request)

    assert refused == (None if state is AllocationState.STEADY else "PoolBeingResized")


@pytest.mark.parametrize("state", TaskState)
@pytest.mark.parametrize("operation", [tasks.terminate_task, tasks.replace_task])
def test_writes_of_a_task(store: Store, state: TaskState, operation: Operation) -> None:
    """A completed task cannot be ended or changed."""
    store.tasks.put(replace(store.tasks.get("j", "t"), state=state))

    refused = code_of(operation, call(store, job_id="j", task_id="t"))

    assert refused == ("TaskCompleted" if state is TaskState.COMPLETED else None)


@pytest.mark.parametrize("state", TaskState)
def test_deletion_of_a_task(store: Store, state: TaskState) -> None:
    """A task can be deleted in any state, and is gone at once."""
    store.tasks.put(replace(store.tasks.get("j", "t"), state=state))

    tasks.delete_task(call(store, job_id="j", task_id="t"))

    assert store.tasks.find("j", "t") is None


def test_counts_follow_every_change(store: Store) -> None:
    """Counts and the queue of active tasks are those of the records."""
    for state in (TaskState.PREPARING, TaskState.ACTIVE, TaskState.PREPARING, TaskState.RUNNING):
        store.tasks.put(store.tasks.get("j", "t").move(state, NOW))
        counts, _ = store.task_counts("j")

        assert +counts == {state: 1}
        assert [t.id for t in store.active_tasks("j")] == ["t"] * (state is TaskState.ACTIVE)
