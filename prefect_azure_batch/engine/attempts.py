"""Who works on a run, and in which attempt: a dead run is continued, a live one left alone."""

from azure.batch.models import (
    BatchJobState,
    BatchJobUpdateOptions,
    BatchPoolState,
    BatchPoolUpdateOptions,
)
from azure.core.exceptions import HttpResponseError, ResourceExistsError
from prefect.logging import get_run_logger

from prefect_azure_batch.errors import ConfigurationError, RunIsOver
from prefect_azure_batch.messages import few
from prefect_azure_batch.model.run import MARK, PREFIX
from prefect_azure_batch.ownership.deletion import KindsToDelete, delete_attempts, delete_leftovers
from prefect_azure_batch.ownership.heartbeat import Heartbeat
from prefect_azure_batch.ownership.heartbeat_blob import ServiceClock, look_at_heartbeat
from prefect_azure_batch.ownership.liveness import read_marks
from prefect_azure_batch.running.job import ENDED
from prefect_azure_batch.service import specs
from prefect_azure_batch.service.answers import optional
from prefect_azure_batch.service.context import RunContext, WorkContext
from prefect_azure_batch.service.refusals import error_code, lowered
from prefect_azure_batch.service.step import step
from prefect_azure_batch.staging.uploads import not_stored, stored_digests

# A node or a service can lose an output once or twice; a program that writes none, always.
MOST_ATTEMPTS = 3
# A pool can take minutes.
DELETION_LIMIT_S = 1800
ATTEMPT = KindsToDelete(containers=False)


@step("find the run to resume")
def find_run(context: RunContext) -> None:
    """Check that there is a run to resume, before anything is created.

    Raises:
        ConfigurationError: nothing is left of such a run; names those that are there.
        RunIsOver: it has succeeded, and is being deleted.
    """
    run, blobs = context.run, context.blobs
    ours = {
        str(item.name)
        for item in blobs.list_containers(name_starts_with=PREFIX, include_metadata=True)
        if (item.metadata or {}).get("created_by") == MARK
    }
    if run.application_container in ours:
        seen = look_at_heartbeat(blobs, run)
        if seen and seen.beat.is_over:
            raise RunIsOver(run.name)
        return
    end = run.application_container.removeprefix(run.name)
    names = sorted(name.removesuffix(end) for name in ours if name.endswith(end))
    raise ConfigurationError(
        f"resume: nothing is left of run {run.name} in storage account "
        f"{blobs.account_name} (there is {few(names) or 'no run at all'}): name one of these, "
        "or run again without resume"
    )


@step("open attempt")
def open_attempt(context: WorkContext, heartbeat: Heartbeat) -> int:
    """Take the run, and find the attempt to work in: the last if it is active, else the next.

    An attempt is not used again if its nodes have older files of the workload.

    Returns:
        Its number; of those before it, if it is a new one, no job and pool is left.

    Raises:
        CleanUpIncomplete: a job or pool of an earlier attempt is not gone after half an hour.
        RunIsAlive: another process works on the run.
        RunTakenOver: another process was faster just now.
    """
    _take(context, heartbeat)
    last = context.in_attempt(heartbeat.attempt)
    number = last.run.attempt
    if number and _is_active(last) and _has_node_files(last) and _renew_marks(last):
        get_run_logger().info("continuing job %s", last.run.job_id)
        return number
    # Until it is gone, a node of it may still write an output, and its cores count for the quota.
    gone = delete_leftovers(last, ATTEMPT, DELETION_LIMIT_S) if number else []
    # Before anything of the attempt exists, so that whoever comes next knows of it.
    heartbeat.open_attempt(number + 1)
    if number:
        get_run_logger().info(
            "attempt %d of run %s; deleted of those before: %s",
            number + 1,
            last.run.name,
            ", ".join(gone) or "nothing",
        )
    return number + 1


@step("close attempt")
def close_attempt(context: RunContext) -> None:
    """Start the deletion of the run's job and pool: what is still to be done needs others."""
    going = delete_attempts(context)
    get_run_logger().info("attempt %d is over: %s", context.run.attempt, ", ".join(going))


def _take(context: RunContext, heartbeat: Heartbeat) -> None:
    """Take the heartbeat, then renew the marks of what it is for."""
    run, clock = context.run, ServiceClock()
    application = context.blobs.get_container_client(run.application_container)
    found = application.get_container_properties(raw_response_hook=clock)
    marks = read_marks(run.flow_run_id, [found.metadata])
    changed = optional(found.last_modified)
    age_s = clock.seconds_since(changed) if changed else 0.0
    heartbeat.take(marks.limit_s or run.heartbeat_limit_s, age_s)
    if found.metadata != run.metadata:
        for name in run.containers:
            context.blobs.get_container_client(name).set_container_metadata(run.metadata)


def _is_active(context: RunContext) -> bool:
    """Tell whether job and pool of the attempt still take work, and nothing has failed.

    A batch task that failed stays in its job: there it could only be found as failed again.
    """
    run, batch = context.run, context.batch
    try:
        job = batch.get_job(run.job_id, select=["state", "poolInfo"])
        pool = batch.get_pool(run.pool_id, select=["state"])
        counts = optional(batch.get_job_task_counts(run.job_id).task_counts)
    except HttpResponseError as error:
        if error_code(error) not in {"JobNotFound", "PoolNotFound"}:
            raise
        return False
    is_job_active = lowered(job.state) == BatchJobState.ACTIVE.value
    # Resumed with another pool, a run leaves the job where it is and opens its next attempt.
    works_on = optional(job.pool_info)
    is_job_active &= works_on is not None and works_on.pool_id == run.pool_id
    is_pool_active = lowered(pool.state) == BatchPoolState.ACTIVE.value
    # Without counts nobody knows whether something has failed.
    has_failed = counts is None or counts.failed != 0
    return is_job_active and is_pool_active and not has_failed


def _has_node_files(context: WorkContext) -> bool:
    """Tell whether nodes have the workload's files as they are now: they got them once."""
    uploads = context.workload.node_files(context.run)
    stored = stored_digests(context, (context.run.application_container,))
    return not not_stored(context, uploads, stored)


def _renew_marks(context: RunContext) -> bool:
    """Renew the marks of job and pool; return whether the job was still there to take them."""
    run, batch = context.run, context.batch
    marks = specs.metadata(run)
    try:
        batch.update_job(run.job_id, BatchJobUpdateOptions(metadata=marks))
    except ResourceExistsError as error:
        # One that ends with its last batch task can do so at any moment.
        if error_code(error) not in ENDED:
            raise
        return False
    if run.existing_pool_id is None:
        batch.update_pool(run.pool_id, BatchPoolUpdateOptions(metadata=marks))
    return True
