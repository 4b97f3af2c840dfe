"""The job: created before its batch tasks, set to end by itself after the last one is in."""

from datetime import UTC, datetime

from azure.batch.models import BatchAllTasksCompleteMode, BatchJobUpdateOptions

from prefect_azure_batch.running.events import Announcer
from prefect_azure_batch.service import specs
from prefect_azure_batch.service.context import RunContext, WorkContext
from prefect_azure_batch.service.refusals import accepting, create_own, lowered
from prefect_azure_batch.service.step import step

SHORTEST_S = 60
ENDED = frozenset({"JobCompleted", "JobBeingTerminated"})
TERMINATE = BatchAllTasksCompleteMode.TERMINATE_JOB
# The service's reason where it was asked to end the job after the last batch task.
BY_ITSELF = "alltaskscomplete"


@step("create job")
def create_job(context: WorkContext) -> None:
    """Create the run's job on its pool, or accept its own.

    Raises:
        NotOwned: a job of that id belongs to another run.
    """
    run, batch = context.run, context.batch
    # SAS URLs hold until the run's deadline, and then it may be deleted: a job of a later attempt
    # has only what is left of the time.
    left_s = max(SHORTEST_S, int((run.deadline - datetime.now(UTC)).total_seconds()))
    limit_s = min(context.job.max_wall_clock_time_s, left_s)
    settings = context.job.model_copy(update={"max_wall_clock_time_s": limit_s})
    options = specs.job(run, context.workload, settings, context.write_url(), context.read_url)
    create_own(
        run,
        ("job", run.job_id),
        lambda: batch.create_job(options),
        "JobExists",
        lambda: specs.marks(batch.get_job(run.job_id, select=["metadata"]).metadata),
    )
    Announcer(run).job("created")


@step("let the job end by itself")
def end_job_with_last_task(context: RunContext) -> None:
    """Have the service end the job when all batch tasks are done, even if this process dies.

    An empty job that is set so ends at once, and an ended job takes no batch tasks: this is
    for after the last ones are in. A job that ended meanwhile is left as it is.
    """
    options = BatchJobUpdateOptions(all_tasks_complete_mode=TERMINATE)
    with accepting(*ENDED):
        context.batch.update_job(context.run.job_id, options)


@step("see why the job ended")
def has_ended_by_itself(context: RunContext) -> bool:
    """Tell whether a job that has ended did so because all its batch tasks had."""
    job = context.batch.get_job(context.run.job_id, select=["executionInfo", "onAllTasksComplete"])
    reason = lowered(job.execution_info.termination_reason if job.execution_info else None)
    ends_itself = lowered(job.all_tasks_complete_mode) == TERMINATE.value
    # A job that is still terminating has no reason yet.
    return ends_itself and reason in {"", BY_ITSELF}
