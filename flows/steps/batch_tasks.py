"""The batch tasks: added in collections; those that are there already stay as they are."""

from collections.abc import Sequence
from functools import partial
from http import HTTPStatus

from azure.batch.models import BatchTaskCreateResult, BatchTaskGroup
from prefect.logging import get_run_logger

from flows import specs
from flows.errors import BatchTasksRefused
from flows.runs import Run
from flows.sas import read_url, write_url
from flows.services import Services, lowered, step
from flows.settings import JobSettings
from flows.work import PlannedTask

# What the service takes in one call.
COLLECTION_SIZE = 100


@step("add batch tasks")
def add_batch_tasks(
    services: Services,
    run: Run,
    planned: Sequence[PlannedTask],
    job: JobSettings,
) -> None:
    """Add batch tasks to the job; those that are there already stay as they are.

    The SDK's `create_tasks` would repeat refused ones for ever, so the chunks are sent here.

    Raises:
        BatchTasksRefused: the service did not take some of them.
    """
    container_url = write_url(services.blobs, run)
    url_of = partial(read_url, services.blobs, run)
    for chunk in specs.chunks(planned, COLLECTION_SIZE):
        tasks = [specs.batch_task(item, url_of, container_url, job) for item in chunk]
        results = services.batch.create_task_collection(
            run.job_id, BatchTaskGroup(task_values=tasks)
        )
        check_taken(run.job_id, results.result_values or [])
    get_run_logger().info("added %d batch tasks to job %s", len(planned), run.job_id)


def check_taken(job_id: str, results: Sequence[BatchTaskCreateResult]) -> None:
    """Check that a job has every batch task of a collection.

    Raises:
        BatchTasksRefused: it has not; transient if the service takes the blame for all of them.
    """
    refused = {
        result.task_id: result
        for result in results
        if lowered(result.status) != "success" and _code(result) != "TaskExists"
    }
    if refused:
        told = ", ".join(f"{task_id} ({_code(result)})" for task_id, result in refused.items())
        lasting = [item for item in refused.values() if lowered(item.status) != "servererror"]
        raise BatchTasksRefused(
            f"job {job_id} did not take batch tasks {told}",
            _code((lasting or [*refused.values()])[0]),
            None if lasting else HTTPStatus.SERVICE_UNAVAILABLE,
        )


def _code(result: BatchTaskCreateResult) -> str:
    return str(result.error.code) if result.error else lowered(result.status)
