"""Stdout and stderr of batch tasks that left no good output, read from their nodes.

Batch uploads the logs of what fails; these have not failed, so their logs go with their nodes.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from prefect.logging import get_run_logger

from prefect_azure_batch.collecting.logs import STREAMS, hide_signatures, log_path
from prefect_azure_batch.errors import ServiceError
from prefect_azure_batch.model.disk_errors import naming
from prefect_azure_batch.service.context import WorkContext
from prefect_azure_batch.service.outages import Backoff, outlive
from prefect_azure_batch.service.parallel import in_parallel
from prefect_azure_batch.service.refusals import service_errors
from prefect_azure_batch.service.step import step

# Two calls for each: of more, the first ones are evidence enough.
MOST_LOST = 1000
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0


@step("download the logs of what is lost", is_repeated=False)
def download_lost_logs(context: WorkContext, batch_task_ids: Sequence[str]) -> None:
    """Download what the nodes still have of them, beside the logs of failed batch tasks.

    Where there is none, or no node any more, the run goes on without: it is only evidence.

    Args:
        context: whose job, and the folder.
        batch_task_ids: those that did not fail themselves.
    """
    ids = batch_task_ids[:MOST_LOST]
    reasons: list[str] = []
    for turn in in_parallel(partial(_download, context), ids):
        context.check()
        reasons += filter(None, turn)
    if reasons:
        get_run_logger().warning(
            "the logs of %d batch tasks could not be read: %s", len(reasons), reasons[0]
        )


def _download(context: WorkContext, batch_task_id: str) -> str:
    """Download both logs of one; return why there is none, empty if they are there."""
    try:
        for name in STREAMS:
            path = log_path(context.folder, batch_task_id) / name
            once = partial(_read, context, batch_task_id, path)
            outlive(once, Backoff(FIRST_PAUSE_S, LONGEST_PAUSE_S), context.check)
    except ServiceError as error:
        return str(error)
    return ""


def _read(context: WorkContext, batch_task_id: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    partial_path = path.with_name(f".{path.name}.part")
    try:
        with (
            service_errors(f"read {path.name} of {batch_task_id}"),
            naming(path),
            partial_path.open("wb") as log,
        ):
            log.writelines(
                context.batch.download_task_file(context.run.job_id, batch_task_id, path.name)
            )
        partial_path.replace(path)
    finally:
        partial_path.unlink(missing_ok=True)
    hide_signatures(path)
