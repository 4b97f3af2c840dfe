"""Nodes of the Batch emulator: their life, their start task, their slots."""

from datetime import UTC, datetime
from typing import Any

import pytest
from azure.batch import BatchClient, models

from tests.support.emulator import builders as kit
from tests.support.processes import wait_until


def start_task_of(node: models.BatchNode) -> models.BatchStartTaskInfo:
    """Return what is known of a node's start task."""
    assert node.start_task_info is not None
    return node.start_task_info


def a_node_with(batch: BatchClient, script: str, **options: Any) -> models.BatchNode:
    """Make a pool of one node with a start task and return the node as it settled."""
    start_task = models.BatchStartTask(command_line=kit.sh(script), **options)
    return kit.node_of(batch, kit.a_pool(batch, start_task=start_task))


def test_a_node_says_what_it_is(batch: BatchClient, pool: str) -> None:
    """An idle node names its size, its kind and when it was booted."""
    node = kit.node_of(batch, pool)

    assert (node.state, node.vm_size, node.is_dedicated) == ("idle", "standard_d2s_v5", True)
    assert node.last_boot_time is not None
    assert node.last_boot_time <= datetime.now(UTC)
    assert node.scheduling_state == "enabled"


def test_get_is_what_list_shows(batch: BatchClient, pool: str) -> None:
    """A node alone reads as in the list."""
    node = kit.node_of(batch, pool)

    assert batch.get_node(pool, str(node.id)).id == node.id


def test_get_of_a_missing_node(batch: BatchClient, pool: str) -> None:
    """The pool is there, the node is not."""
    with kit.refused(404, "NodeNotFound"):
        batch.get_node(pool, "tvm-none")


def test_nodes_of_a_missing_pool(batch: BatchClient) -> None:
    """The pool is what is missing."""
    with kit.refused(404, "PoolNotFound"):
        list(batch.list_nodes("nowhere"))


def test_a_node_runs_while_its_task_does(batch: BatchClient, pool: str, job: str) -> None:
    """A busy node is running and counts tasks and slots."""
    kit.reach(batch, job, kit.a_task(batch, job, kit.sh("exec sleep 60")), "running")

    node = kit.node_of(batch, pool)

    assert node.state == "running"
    assert (node.running_tasks_count, node.running_task_slots_count) == (1, 1)


def test_a_node_remembers_its_tasks(batch: BatchClient, pool: str, job: str) -> None:
    """Runs and successes are counted, and the last tasks named."""
    kit.run(batch, job, "true")
    last = kit.run(batch, job, "false")

    wait_until(lambda: kit.node_of(batch, pool).total_tasks_run == 2)

    node = kit.node_of(batch, pool)
    assert node.total_tasks_succeeded == 1
    assert next(task.task_id for task in node.recent_tasks or []) == last.id


def test_the_start_task_comes_before_all_tasks(batch: BatchClient) -> None:
    """What the start task left in the shared folder, tasks find there."""
    script = 'echo ready >"$AZ_BATCH_NODE_SHARED_DIR/mark"'
    pool_id = kit.a_pool(batch, start_task=models.BatchStartTask(command_line=kit.sh(script)))

    heard = kit.said(batch, kit.a_job(batch, pool_id), 'cat "$AZ_BATCH_NODE_SHARED_DIR/mark"')

    assert heard == "ready\n"


def test_a_successful_start_task(batch: BatchClient) -> None:
    """It is completed, with exit code 0 and without retries."""
    info = start_task_of(a_node_with(batch, "exit 0"))

    assert (info.state, info.result, info.exit_code) == ("completed", "success", 0)
    assert info.retry_count == 0


def test_a_failed_start_task_makes_the_node_unfit(batch: BatchClient) -> None:
    """Its node is starttaskfailed and tells the exit code and the failure."""
    node = a_node_with(batch, "exit 7", wait_for_success=True)

    info = start_task_of(node)
    assert (node.state, info.result, info.exit_code) == ("starttaskfailed", "failure", 7)
    assert info.failure_info is not None
    assert info.failure_info.code == "FailureExitCode"


def test_success_of_the_start_task_is_waited_for_by_default(batch: BatchClient) -> None:
    """Without waitForSuccess the answer is true, as on the service."""
    node = a_node_with(batch, "exit 1")

    assert node.state == "starttaskfailed"
    assert node.start_task is not None
    assert node.start_task.wait_for_success is True


def test_tasks_do_not_run_on_unfit_nodes(batch: BatchClient) -> None:
    """With every start task failed, tasks stay active."""
    start_task = models.BatchStartTask(command_line="false")
    pool_id = kit.a_pool(batch, start_task=start_task)
    job_id = kit.a_job(batch, pool_id)

    task = kit.a_task(batch, job_id)

    assert batch.get_task(job_id, task).state == "active"
    assert kit.node_of(batch, pool_id).state == "starttaskfailed"


def test_a_start_task_that_nobody_waits_for(batch: BatchClient) -> None:
    """With waitForSuccess false, tasks run while the start task still does."""
    start_task = models.BatchStartTask(command_line=kit.sh("exec sleep 60"), wait_for_success=False)
    pool_id = kit.a_pool(batch, start_task=start_task)

    kit.run(batch, kit.a_job(batch, pool_id), "true")

    assert start_task_of(kit.node_of(batch, pool_id)).state == "running"


def test_a_start_task_is_run_again(batch: BatchClient) -> None:
    """It has as many retries as it was given, until it succeeds."""
    # The folder of the start task is made anew for each run; the shared one stays.
    script = 'n="$AZ_BATCH_NODE_SHARED_DIR/n"; echo x >>"$n"; test $(wc -l <"$n") = 3'

    node = a_node_with(batch, script, max_task_retry_count=5)

    assert (node.state, start_task_of(node).retry_count) == ("idle", 2)


def test_retries_of_a_start_task_end(batch: BatchClient) -> None:
    """After the last retry the node is unfit."""
    node = a_node_with(batch, "exit 1", max_task_retry_count=2)

    assert (node.state, start_task_of(node).retry_count) == ("starttaskfailed", 2)


def test_a_start_task_has_no_job(batch: BatchClient) -> None:
    """It knows its pool and node, and neither job nor task."""
    node = a_node_with(batch, "env")
    pool_id = next(iter(batch.list_pools())).id

    blocks = batch.download_node_file(str(pool_id), str(node.id), "startup/stdout.txt")
    names = {line.partition("=")[0] for line in b"".join(blocks).decode().splitlines()}

    assert {"AZ_BATCH_POOL_ID", "AZ_BATCH_NODE_ID", "AZ_BATCH_NODE_SHARED_DIR"} <= names
    assert not {"AZ_BATCH_JOB_ID", "AZ_BATCH_TASK_ID"} & names


def test_output_of_a_failed_start_task_can_be_read(batch: BatchClient) -> None:
    """What it wrote to stderr is the diagnosis."""
    node = a_node_with(batch, "echo no such package >&2; exit 1")
    pool_id = next(iter(batch.list_pools())).id

    blocks = batch.download_node_file(str(pool_id), str(node.id), "startup/stderr.txt")

    assert b"".join(blocks) == b"no such package\n"


def test_a_start_task_of_a_missing_program(batch: BatchClient) -> None:
    """The node is unfit and says that the program was not found."""
    start_task = models.BatchStartTask(command_line="no-such-program")
    node = kit.node_of(batch, kit.a_pool(batch, start_task=start_task))

    info = start_task_of(node)
    assert node.state == "starttaskfailed"
    assert info.failure_info is not None
    assert info.failure_info.code == "CommandProgramNotFound"


def test_a_start_task_without_a_command_is_refused(batch: BatchClient) -> None:
    """Blanks name no program."""
    with kit.refused(400, "InvalidPropertyValue"):
        batch.create_pool(kit.pool_options(start_task=models.BatchStartTask(command_line=" ")))


def test_a_changed_start_task_is_for_new_nodes(batch: BatchClient, pool: str) -> None:
    """Nodes that are there keep what they were made with."""
    update = models.BatchPoolUpdateOptions(start_task=models.BatchStartTask(command_line="false"))

    batch.update_pool(pool, update)

    assert kit.node_of(batch, pool).start_task is None
    assert kit.pool_of(batch, pool).start_task is not None


@pytest.mark.parametrize(("policy", "nodes"), [("spread", 2), ("pack", 1)])
def test_tasks_are_spread_or_packed(batch: BatchClient, policy: str, nodes: int) -> None:
    """Two tasks go to two nodes, or fill one first."""
    pool_id = kit.a_pool(
        batch,
        target_dedicated_nodes=2,
        task_slots_per_node=2,
        task_scheduling_policy=models.BatchTaskSchedulingPolicy(node_fill_type=policy),
    )
    job_id = kit.a_job(batch, pool_id)

    tasks = [kit.a_task(batch, job_id, kit.sh("exec sleep 60")) for _ in range(2)]
    running = [kit.reach(batch, job_id, task, "running") for task in tasks]

    assert len({task.node_info and task.node_info.node_id for task in running}) == nodes


def test_slots_limit_what_a_node_runs_at_once(batch: BatchClient) -> None:
    """Of three tasks two fit into two slots; the third waits its turn."""
    job_id = kit.a_job(batch, kit.a_pool(batch, task_slots_per_node=2))
    tasks = [kit.a_task(batch, job_id, kit.sh("exec sleep 60")) for _ in range(3)]

    for task in tasks[:2]:
        kit.reach(batch, job_id, task, "running")

    assert batch.get_task(job_id, tasks[2]).state == "active"


def test_a_small_task_passes_one_that_does_not_fit(batch: BatchClient) -> None:
    """A free slot is not kept for a task that needs two."""
    job_id = kit.a_job(batch, kit.a_pool(batch, target_dedicated_nodes=2, task_slots_per_node=2))
    for _ in range(2):
        kit.reach(batch, job_id, kit.a_task(batch, job_id, kit.sh("exec sleep 60")), "running")

    large = kit.a_task(batch, job_id, kit.sh("exec sleep 60"), required_slots=2)
    small = kit.a_task(batch, job_id, kit.sh("exec sleep 60"))

    kit.reach(batch, job_id, small, "running")
    assert batch.get_task(job_id, large).state == "active"
