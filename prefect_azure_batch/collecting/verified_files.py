"""One blob as one file: verified, read again if it came damaged, in its place only when whole."""

import hashlib
from pathlib import Path
from typing import Any

from azure.core.exceptions import DecodeError, HttpResponseError
from azure.storage.blob import BlobClient, BlobProperties

from prefect_azure_batch.errors import ServiceError
from prefect_azure_batch.model.tasks import BlobPlace
from prefect_azure_batch.model.workload import Workload
from prefect_azure_batch.model.written_files import naming
from prefect_azure_batch.service.clients import Services
from prefect_azure_batch.service.context import WorkContext
from prefect_azure_batch.service.outages import Backoff, Outage
from prefect_azure_batch.service.refusals import error_code, service_errors
from prefect_azure_batch.service.step import step

READS = 3
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0


def fetch(services: Services, place: BlobPlace, path: Path) -> str:
    """Download a blob, unless the file has its content already; outages are waited out.

    Returns:
        Why there is no good file now, empty if there is one; without a good blob there is no file.

    Raises:
        ServiceError: the service refused, or was out of reach for too long.
    """
    outage, pause = Outage(), Backoff(FIRST_PAUSE_S, LONGEST_PAUSE_S)
    while True:
        services.check()
        try:
            with service_errors(f"download {place.name}"):
                return _fetch(services.blobs.get_blob_client(place.container, place.name), path)
        except ServiceError as error:
            outage.endure(error)
        pause.wait()


def _fetch(blob: BlobClient, path: Path) -> str:
    reason = ""
    try:
        if path.is_file() and _is_same(blob.get_blob_properties(), path):
            return ""
        path.unlink(missing_ok=True)
        for _ in range(READS):
            reason = _read(blob, path)
            if not reason:
                return ""
    except HttpResponseError as error:
        if error_code(error) != "BlobNotFound":
            raise
        path.unlink(missing_ok=True)
        reason = f"{blob.blob_name!r} is not there"
    return reason


def _is_same(properties: BlobProperties, path: Path) -> bool:
    md5 = properties.content_settings.content_md5
    return md5 is not None and properties.size == path.stat().st_size and md5 == _md5_of(path)


def _md5_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, _md5).digest()


def _md5() -> "hashlib._Hash":
    return hashlib.md5(usedforsecurity=False)


def _read(blob: BlobClient, path: Path) -> str:
    """Read a blob once; return why its file is not good."""
    partial = path.with_name(f".{path.name}.part")
    md5, size = _md5(), 0
    try:
        content = blob.download_blob()
        path.parent.mkdir(parents=True, exist_ok=True)
        with naming(path), partial.open("wb") as file:
            for block in content.chunks():
                md5.update(block)
                size += file.write(block)
        expected = content.properties.content_settings.content_md5
        if size != content.size or (expected is not None and expected != md5.digest()):
            return f"{blob.blob_name!r} is damaged: its {size} bytes have another MD5 than it says"
        partial.replace(path)
    except HttpResponseError as error:
        # Without a status it was no answer of the service, but the line that broke.
        if error.status_code is not None and not isinstance(error, DecodeError):
            raise
        return f"{blob.blob_name!r} came damaged ({type(error).__name__})"
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
