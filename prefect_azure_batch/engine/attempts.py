"""Who works on a run, and in which attempt: a dead run is gone on with, a live one left alone."""

from collections.abc import Iterator

from azure.batch.models import (
    BatchJobState,
    BatchJobUpdateOptions,
    BatchPoolState,
    BatchPoolUpdateOptions,
)
from azure.core.exceptions import HttpResponseError, ResourceExistsError
from prefect.logging import get_run_logger

from prefect_azure_batch.errors import ConfigurationError, RunIsOver
from prefect_azure_batch.model.run import MARK, PREFIX, Run
from prefect_azure_batch.ownership.deletion import Kinds, delete_attempts, delete_leftovers
from prefect_azure_batch.ownership.heartbeat import Heartbeat
from prefect_azure_batch.ownership.heartbeat_blob import ServiceClock, look_at_heartbeat
from prefect_azure_batch.running.job import ENDED
from prefect_azure_batch.service import specs
from prefect_azure_batch.service.clients import Services, error_code, lowered, step
from prefect_azure_batch.settings import JobSettings
from prefect_azure_batch.staging.archives import uploads_of
from prefect_azure_batch.staging.containers import program_files
from prefect_azure_batch.staging.uploads import not_stored, stored_digests

# A node or a service can lose an output once or twice; a node program that writes none, always.
MOST_ATTEMPTS = 3
# A pool can take minutes.
DELETION_LIMIT_S = 1800
# Enough for a person to see which one was meant.
NUM_NAMED = 10


@step("find the run to resume")
def find_run(services: Services, run: Run) -> None:
    """Check that there is a run to resume, before anything is created.

    Raises:
        ConfigurationError: nothing is left of such a run; names those that are there.
        RunIsOver: it has succeeded, and is being deleted.
    """
    marked = {
        str(item.name)
        for item in services.blobs.list_containers(name_starts_with=PREFIX, include_metadata=True)
        if (item.metadata or {}).get("created_by") == MARK
    }
    if run.application_container in marked:
        seen = look_at_heartbeat(services.blobs, run)
        if seen and seen.beat.is_over:
            raise RunIsOver(run.name)
        return
    end = run.application_container.removeprefix(run.name)
    names = sorted(name.removesuffix(end) for name in marked if name.endswith(end))
    there = ", ".join(names[:NUM_NAMED]) + (" ..." if len(names) > NUM_NAMED else "")
    raise ConfigurationError(
        f"resume: nothing is left of run {run.name} in storage account "
        f"{services.blobs.account_name} (there is {there or 'no run at all'}): name one of these, "
        "or run again without resume"
    )


def attempts(services: Services, run: Run, heartbeat: Heartbeat, job: JobSettings) -> Iterator[Run]:
    """Yield the run in its attempt; then, for what was lost there, in further ones.

    Raises:
        RunIsAlive: another process works on the run.
        RunTakenOver: another process was faster just now.
    """
    for _ in range(MOST_ATTEMPTS):
        run = open_attempt(services, run, heartbeat, job)
        yield run
        close_attempt(services, run)


@step("close attempt")
def close_attempt(services: Services, run: Run) -> None:
    """Start the deletion of the run's job and pool: what is still to be done needs others."""
    going = delete_attempts(services, run)
    get_run_logger().info("attempt %d is over: %s", run.attempt, ", ".join(going))


@step("open attempt")
def open_attempt(services: Services, run: Run, heartbeat: Heartbeat, job: JobSettings) -> Run:
    """Take the run, and find the attempt to work in: the last if it is active, else the next.

    One whose nodes have another program is of no use either.

    Returns:
        The run in its attempt; of those before it, if it is a new one, no job and pool is left.

    Raises:
        CleanUpIncomplete: a job or pool of an earlier attempt is not gone after half an hour.
        RunIsAlive: another process works on the run.
        RunTakenOver: another process was faster just now.
    """
    _take(services, run, heartbeat)
    last = run.in_attempt(heartbeat.attempt)
    is_usable = last.attempt and _is_active(services, last) and _has_program(services, last, job)
    if is_usable and _is_renewed(services, last):
        get_run_logger().info("going on with job %s", last.job_id)
        return last
    # Until it is gone, a node of it may still write an output, and its cores count for the quota.
    kinds = Kinds(containers=False)
    gone = delete_leftovers(services, last, kinds, DELETION_LIMIT_S) if last.attempt else []
    # Before anything of the attempt exists, so that whoever comes next knows of it.
    heartbeat.open_attempt(last.attempt + 1)
    if last.attempt:
        told = ", ".join(gone) or "nothing"
        get_run_logger().info(
            "attempt %d of run %s; deleted of those before: %s", last.attempt + 1, run.name, told
        )
    return run.in_attempt(last.attempt + 1)


def _take(services: Services, run: Run, heartbeat: Heartbeat) -> None:
    """Take the heartbeat, then renew the marks of what it stands for."""
    clock = ServiceClock()
    found = services.blobs.get_container_client(run.application_container).get_container_properties(
        raw_response_hook=clock
    )
    limit_s = float(found.metadata["heartbeat_limit_s"])
    heartbeat.take(limit_s, clock.seconds_since(found.last_modified))
    if found.metadata != run.metadata:
        for name in run.containers:
            services.blobs.get_container_client(name).set_container_metadata(run.metadata)


def _is_active(services: Services, run: Run) -> bool:
    """Tell whether job and pool of the run's attempt still take work, and nothing has failed.

    A batch task that failed stays in its job: there it could only be found as failed again.
    """
    try:
        job = services.batch.get_job(run.job_id, select=["state", "poolInfo"])
        pool = services.batch.get_pool(run.pool_id, select=["state"])
        counts = services.batch.get_job_task_counts(run.job_id).task_counts
    except HttpResponseError as error:
        if error_code(error) not in {"JobNotFound", "PoolNotFound"}:
            raise
        return False
    is_job_active = lowered(job.state) == BatchJobState.ACTIVE.value
    # Resumed with another pool, a run leaves the job where it is and opens its next attempt.
    is_job_active &= job.pool_info.pool_id == run.pool_id
    is_pool_active = lowered(pool.state) == BatchPoolState.ACTIVE.value
    return is_job_active and is_pool_active and not counts.failed


def _has_program(services: Services, run: Run, job: JobSettings) -> bool:
    """Tell whether nodes have the program as it is now: they got it once, from the blobs."""
    uploads = uploads_of(run, program_files(job), (), ())
    return not not_stored(services, uploads, stored_digests(services, (run.application_container,)))


def _is_renewed(services: Services, run: Run) -> bool:
    """Renew the marks of job and pool; return whether the job was still there to take them."""
    marks = specs.metadata(run)
    try:
        services.batch.update_job(run.job_id, BatchJobUpdateOptions(metadata=marks))
    except ResourceExistsError as error:
        # Told to end with its last batch task, it can do so at any moment.
        if error_code(error) not in ENDED:
            raise
        return False
    if run.existing_pool_id is None:
        services.batch.update_pool(run.pool_id, BatchPoolUpdateOptions(metadata=marks))
    return True


@step("look for outputs that are there")
def verified_outputs(services: Services, run: Run, *, is_own: bool = False) -> frozenset[str]:
    """Return the names of the outputs that are there whole.

    The word counter's are never empty and have an MD5, which it sends with each of its files, and
    the service compares. Those of a program of the user's own are uploaded by Batch, at once and
    after a success only: what is there is whole; it may be empty, and without an MD5 if large.
    """
    container = services.blobs.get_container_client(run.output_container)
    return frozenset(
        str(blob.name)
        for blob in container.list_blobs()
        if is_own or (blob.size and blob.content_settings.content_md5)
    )
