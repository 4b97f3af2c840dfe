"""Which blobs are worked on: those of a prefix, looked into where the workload wants it."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobProperties
from prefect.logging import get_run_logger

from prefect_azure_batch.errors import BadInput
from prefect_azure_batch.model.left_out import LeftOut, left_out_in_words
from prefect_azure_batch.model.names import why_too_long
from prefect_azure_batch.model.output_record import RECORD_NAME, recorded_outputs
from prefect_azure_batch.model.tasks import BlobPlace, InputFile, Inputs, is_gzip
from prefect_azure_batch.model.workload import Workload
from prefect_azure_batch.plain_text import one_line
from prefect_azure_batch.service.answers import content_of, optional
from prefect_azure_batch.service.clients import Services
from prefect_azure_batch.service.parallel import in_parallel
from prefect_azure_batch.service.refusals import error_code
from prefect_azure_batch.service.step import step
from prefect_azure_batch.staging.earlier_results import EarlierResults
from prefect_azure_batch.staging.local_inputs import (
    Search,
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
    search: Search,
) -> Inputs:
    """Find the inputs on this machine and in Blob Storage, and ask the workload about them.

    Every file of this machine is looked into, and the blobs that the workload names.

    Args:
        services: the clients.
        workload: says which inputs it can work on.
        patterns: files, folders, globs, and `az://container/prefix`.
        search: how.

    Raises:
        BadInput: a pattern stands for nothing, or an input that is named is refused, or two
            inputs have one name.
    """
    inputs = find_inputs(workload, patterns, search, partial(_find_blobs, services, workload))
    if inputs.left_out:
        get_run_logger().warning("left out %s", left_out_in_words(inputs.left_out))
    return inputs


def _find_blobs(
    services: Services, workload: Workload[Any], prefix: BlobPlace, search: Search
) -> Inputs:
    """Find the blobs of a prefix, each with its name, and what of them is left out."""
    listing = _listed(services, prefix)
    reasons = _results_among(services, prefix, listing)
    sources: list[InputFile] = []
    left_out: list[LeftOut] = []
    for blob in _chosen(prefix, listing, search):
        place = BlobPlace(prefix.container, str(blob.name))
        name = search.root.name_of_blob(place, path_below(prefix.name, place.name))
        reason = reasons.get(place.url) or why_too_long(name)
        if not reason and str(blob.blob_tier) == "Archive":
            reason = "is in the archive tier: rehydrate it first"
        if reason:
            left_out.append(LeftOut(place.url, reason))
        else:
            size = int(blob.size or 0)
            version = str(optional(blob.etag) or optional(blob.last_modified) or "")
            sources.append(InputFile(name, size, blob=place, version=version, given=place.url))
    found = _examined(services, workload, prefix, sources)
    everything = Inputs(found.files, [*left_out, *found.left_out])
    _check_not_empty(workload, prefix, everything)
    return everything


def _check_not_empty(workload: Workload[Any], prefix: BlobPlace, found: Inputs) -> None:
    for item in found.left_out:
        if item.source == prefix.url:
            raise BadInput(f"input {item.source!r} {item.reason}")
    if found.files:
        return
    if found.left_out:
        raise BadInput(
            f"input {prefix.url!r}: no {workload.input_kind} in container {prefix.container!r} "
            f"begins with {prefix.name!r}; left out, {left_out_in_words(found.left_out)}"
        )
    raise BadInput(
        f"input {prefix.url!r}: no blob of container {prefix.container!r} begins with "
        f"{prefix.name!r} and is left by selection.include and selection.exclude"
    )


def _listed(services: Services, prefix: BlobPlace) -> list[BlobProperties]:
    container = services.blobs.get_container_client(prefix.container)
    try:
        # Their metadata mark folders, where the account has real ones.
        return list(container.list_blobs(prefix.name or None, include=["metadata"]))
    except ResourceNotFoundError as error:
        if error_code(error) != "ContainerNotFound":
            raise
        raise BadInput(f"input {prefix.url!r}: no container {prefix.container!r}") from error


def _chosen(
    prefix: BlobPlace, listing: Sequence[BlobProperties], search: Search
) -> Iterator[BlobProperties]:
    for blob in listing:
        name = str(blob.name)
        is_folder = name.endswith("/") or (blob.metadata or {}).get("hdi_isfolder") == "true"
        is_record = name.rpartition("/")[2] == RECORD_NAME
        path = path_below(prefix.name, name)
        is_meant = name == prefix.name or is_selected(search.selection, path)
        if is_meant and not is_folder and not is_record:
            yield blob


def _results_among(
    services: Services, prefix: BlobPlace, listing: Sequence[BlobProperties]
) -> dict[str, str]:
    """Return which blobs are copies of what runs wrote, and why that is known."""
    container = services.blobs.get_container_client(prefix.container)
    paths = [BlobPlace(prefix.container, str(blob.name)).url for blob in listing]
    records = {path for path in paths if path.rpartition("/")[2] == RECORD_NAME}

    def read_record(folder: str) -> frozenset[str] | None:
        """Read a record that was copied along with the outputs."""
        path = f"{folder}/{RECORD_NAME}"
        if path not in records:
            return None
        name = path.removeprefix(BlobPlace(prefix.container, "").url)
        return recorded_outputs(content_of(container.download_blob(name)))

    is_folder = all(path.startswith(f"{prefix.url}/") for path in paths)
    folder = prefix.url if is_folder else prefix.url.rpartition("/")[0]
    return EarlierResults(read_record).why_not([p for p in paths if p not in records], folder)


def _examined(
    services: Services, workload: Workload[Any], prefix: BlobPlace, found: list[InputFile]
) -> Inputs:
    """Return blobs with what their beginnings tell, of those that are looked into."""
    chosen = [source for source in workload.blobs_to_examine(found) if source.size]
    reasons: dict[BlobPlace | None, str] = {}
    compressed: set[BlobPlace | None] = set()
    length = min(workload.head_bytes, HEAD_BYTES)
    for turn in in_parallel(partial(_look, services, length), chosen):
        services.check()
        for place, head in turn:
            if reason := workload.refusal(head):
                reasons[place] = reason
            elif is_gzip(head):
                compressed.add(place)
    if chosen:
        get_run_logger().info(
            "%d blobs begin with %s; %d of them were looked into",
            len(found),
            one_line(prefix.url),
            len(chosen),
        )
    return Inputs(
        [replace(x, is_gzip=x.blob in compressed) for x in found if x.blob not in reasons],
        [LeftOut(x.source, reasons[x.blob]) for x in found if x.blob in reasons],
    )


def _look(services: Services, length: int, source: InputFile) -> tuple[BlobPlace | None, bytes]:
    place = source.blob or BlobPlace("", "")
    blob = services.blobs.get_blob_client(place.container, place.name)
    return source.blob, content_of(blob.download_blob(offset=0, length=length))
