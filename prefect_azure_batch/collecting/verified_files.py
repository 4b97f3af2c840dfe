"""One blob as one file: verified, read again if it came damaged, in its place only when whole."""

import hashlib
from pathlib import Path
from typing import Any

from azure.core.exceptions import HttpResponseError, ResourceNotFoundError, ServiceResponseError
from azure.storage.blob import BlobClient, BlobProperties

from prefect_azure_batch.model.disk_errors import naming
from prefect_azure_batch.model.tasks import BlobPlace
from prefect_azure_batch.model.workload import Workload
from prefect_azure_batch.model.written_files import WrittenFiles, md5_of
from prefect_azure_batch.service.clients import Services
from prefect_azure_batch.service.context import WorkContext
from prefect_azure_batch.service.outages import Backoff, outlive
from prefect_azure_batch.service.refusals import error_code, service_errors
from prefect_azure_batch.service.step import step

READS = 3
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0


def fetch(
    services: Services, place: BlobPlace, path: Path, written: WrittenFiles | None = None
) -> str:
    """Download a blob, unless the file has its content already; outages are waited out.

    Args:
        services: the clients.
        place: the blob.
        path: the file.
        written: where the file is noted, if others may write to it as well.

    Returns:
        Why there is no good file now, empty if there is one; without a good blob there is no file.

    Raises:
        ServiceError: the service refused, or was out of reach for too long.
    """

    def once() -> str:
        """Download it."""
        with service_errors(f"download {place.name}"):
            blob = services.blobs.get_blob_client(place.container, place.name)
            return _fetch(blob, path, written or WrittenFiles())

    return outlive(once, Backoff(FIRST_PAUSE_S, LONGEST_PAUSE_S), services.check)


def _fetch(blob: BlobClient, path: Path, written: WrittenFiles) -> str:
    reason = ""
    try:
        if path.is_file() and _is_same(blob, path, written):
            return ""
        path.unlink(missing_ok=True)
        for _ in range(READS):
            reason = _read(blob, path, written)
            if not reason:
                return ""
    except HttpResponseError as error:
        if error_code(error) != "BlobNotFound":
            raise
        path.unlink(missing_ok=True)
        reason = f"{blob.blob_name!r} is not there"
    return reason


def _is_same(blob: BlobClient, path: Path, written: WrittenFiles) -> bool:
    try:
        properties = blob.get_blob_properties()
    except ResourceNotFoundError:
        # The code is in a header, which can be left out; what is there is seen by reading it.
        return False
    md5, status = properties.content_settings.content_md5, path.stat()
    if md5 is None or properties.size != status.st_size or md5 != md5_of(path):
        return False
    written.add(path, status, bytes(md5))
    return True


def _read(blob: BlobClient, path: Path, written: WrittenFiles) -> str:
    """Read a blob once; return why its file is not good."""
    partial = path.with_name(f".{path.name}.part")
    md5, size = hashlib.md5(usedforsecurity=False), 0
    try:
        content = blob.download_blob()
        path.parent.mkdir(parents=True, exist_ok=True)
        with naming(path), partial.open("wb") as file:
            for block in content.chunks():
                md5.update(block)
                size += file.write(block)
        expected = content.properties.content_settings.content_md5
        if size != content.size:
            raise ServiceResponseError(f"it broke off after {size} of {content.size} bytes")
        if expected is not None and expected != md5.digest():
            return f"{blob.blob_name!r} is damaged: its {size} bytes have another MD5 than it says"
        # Its state as it was written: whatever takes its place afterwards has another.
        written.add(path, partial.stat(), md5.digest())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return ""


@step("look for outputs that are there")
def verified_outputs(context: WorkContext) -> frozenset[str]:
    """Return the names of the outputs that are there whole, as their workload can tell."""
    container = context.blobs.get_container_client(context.run.output_container)
    return frozenset(
        str(blob.name) for blob in container.list_blobs() if _is_trusted(context.workload, blob)
    )


def _is_trusted(workload: Workload[Any], blob: BlobProperties) -> bool:
    md5 = bytes(blob.content_settings.content_md5 or b"")
    return workload.trusts(int(blob.size or 0), md5)
