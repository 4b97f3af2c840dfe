"""Outputs that an earlier attempt left and that no longer hold: deleted before anything else.

What determines them is written down as a recipe. If it is another one now, all of them go; if
only the content of inputs changed, those that were made of these.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from azure.core.exceptions import ResourceNotFoundError
from prefect.logging import get_run_logger

from prefect_azure_batch.errors import ConfigurationError
from prefect_azure_batch.model.run import Run
from prefect_azure_batch.model.tasks import BlobPlace, InputFile, PlannedTask
from prefect_azure_batch.service.clients import Services, error_code
from prefect_azure_batch.service.parallel import in_parallel

RECIPE_BLOB = "recipe.json"
LOGS = "logs/"
# Of the word counter: they change how long the counting takes, not what comes of it.
WITHOUT_EFFECT = frozenset({"--delay", "--slots"})


def recipe_of(
    program: Path,
    inputs: Iterable[InputFile],
    levels: Iterable[Sequence[PlannedTask]],
    *,
    is_own: bool = False,
) -> bytes:
    """Return what the outputs of a run are determined by, but for the content of its files.

    Args:
        program: the node program.
        inputs: what is counted; of those in Blob Storage the version counts.
        levels: the batch tasks.
        is_own: whether the program is the user's own, whose arguments all count.

    Raises:
        ConfigurationError: the node program cannot be read.
    """
    try:
        code = program.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"the program {str(program)!r} (job.program) is unreadable: {error.strerror}"
        ) from error
    digest = hashlib.sha256(code)
    for source in inputs:
        if source.blob:
            digest.update(repr((source.blob, source.version)).encode())
    for item in (item for level in levels for item in level):
        arguments = [*item.arguments] if is_own else _effective(item.arguments)
        digest.update(repr((item.id, item.inputs, arguments, item.outputs)).encode())
    return json.dumps({"recipe": digest.hexdigest()}).encode()


def _effective(arguments: Sequence[str]) -> list[str]:
    before = ("", *arguments)
    return [
        argument
        for previous, argument in zip(before, arguments, strict=False)
        if argument not in WITHOUT_EFFECT and previous not in WITHOUT_EFFECT
    ]


def settle_outputs(
    services: Services,
    run: Run,
    recipe: bytes,
    levels: Sequence[Sequence[PlannedTask]],
    changed: frozenset[BlobPlace],
) -> None:
    """Delete the outputs that no longer hold, with the batch tasks that would write them again.

    Safe to repeat; must be done before what changed is uploaded, for then it is seen no more.

    Args:
        services: the clients.
        run: whose outputs.
        recipe: as it is now.
        levels: the batch tasks, those that read what others write after them.
        changed: blobs whose content will be another.
    """
    recipe_blob = services.blobs.get_blob_client(run.application_container, RECIPE_BLOB)
    earlier = _read(services, run)
    if earlier is None:
        # Nothing was uploaded yet, and so nothing counted.
        recipe_blob.upload_blob(recipe, overwrite=True)
    elif earlier != recipe:
        _forget(services, run, None, "settings or the set of inputs changed")
        recipe_blob.upload_blob(recipe, overwrite=True)
    elif stale := stale_tasks(run, levels, changed):
        _forget(services, run, stale, "inputs changed")


def _forget(services: Services, run: Run, stale: Sequence[PlannedTask] | None, reason: str) -> None:
    """Delete batch tasks and outputs, those of all if none is named; say so if there are any."""
    is_all = stale is None
    ids = {item.id for item in stale or ()}
    names = {name for item in stale or () for name in item.outputs}
    withdrawn = _withdraw(services, run, lambda task_id: is_all or task_id in ids)
    deleted = _delete_outputs(services, run, lambda name: is_all or name in names)
    if withdrawn or deleted:
        get_run_logger().info(
            "%s: %d outputs and %d batch tasks hold no more, and are deleted",
            *(reason, deleted, withdrawn),
        )


def stale_tasks(
    run: Run, levels: Iterable[Sequence[PlannedTask]], changed: frozenset[BlobPlace]
) -> list[PlannedTask]:
    """Return the batch tasks that read what changes, or what such batch tasks write."""
    stale: list[PlannedTask] = []
    touched = set(changed)
    for level in levels:
        found = [item for item in level if not touched.isdisjoint(_reads(item))]
        touched |= {
            BlobPlace(run.output_container, name) for item in found for name in item.outputs
        }
        stale += found
    return stale


def _reads(planned: PlannedTask) -> list[BlobPlace]:
    places = [file.blob for file in planned.files]
    return [*places, planned.url_of] if planned.url_of else places


def _read(services: Services, run: Run) -> bytes | None:
    blob = services.blobs.get_blob_client(run.application_container, RECIPE_BLOB)
    try:
        return blob.download_blob().readall()
    except ResourceNotFoundError as error:
        if error_code(error) != "BlobNotFound":
            raise
        return None


def _withdraw(services: Services, run: Run, is_meant: Callable[[str], bool]) -> int:
    """Delete batch tasks from the job, running ones too; return how many."""
    try:
        listing = services.batch.list_tasks(run.job_id, select=["id"])
        meant = [str(task.id) for task in listing if is_meant(str(task.id))]
    except ResourceNotFoundError as error:
        if error_code(error) != "JobNotFound":
            raise
        return 0

    def delete(task_id: str) -> None:
        """Delete one, if it is still there."""
        try:
            services.batch.delete_task(run.job_id, task_id)
        except ResourceNotFoundError as error:
            if error_code(error) not in {"TaskNotFound", "JobNotFound"}:
                raise

    for _ in in_parallel(delete, meant):
        services.check()
    return len(meant)


def _delete_outputs(services: Services, run: Run, is_meant: Callable[[str], bool]) -> int:
    """Delete outputs that are there, and no logs; return how many."""
    container = services.blobs.get_container_client(run.output_container)
    there = (name for name in container.list_blob_names() if not name.startswith(LOGS))
    meant = [name for name in there if is_meant(name)]

    def delete(name: str) -> None:
        """Delete one, if it is still there."""
        try:
            container.delete_blob(name)
        except ResourceNotFoundError as error:
            if error_code(error) != "BlobNotFound":
                raise

    for _ in in_parallel(delete, meant):
        services.check()
    return len(meant)
