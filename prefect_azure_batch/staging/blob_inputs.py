"""Which blobs are worked on: those of a prefix, looked into where the workload wants it."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobProperties
from prefect.logging import get_run_logger

from prefect_azure_batch.errors import BadInput
from prefect_azure_batch.model.tasks import BlobPlace, InputFile, is_gzip
from prefect_azure_batch.model.workload import Workload
from prefect_azure_batch.plain_text import one_line
from prefect_azure_batch.service.answers import content_of, optional
from prefect_azure_batch.service.clients import Services
from prefect_azure_batch.service.refusals import error_code
from prefect_azure_batch.service.step import step
from prefect_azure_batch.settings import Selection
from prefect_azure_batch.staging.local_inputs import (
    BLOB_SCHEME,
    find_inputs,
    is_selected,
    path_below,
)

# What a workload is shown of a blob: one call brings it.
HEAD_BYTES = 64 * 1024


@step("find the inputs")
def gather_inputs(
    services: Services,
    workload: Workload[Any],
    patterns: Sequence[str],
    selection: Selection,
) -> list[InputFile]:
    """Find the inputs on this machine and in Blob Storage, and ask the workload about them.

    Every file of this machine is looked into, and the blobs that the workload names.

    Args:
        services: the clients.
        workload: says which inputs it can work on.
        patterns: files, folders, globs, and `az://container/prefix`.
        selection: which files of folders and globs, and which blobs, are worked on.

    Raises:
        BadInput: a pattern stands for nothing, or an input is not readable, or is refused.
    """

    def list_blobs(prefix: BlobPlace, selection: Selection) -> list[InputFile]:
        """Find the blobs of a prefix."""
        return _examined(services, workload, prefix, _listed(services, prefix, selection))

    return find_inputs(workload, patterns, selection, list_blobs)


def _listed(services: Services, prefix: BlobPlace, selection: Selection) -> list[InputFile]:
    container = services.blobs.get_container_client(prefix.container)
    url = f"{BLOB_SCHEME}{prefix.container}/{prefix.name}"
    try:
        # Their metadata mark folders, where the account has real ones.
        listing = list(container.list_blobs(prefix.name or None, include=["metadata"]))
    except ResourceNotFoundError as error:
        if error_code(error) != "ContainerNotFound":
            raise
        raise BadInput(f"input {url!r}: no container {prefix.container!r}") from error
    found = list(_chosen(prefix, listing, selection))
    if not found:
        raise BadInput(
            f"input {url!r}: no blob of container {prefix.container!r} begins with "
            f"{prefix.name!r} and is left by selection.include and selection.exclude"
        )
    return found


def _chosen(
    prefix: BlobPlace, listing: Sequence[BlobProperties], selection: Selection
) -> Iterator[InputFile]:
    for blob in listing:
        name = str(blob.name)
        path = path_below(prefix.name, name)
        is_folder = name.endswith("/") or (blob.metadata or {}).get("hdi_isfolder") == "true"
        if is_folder or not (name == prefix.name or is_selected(selection, path)):
            continue
        place = BlobPlace(prefix.container, name)
        if str(blob.blob_tier) == "Archive":
            raise BadInput(f"input {_url(place)!r} is in the archive tier: rehydrate it first")
        version = str(optional(blob.etag) or optional(blob.last_modified) or "")
        yield InputFile(path, int(blob.size or 0), blob=place, version=version)


def _examined(
    services: Services, workload: Workload[Any], prefix: BlobPlace, found: list[InputFile]
) -> list[InputFile]:
    """Return blobs with what their beginnings tell, of those that are looked into."""
    chosen = {source.blob for source in workload.blobs_to_examine(found)}
    examined = [
        _look(services, workload, source) if source.blob in chosen else source for source in found
    ]
    if chosen:
        get_run_logger().info(
            "%d blobs begin with %s; %d of them were looked into",
            len(found),
            one_line(_url(prefix)),
            len(chosen),
        )
    return examined


def _look(services: Services, workload: Workload[Any], source: InputFile) -> InputFile:
    if source.blob is None or source.size == 0:
        return source
    blob = services.blobs.get_blob_client(source.blob.container, source.blob.name)
    length = min(workload.head_bytes, HEAD_BYTES)
    head = content_of(blob.download_blob(offset=0, length=length))
    if refusal := workload.refusal(head):
        raise BadInput(
            f"input {_url(source.blob)!r} {refusal}, or leave it out by selection.exclude"
        )
    return replace(source, is_gzip=is_gzip(head))


def _url(place: BlobPlace) -> str:
    return f"{BLOB_SCHEME}{place.container}/{place.name}"
