"""Faults that are asked for, as the SDK sees them: errors, broken connections, failing commands."""

import time

import pytest
from azure.batch import BatchClient, models
from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.core.rest import HttpResponse

from local_azure.batch.controls.faults import Kind, Rule
from local_azure.client import Control, ControlError
from tests.support.emulator import builders as kit
from tests.support.emulator.emulators import Emulator, client_of
from tests.support.processes import wait_until

BROKEN = (ServiceRequestError, ServiceResponseError)


def outcomes(client: BatchClient, times: int) -> str:
    """List the images so many times; return a letter for each: . or F."""
    letters = ""
    for _ in range(times):
        try:
            list(client.list_supported_images())
            letters += "."
        except AzureError:
            letters += "F"
    return letters


@pytest.mark.parametrize(
    ("status", "code"), [(429, "TooManyRequests"), (500, "InternalError"), (503, "ServerBusy")]
)
def test_errors(control: Control, one_try: BatchClient, status: int, code: str) -> None:
    """An operation is answered with an error of the service's form."""
    control.add_fault(Rule(kind=Kind.ERROR, operation="list_jobs", status=status))

    with kit.refused(status, code):
        list(one_try.list_jobs())


def test_an_error_has_no_effect(control: Control, one_try: BatchClient) -> None:
    """What was to be created is not there."""
    control.add_fault(Rule(kind=Kind.ERROR, operation="create_pool"))

    with kit.refused(503, "ServerBusy"):
        one_try.create_pool(kit.pool_options())

    assert list(one_try.list_pools()) == []


def test_an_error_of_ones_own(control: Control, one_try: BatchClient) -> None:
    """A rule can name any status and any code: a quota, for example."""
    rule = Rule(kind=Kind.ERROR, operation="create_pool", status=409, code="PoolQuotaReached")
    control.add_fault(rule)

    with kit.refused(409, "PoolQuotaReached"):
        one_try.create_pool(kit.pool_options())


def test_retry_after_is_sent(control: Control, one_try: BatchClient) -> None:
    """The answer says how long the client should wait."""
    control.add_fault(Rule(kind=Kind.ERROR, status=429, retry_after_s=7))

    with pytest.raises(HttpResponseError) as caught:
        list(one_try.list_jobs())

    response = caught.value.response
    assert isinstance(response, HttpResponse)
    assert response.headers["Retry-After"] == "7"


def test_the_sdk_repeats_what_fails_in_passing(control: Control, controlled: Emulator) -> None:
    """A client with its usual retries does not notice two errors."""
    control.add_fault(Rule(kind=Kind.ERROR, operation="create_job", first=2, retry_after_s=0))

    with client_of(controlled, retry_backoff_factor=0) as client:
        kit.a_job(client, kit.new_id("pool"))

    assert control.faults()[0]["matches"] == 3


def test_a_reset_has_no_effect(control: Control, one_try: BatchClient) -> None:
    """The client hears nothing, and nothing was done."""
    control.add_fault(Rule(kind=Kind.RESET, operation="create_pool"))

    with pytest.raises(BROKEN):
        one_try.create_pool(kit.pool_options())

    assert list(one_try.list_pools()) == []


def test_a_lost_answer_has_taken_effect(control: Control, one_try: BatchClient) -> None:
    """The client hears nothing, and all the same it was done."""
    control.add_fault(Rule(kind=Kind.LOST, operation="create_pool"))
    pool = kit.pool_options()

    with pytest.raises(BROKEN):
        one_try.create_pool(pool)

    assert [found.id for found in one_try.list_pools()] == [pool.id]


def test_a_lost_answer_makes_the_repetition_a_conflict(
    control: Control, one_try: BatchClient
) -> None:
    """Who asks again learns that the resource exists."""
    control.add_fault(Rule(kind=Kind.LOST, operation="create_pool", first=1))
    pool = kit.pool_options()
    with pytest.raises(BROKEN):
        one_try.create_pool(pool)

    with kit.refused(409, "PoolExists"):
        one_try.create_pool(pool)


def test_the_sdk_repeats_reads_over_broken_connections(
    control: Control, controlled: Emulator
) -> None:
    """A client with its usual retries does not notice a reset of a GET."""
    control.add_fault(Rule(kind=Kind.RESET, method="GET", first=1))

    with client_of(controlled, retry_backoff_factor=0) as client:
        assert list(client.list_pools()) == []


def test_the_sdk_does_not_repeat_writes_over_broken_connections(
    control: Control, controlled: Emulator
) -> None:
    """However many retries it has, a POST whose answer is lost is its caller's business."""
    control.add_fault(Rule(kind=Kind.LOST, method="POST"))

    with client_of(controlled, retry_backoff_factor=0) as client, pytest.raises(BROKEN):
        kit.a_job(client, kit.new_id("pool"))

    assert control.faults()[0]["hits"] == 1


def test_latency(control: Control, one_try: BatchClient) -> None:
    """A request takes at least so long; others do not."""
    control.add_fault(Rule(kind=Kind.LATENCY, operation="list_jobs", seconds=0.3))
    begun = time.monotonic()
    list(one_try.list_pools())
    between = time.monotonic()
    list(one_try.list_jobs())

    assert between - begun < 0.3 <= time.monotonic() - between


def test_rules_for_paths_and_methods(control: Control, one_try: BatchClient) -> None:
    """Only what the patterns match fails."""
    control.add_fault(Rule(kind=Kind.ERROR, method="GET", path="/pools/*"))

    with kit.refused(503, "ServerBusy"):
        one_try.get_pool("any")
    assert list(one_try.list_pools()) == []


def test_the_first_ones_fail(control: Control, one_try: BatchClient) -> None:
    """A rule for the first two requests lets the third pass."""
    control.add_fault(Rule(kind=Kind.ERROR, first=2))

    assert outcomes(one_try, 5) == "FF..."


def test_every_third_fails(control: Control, one_try: BatchClient) -> None:
    """A rule for every third request counts those that match."""
    control.add_fault(Rule(kind=Kind.ERROR, every=3))

    assert outcomes(one_try, 7) == "..F..F."


def test_a_rate_is_repeatable(control: Control, one_try: BatchClient) -> None:
    """The same seed and the same requests give the same faults; another seed others."""
    letters = []
    for seed in (1, 1, 2):
        control.clear_faults()
        control.add_fault(Rule(kind=Kind.ERROR, probability=0.5, seed=seed))
        letters.append(outcomes(one_try, 20))

    assert letters[0] == letters[1] != letters[2]
    assert 0 < letters[0].count("F") < 20


def test_rules_are_reported(control: Control, one_try: BatchClient) -> None:
    """What matched and what failed is counted."""
    number = control.add_fault(Rule(kind=Kind.ERROR, every=2))
    outcomes(one_try, 5)

    (report,) = control.faults()

    assert (report["id"], report["matches"], report["hits"]) == (number, 5, 2)


def test_a_command_that_seems_to_fail(control: Control, one_try: BatchClient) -> None:
    """The task has run, and ends with the exit code of the rule."""
    job_id = kit.a_job(one_try, kit.a_pool(one_try))
    control.add_fault(Rule(kind=Kind.EXIT_CODE, path=f"/jobs/{job_id}/*", exit_code=3))

    task = kit.run(one_try, job_id, "true")

    assert (kit.info_of(task).exit_code, kit.info_of(task).result) == (3, "failure")


def test_a_command_that_seems_to_succeed(control: Control, one_try: BatchClient) -> None:
    """The exit code may as well be better than the real one."""
    job_id = kit.a_job(one_try, kit.a_pool(one_try))
    control.add_fault(Rule(kind=Kind.EXIT_CODE, exit_code=0))

    assert kit.info_of(kit.run(one_try, job_id, "false")).result == "success"


def test_a_task_that_fails_once(control: Control, one_try: BatchClient) -> None:
    """With a retry left it succeeds."""
    job_id = kit.a_job(one_try, kit.a_pool(one_try))
    control.add_fault(Rule(kind=Kind.EXIT_CODE, first=1))
    retried = models.BatchTaskConstraints(max_task_retry_count=1)

    task = kit.run(one_try, job_id, "true", constraints=retried)

    assert (kit.info_of(task).retry_count, kit.info_of(task).result) == (1, "success")


def test_a_start_task_that_fails(control: Control, one_try: BatchClient) -> None:
    """The node never gets tasks."""
    control.add_fault(Rule(kind=Kind.EXIT_CODE, path="/pools/*/startTask"))

    pool_id = kit.a_pool(one_try, start_task=models.BatchStartTask(command_line="true"))

    assert kit.node_of(one_try, pool_id).state == "starttaskfailed"


@pytest.mark.parametrize("code", ["AllocationFailed", "AccountCoreQuotaReached"])
def test_a_resize_that_fails(control: Control, one_try: BatchClient, code: str) -> None:
    """The pool is steady without nodes, and says why."""
    control.add_fault(Rule(kind=Kind.RESIZE, code=code))
    pool = kit.pool_options()
    one_try.create_pool(pool)
    wait_until(lambda: kit.pool_of(one_try, str(pool.id)).allocation_state == "steady")

    found = kit.pool_of(one_try, str(pool.id))

    assert [error.code for error in found.resize_errors or []] == [code]
    assert found.current_dedicated_nodes == 0


def test_a_preempted_node(control: Control, one_try: BatchClient) -> None:
    """Its task is requeued, and runs on the node that comes in its place."""
    pool_id = kit.a_pool(one_try, target_dedicated_nodes=0, target_low_priority_nodes=1)
    job_id = kit.a_job(one_try, pool_id)
    first = str(kit.node_of(one_try, pool_id).id)
    task_id = kit.a_task(
        one_try, job_id, kit.sh(f"case $AZ_BATCH_NODE_ID in {first}) sleep 60;; esac")
    )
    kit.reach(one_try, job_id, task_id, "running")

    control.preempt_node(pool_id, first)

    info = kit.info_of(kit.reach(one_try, job_id, task_id, "completed"))
    assert (info.result, info.requeue_count, info.retry_count) == ("success", 1, 0)
    assert kit.node_of(one_try, pool_id).id != first


def test_a_node_that_breaks(control: Control, one_try: BatchClient) -> None:
    """It stays in its pool, unusable, and its task waits for another."""
    pool_id = kit.a_pool(one_try)
    job_id = kit.a_job(one_try, pool_id)
    task_id = kit.a_task(one_try, job_id, "sleep 60")
    kit.reach(one_try, job_id, task_id, "running")

    control.break_node(pool_id, str(kit.node_of(one_try, pool_id).id))

    kit.reach(one_try, job_id, task_id, "active")
    assert kit.node_of(one_try, pool_id).state == "unusable"


def test_dedicated_nodes_are_not_preempted(control: Control, one_try: BatchClient) -> None:
    """To ask for it is a mistake."""
    pool_id = kit.a_pool(one_try)

    with pytest.raises(ControlError, match="dedicated"):
        control.preempt_node(pool_id, str(kit.node_of(one_try, pool_id).id))


def test_a_collection_whose_answer_is_lost(control: Control, one_try: BatchClient) -> None:
    """The tasks were added, and to add them again is not an error: each is there once."""
    control.add_fault(Rule(kind=Kind.LOST, operation="create_task_collection", first=1))
    job_id, tasks = kit.a_job(one_try, kit.new_id("pool")), [kit.task_options() for _ in range(5)]
    with pytest.raises(models.CreateTasksError):
        one_try.create_tasks(job_id, list(tasks))

    one_try.create_tasks(job_id, list(tasks))

    assert len(list(one_try.list_tasks(job_id))) == 5


def test_a_spot_node_that_is_preempted_at_work(control: Control, one_try: BatchClient) -> None:
    """A low-priority node is preempted as it works; its task goes on to another node."""
    pool_id = kit.a_pool(one_try, target_dedicated_nodes=0, target_low_priority_nodes=1)
    before = kit.node_of(one_try, pool_id).id
    control.add_fault(Rule(kind=Kind.NODE_LOST, path=f"/pools/{pool_id}/nodes/*", first=1))

    task = kit.run(one_try, kit.a_job(one_try, pool_id), kit.sh("sleep 0.3"))

    assert task.node_info is not None
    assert task.node_info.node_id != before
    assert (kit.info_of(task).requeue_count, kit.info_of(task).result) == (1, "success")


def test_a_dedicated_node_that_breaks_at_work(control: Control, one_try: BatchClient) -> None:
    """A dedicated node is unusable some seconds after it has begun to run tasks."""
    pool_id = kit.a_pool(one_try)
    job_id = kit.a_job(one_try, pool_id)
    control.add_fault(Rule(kind=Kind.NODE_LOST, seconds=0.1))

    task_id = kit.a_task(one_try, job_id, "sleep 30")

    wait_until(lambda: kit.node_of(one_try, pool_id).state == "unusable")
    assert kit.reach(one_try, job_id, task_id, "active").id == task_id
