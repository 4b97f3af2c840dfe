"""The batch tasks: added in collections, then watched until the last one is completed."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from azure.batch import BatchClient
from azure.batch.models import BatchTask, BatchTaskCreateResult, BatchTaskGroup
from prefect.logging import get_run_logger

from flows import specs
from flows.errors import BatchTasksRefused, BatchTasksTimedOut, JobEnded, NodesNotReady
from flows.inputs import InputFile
from flows.runs import Run
from flows.services import TRANSIENT_CODES, Services, lowered, step
from flows.settings import JobSettings, PoolSettings
from flows.steps.pool import any_ready, look_at_nodes
from flows.steps.storage import read_url, write_url

# What the service takes in one call.
COLLECTION_SIZE = 100
FIRST_INTERVAL_S = 0.1
INTERVAL_GROWTH = 1.3
# The service ends a job that ran out of time; our own limit only catches a service that does not.
GRACE_S = 60


@dataclass(frozen=True)
class Ending:
    """How a batch task ended.

    Attributes:
        batch_task_id: which one.
        succeeded: what the service calls its result, and an exit code of 0.
        exit_code: of the last try; None if the node program never ran.
        reason: code and message of the failure, empty after a success.
        node_id: where it ran last, empty if nowhere.
    """

    batch_task_id: str
    succeeded: bool
    exit_code: int | None
    reason: str
    node_id: str


@step("add batch tasks")
def add_batch_tasks(
    services: Services,
    run: Run,
    inputs: Sequence[InputFile],
    num_words: int,
    settings: JobSettings,
) -> None:
    """Add one batch task per input; those that are there already stay as they are.

    The SDK's `create_tasks` would repeat refused ones for ever, so the chunks are sent here.

    Raises:
        BatchTasksRefused: the service did not take some of them.
    """
    container_url = write_url(services.blobs, run)
    for chunk in specs.chunks(inputs, COLLECTION_SIZE):
        tasks = [
            specs.batch_task(
                source,
                read_url(services.blobs, run, run.input_container, source.name),
                container_url,
                num_words,
                settings,
            )
            for source in chunk
        ]
        results = services.batch.create_task_collection(
            run.job_id, BatchTaskGroup(task_values=tasks)
        )
        _check_taken(run.job_id, results.result_values or [])
    get_run_logger().info("added %d batch tasks to job %s", len(inputs), run.job_id)


def _check_taken(job_id: str, results: Sequence[BatchTaskCreateResult]) -> None:
    codes = {
        result.task_id: str(result.error.code if result.error else result.status)
        for result in results
        if lowered(result.status) != "success"
    }
    refused = {task_id: code for task_id, code in codes.items() if code != "TaskExists"}
    if refused:
        told = ", ".join(f"{task_id} ({code})" for task_id, code in refused.items())
        lasting = [code for code in refused.values() if code not in TRANSIENT_CODES]
        raise BatchTasksRefused(
            f"job {job_id} did not take batch tasks {told}", (lasting or [*refused.values()])[0]
        )


@step("wait for batch tasks")
def wait_for_batch_tasks(
    services: Services, run: Run, pool: PoolSettings, job: JobSettings
) -> list[Ending]:
    """Wait until every batch task is completed, looking at pool, nodes and job as well.

    Returns:
        How each ended: completed does not mean that it succeeded.

    Raises:
        PoolError: the nodes will not run them.
        JobEnded: the job ended first.
        BatchTasksTimedOut: they took longer than the job may, and the service did not end it.
    """
    start = time.monotonic()
    limit_s = job.max_wall_clock_time_s + GRACE_S
    progress = ""
    interval_s = FIRST_INTERVAL_S
    while True:
        # The job first: if it has ended, the batch tasks read after that are final.
        job_end = _job_end(services.batch, run.job_id)
        tasks = _list_tasks(services.batch, run.job_id)
        pending = [task.id for task in tasks if lowered(task.state) != "completed"]
        if not pending:
            return [_ending(task) for task in tasks]
        if job_end:
            raise JobEnded(run.job_id, job_end, pending)
        nodes = look_at_nodes(services.batch, run.pool_id)
        waited_s = time.monotonic() - start
        if waited_s > pool.allocation_timeout_s and not any_ready(nodes):
            raise NodesNotReady(run.pool_id, waited_s, nodes)
        if waited_s > limit_s:
            raise BatchTasksTimedOut(run.job_id, limit_s, pending)
        progress = _log_progress(progress, len(tasks), len(pending), nodes)
        time.sleep(interval_s)
        interval_s = min(interval_s * INTERVAL_GROWTH, job.poll_interval_s)


def _list_tasks(batch: BatchClient, job_id: str) -> list[BatchTask]:
    return list(batch.list_tasks(job_id, select=["id", "state", "executionInfo", "nodeInfo"]))


def _job_end(batch: BatchClient, job_id: str) -> str:
    job = batch.get_job(job_id, select=["state", "executionInfo"])
    if lowered(job.state) not in {"terminating", "completed", "deleting"}:
        return ""
    info = job.execution_info
    return (info.termination_reason if info else None) or f"state {lowered(job.state)}"


def _log_progress(last: str, total: int, pending: int, nodes: dict[str, int]) -> str:
    seen = ", ".join(f"{count} {state}" for state, count in sorted(nodes.items())) or "none yet"
    progress = f"{total - pending} of {total} batch tasks completed; nodes: {seen}"
    if progress != last:
        get_run_logger().info(progress)
    return progress


def _ending(task: BatchTask) -> Ending:
    info = task.execution_info
    failure = info.failure_info if info else None
    result = lowered(info.result if info else None)
    exit_code = info.exit_code if info else None
    reason = f"{failure.code}: {failure.message}" if failure else ""
    return Ending(
        batch_task_id=task.id,
        succeeded=result == "success" and exit_code == 0,
        exit_code=exit_code,
        reason=reason,
        node_id=str(task.node_info.node_id) if task.node_info else "",
    )
