"""The job: created before its batch tasks, told to end by itself after the last one is in."""

from functools import partial

from azure.batch.models import BatchAllTasksCompleteMode, BatchJobUpdateOptions
from azure.core.exceptions import ResourceExistsError

from flows import specs
from flows.errors import NotOwned
from flows.events import Announcer
from flows.runs import Run
from flows.sas import read_url, write_url
from flows.services import Services, error_code, step
from flows.settings import JobSettings
from flows.steps.storage import program_blobs


@step("create job")
def create_job(services: Services, run: Run, settings: JobSettings) -> None:
    """Create the run's job on its pool, or accept its own.

    Raises:
        NotOwned: a job of that id belongs to another run.
    """
    options = specs.job(
        run,
        settings,
        write_url(services.blobs, run),
        program_blobs(run, settings.node_program),
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
    options = BatchJobUpdateOptions(all_tasks_complete_mode=BatchAllTasksCompleteMode.TERMINATE_JOB)
    try:
        services.batch.update_job(run.job_id, options)
    except ResourceExistsError as error:
        if error_code(error) not in {"JobCompleted", "JobBeingTerminated"}:
            raise
