"""Outputs that an earlier attempt left and that no longer hold: deleted before anything else.

What determines them is written down as a recipe. If it is another one now, all of them go; if
only the content of inputs changed, those that were made of these.
"""

import hashlib
import json
from collections.abc import Callable, Sequence

from azure.core.exceptions import ResourceNotFoundError
from prefect.logging import get_run_logger

from prefect_azure_batch.model.output_record import LOG
from prefect_azure_batch.model.run import Run
from prefect_azure_batch.model.tasks import BlobPlace, Level, PlannedTask
from prefect_azure_batch.service.answers import content_of
from prefect_azure_batch.service.context import RunContext, WorkContext
from prefect_azure_batch.service.parallel import in_parallel
from prefect_azure_batch.service.refusals import accepting, error_code

RECIPE_BLOB = "recipe.json"


def recipe_of(context: WorkContext) -> bytes:
    """Return what the outputs of a run are determined by, but for the content of its files.

    Raises:
        ConfigurationError: the node program cannot be read.
    """
    digest = hashlib.sha256(context.workload.fingerprint(context.levels))
    for source in context.inputs:
        if source.blob:
            digest.update(repr((source.blob, source.version)).encode())
    for planned in (planned for level in context.levels for planned in level):
        digest.update(repr((planned.id, planned.inputs, planned.outputs)).encode())
    return json.dumps({"recipe": digest.hexdigest()}).encode()


def delete_stale_outputs(
    context: WorkContext, recipe: bytes, changed: frozenset[BlobPlace]
) -> None:
    """Delete the outputs that no longer hold, with the batch tasks that would write them again.

    Safe to repeat; must be done before what changed is uploaded, for then it is not seen again.

    Args:
        context: whose outputs.
        recipe: as it is now.
        changed: blobs whose content will be another.
    """
    recipe_blob = context.blobs.get_blob_client(context.run.application_container, RECIPE_BLOB)
    earlier = _read(context)
    if earlier is None:
        # Nothing was uploaded yet, and so nothing has run.
        recipe_blob.upload_blob(recipe, overwrite=True)
    elif earlier != recipe:
        _delete_all(context)
        recipe_blob.upload_blob(recipe, overwrite=True)
    elif stale := stale_tasks(context.run, context.levels, changed):
        _delete_some(context, stale)


def _delete_all(context: RunContext) -> None:
    num_tasks = _delete_tasks(context, lambda _id: True)
    num_outputs = _delete_outputs(context, lambda _name: True)
    _log("settings or the set of inputs changed", num_outputs, num_tasks)


def _delete_some(context: RunContext, stale: Sequence[PlannedTask]) -> None:
    num_tasks = _delete_tasks(context, {planned.id for planned in stale}.__contains__)
    names = {name for planned in stale for name in planned.outputs}
    num_outputs = _delete_outputs(context, names.__contains__)
    _log("inputs changed", num_outputs, num_tasks)


def _log(reason: str, num_outputs: int, num_tasks: int) -> None:
    if num_outputs or num_tasks:
        get_run_logger().info(
            "%s: deleted %d stale outputs and %d batch tasks", reason, num_outputs, num_tasks
        )


def stale_tasks(
    run: Run, levels: Sequence[Level], changed: frozenset[BlobPlace]
) -> list[PlannedTask]:
    """Return the batch tasks that read what changes, or what such batch tasks write."""
    stale: list[PlannedTask] = []
    touched = set(changed)
    for level in levels:
        found = [planned for planned in level if not touched.isdisjoint(_reads(planned))]
        touched |= {
            BlobPlace(run.output_container, name) for planned in found for name in planned.outputs
        }
        stale += found
    return stale


def _reads(planned: PlannedTask) -> list[BlobPlace]:
    return [*(file.blob for file in planned.files), *(place for _, place in planned.read_urls)]


def _read(context: RunContext) -> bytes | None:
    blob = context.blobs.get_blob_client(context.run.application_container, RECIPE_BLOB)
    try:
        return content_of(blob.download_blob())
    except ResourceNotFoundError as error:
        if error_code(error) != "BlobNotFound":
            raise
        return None


def _delete_tasks(context: RunContext, is_meant: Callable[[str], bool]) -> int:
    """Delete batch tasks from the job, running ones too; return how many."""
    job_id, meant = context.run.job_id, list[str]()
    with accepting("JobNotFound"):
        listing = context.batch.list_tasks(job_id, select=["id"])
        meant = [str(task.id) for task in listing if is_meant(str(task.id))]

    def delete(task_id: str) -> None:
        """Delete one, if it is still there."""
        with accepting("TaskNotFound", "JobNotFound"):
            context.batch.delete_task(job_id, task_id)

    for _ in in_parallel(delete, meant):
        context.check()
    return len(meant)


def _delete_outputs(context: RunContext, is_meant: Callable[[str], bool]) -> int:
    """Delete outputs that are there, and no logs; return how many."""
    container = context.blobs.get_container_client(context.run.output_container)
    there = (name for name in container.list_blob_names() if not LOG.fullmatch(name))
    meant = [name for name in there if is_meant(name)]

    def delete(name: str) -> None:
        """Delete one, if it is still there."""
        with accepting("BlobNotFound"):
            container.delete_blob(name)

    for _ in in_parallel(delete, meant):
        context.check()
    return len(meant)
