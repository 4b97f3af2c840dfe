"""Watching a job: until every batch task is completed, or it is plain that some never will be."""

import time

from azure.batch import BatchClient
from azure.batch.models import BatchTask, BatchTaskExecutionInfo
from prefect.logging import get_run_logger

from flows.errors import BatchTasksTimedOut, JobEnded, NodesNotReady, ServiceError, without_sas
from flows.runs import Run
from flows.services import Outage, Services, lowered, service_errors, step
from flows.settings import JobSettings, PoolSettings
from flows.steps.pool import any_ready, look_at_nodes
from flows.work import Ending

FIRST_INTERVAL_S = 0.1
INTERVAL_GROWTH = 1.3
# The service ends a job that ran out of time; our own limit only catches a service that does not.
GRACE_S = 60


@step("wait for batch tasks", is_repeated=False)
def wait_for_batch_tasks(
    services: Services, run: Run, pool: PoolSettings, job: JobSettings
) -> list[Ending]:
    """Wait until every batch task is completed, looking at pool, nodes and job as well.

    An outage of the service that lasts no longer than `OUTAGE_LIMIT_S` is waited out.

    Returns:
        How each ended: completed does not mean that it succeeded.

    Raises:
        PoolError: the nodes will not run them.
        JobEnded: the job ended first.
        BatchTasksTimedOut: they took longer than the job may, and the service did not end it.
        ServiceError: the service refused to tell, or was out of reach for too long.
    """
    watch = _Watch(run, pool, job)
    outage = Outage()
    interval_s = FIRST_INTERVAL_S
    while True:
        try:
            with service_errors("wait for batch tasks"):
                endings = watch.look(services.batch)
        except ServiceError as error:
            if not outage.bears([error]):
                raise
            get_run_logger().warning("%s; looking again", error)
        else:
            outage.bears([])
            if endings is not None:
                return endings
        time.sleep(interval_s)
        interval_s = min(interval_s * INTERVAL_GROWTH, job.poll_interval_s)


class _Watch:
    """What is remembered of a job and its pool from one look to the next."""

    def __init__(self, run: Run, pool: PoolSettings, job: JobSettings) -> None:
        self._run = run
        self._not_ready_limit_s = pool.allocation_timeout_s
        self._limit_s = job.max_wall_clock_time_s + GRACE_S
        self._began = self._last_ready = time.monotonic()
        self._progress = ""

    def look(self, batch: BatchClient) -> list[Ending] | None:
        """Return how the batch tasks ended, None while some are pending."""
        # The job first: if it has ended, the batch tasks read after that are final.
        job_end = _job_end(batch, self._run.job_id)
        tasks = _list_tasks(batch, self._run.job_id)
        pending = [task.id for task in tasks if lowered(task.state) != "completed"]
        if not pending:
            return [_ending(task) for task in tasks]
        if job_end:
            raise JobEnded(self._run.job_id, job_end, pending)
        nodes = look_at_nodes(batch, self._run.pool_id)
        self._check_times(nodes, pending)
        self._log_progress(len(tasks), len(pending), nodes)
        return None

    def _check_times(self, nodes: dict[str, int], pending: list[str]) -> None:
        now = time.monotonic()
        # A node that has worked can be out of touch for a while, or restart.
        self._last_ready = now if any_ready(nodes) else self._last_ready
        if now - self._last_ready > self._not_ready_limit_s:
            raise NodesNotReady(self._run.pool_id, self._not_ready_limit_s, nodes)
        if now - self._began > self._limit_s:
            raise BatchTasksTimedOut(self._run.job_id, self._limit_s, pending)

    def _log_progress(self, total: int, num_pending: int, nodes: dict[str, int]) -> None:
        seen = ", ".join(f"{count} {state}" for state, count in sorted(nodes.items())) or "none yet"
        progress = f"{total - num_pending} of {total} batch tasks completed; nodes: {seen}"
        if progress != self._progress:
            get_run_logger().info(progress)
        self._progress = progress


def _list_tasks(batch: BatchClient, job_id: str) -> list[BatchTask]:
    return list(batch.list_tasks(job_id, select=["id", "state", "executionInfo", "nodeInfo"]))


def _job_end(batch: BatchClient, job_id: str) -> str:
    job = batch.get_job(job_id, select=["state", "executionInfo"])
    if lowered(job.state) not in {"terminating", "completed", "deleting"}:
        return ""
    info = job.execution_info
    return (info.termination_reason if info else None) or f"state {lowered(job.state)}"


def _ending(task: BatchTask) -> Ending:
    info = task.execution_info
    failure = info.failure_info if info else None
    exit_code = info.exit_code if info else None
    return Ending(
        batch_task_id=task.id,
        succeeded=lowered(info.result if info else None) == "success" and exit_code == 0,
        exit_code=exit_code,
        category=lowered(failure.category) if failure else "",
        code=str(failure.code or "") if failure else "",
        message=without_sas(str(failure.message or "")) if failure else "",
        node_id=str(task.node_info.node_id) if task.node_info else "",
        num_retries=info.retry_count or 0 if info else 0,
        num_requeues=info.requeue_count or 0 if info else 0,
        run_time_s=_run_time_s(info),
    )


def _run_time_s(info: BatchTaskExecutionInfo | None) -> float:
    if info is None or info.start_time is None or info.end_time is None:
        return 0.0
    return (info.end_time - info.start_time).total_seconds()
