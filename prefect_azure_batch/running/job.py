"""The job: created before its batch tasks, told to end by itself after the last one is in."""

from datetime import UTC, datetime
from functools import partial

from azure.batch.models import BatchAllTasksCompleteMode, BatchJobUpdateOptions
from azure.core.exceptions import ResourceExistsError

from prefect_azure_batch.errors import NotOwned
from prefect_azure_batch.model.run import Run
from prefect_azure_batch.running.events import Announcer
from prefect_azure_batch.service import specs
from prefect_azure_batch.service.clients import Services, error_code, lowered, step
from prefect_azure_batch.service.sas import read_url, write_url
from prefect_azure_batch.settings import JobSettings
from prefect_azure_batch.staging.containers import program_blobs

SHORTEST_S = 60
ENDED = frozenset({"JobCompleted", "JobBeingTerminated"})
TERMINATE = BatchAllTasksCompleteMode.TERMINATE_JOB
# What the service gives as the reason if it was told to end the job after the last batch task.
BY_ITSELF = "alltaskscomplete"


@step("create job")
def create_job(services: Services, run: Run, settings: JobSettings) -> None:
    """Create the run's job on its pool, or accept its own.

    Raises:
        NotOwned: a job of that id belongs to another run.
    """
    # SAS URLs hold until the run's deadline, and then it may be deleted: a job of a later attempt
    # has only what is left of the time.
    left_s = max(SHORTEST_S, int((run.deadline - datetime.now(UTC)).total_seconds()))
    limit_s = min(settings.max_wall_clock_time_s, left_s)
    options = specs.job(
        run,
        settings.model_copy(update={"max_wall_clock_time_s": limit_s}),
        write_url(services.blobs, run),
        program_blobs(run, settings),
        partial(read_url, services.blobs, run),
    )
    try:
        services.batch.create_job(options)
    except ResourceExistsError as error:
        if error_code(error) != "JobExists":
            raise
        marks = services.batch.get_job(run.job_id, select=["metadata"]).metadata or []
        if not run.owns({item.name: item.value for item in marks}):
            raise NotOwned("job", run.job_id) from error
    Announcer(run).job("created")


@step("let the job end by itself")
def end_job_with_last_task(services: Services, run: Run) -> None:
    """Have the service end the job when all batch tasks are done, even if this process dies.

    An empty job that is told so ends at once, and an ended job takes no batch tasks: this is
    for after the last ones are in. A job that ended meanwhile is left as it is.
    """
    options = BatchJobUpdateOptions(all_tasks_complete_mode=TERMINATE)
    try:
        services.batch.update_job(run.job_id, options)
    except ResourceExistsError as error:
        if error_code(error) not in ENDED:
            raise


@step("see why the job ended")
def has_ended_by_itself(services: Services, run: Run) -> bool:
    """Tell whether a job that has ended did so because all its batch tasks had."""
    job = services.batch.get_job(run.job_id, select=["executionInfo", "onAllTasksComplete"])
    reason = lowered(job.execution_info.termination_reason if job.execution_info else None)
    is_told = lowered(job.all_tasks_complete_mode) == TERMINATE.value
    # A job that is still terminating has no reason yet.
    return is_told and reason in {"", BY_ITSELF}
