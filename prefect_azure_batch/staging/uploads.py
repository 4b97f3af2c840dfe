"""Uploading in parallel: what is there already with the same content is left out."""

import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import IO

from azure.storage.blob import ContentSettings
from prefect.logging import get_run_logger

from prefect_azure_batch.errors import BadInput
from prefect_azure_batch.model.tasks import BlobPlace, Upload
from prefect_azure_batch.service.clients import Services
from prefect_azure_batch.service.parallel import NUM_THREADS, in_parallel
from prefect_azure_batch.staging.archives import md5_of, opened, readable_size

# What is larger passes through memory in pieces of some megabytes, and fills a line with fewer.
LARGE_BYTES = 256 * 1024
NUM_LARGE = 3
LOG_INTERVAL_S = 5.0


def stored_digests(services: Services, containers: Iterable[str]) -> dict[BlobPlace, bytes]:
    """Return the digest of every blob in some containers, as the listing has it."""
    return {
        BlobPlace(name, str(blob.name)): bytes(blob.content_settings.content_md5 or b"")
        for name in containers
        for blob in services.blobs.get_container_client(name).list_blobs()
    }


def not_stored(
    services: Services, uploads: Sequence[Upload], stored: dict[BlobPlace, bytes]
) -> list[Upload]:
    """Return what is not there, or with other content.

    Args:
        services: whose run must still be alive.
        uploads: what should be there.
        stored: the digests of what is; only what has a counterpart there is read here.

    Raises:
        BadInput: a file cannot be read.
    """

    def is_same(upload: Upload) -> tuple[BlobPlace, bool]:
        """Tell whether the content is that of the blob which is there."""
        with opened(upload) as file:
            return upload.place, md5_of(file) == stored[upload.place]

    same: set[BlobPlace] = set()
    for turn in in_parallel(is_same, (item for item in uploads if item.place in stored)):
        services.check()
        same |= {place for place, is_there in turn if is_there}
    return [upload for upload in uploads if upload.place not in same]


def send_all(services: Services, uploads: Sequence[Upload]) -> None:
    """Upload in parallel, and say how far it is every few seconds.

    Raises:
        BadInput: a file cannot be read, or changed as it was uploaded.
    """
    progress = _UploadProgress(len(uploads), sum(upload.size for upload in uploads))
    large = [upload for upload in uploads if upload.size > LARGE_BYTES]
    small = [upload for upload in uploads if upload.size <= LARGE_BYTES]
    for some, num_threads in ((large, NUM_LARGE), (small, NUM_THREADS)):
        for turn in in_parallel(partial(_send, services, progress.add), some, num_threads):
            services.check()
            progress.log(len(turn))


class _UploadProgress:
    """How much of the uploads is done; several threads add to it."""

    def __init__(self, num_blobs: int, num_bytes: int) -> None:
        self._num_blobs = num_blobs
        self._num_bytes = num_bytes
        self._sent_blobs = 0
        self._sent_bytes = 0
        self._lock = threading.Lock()
        self._logged = time.monotonic()

    def add(self, num_bytes: int) -> None:
        """Count bytes that were sent."""
        with self._lock:
            self._sent_bytes += num_bytes

    def log(self, num_blobs: int) -> None:
        """Count blobs that are there, and log the progress if it is time."""
        self._sent_blobs += num_blobs
        now = time.monotonic()
        if now - self._logged > LOG_INTERVAL_S:
            self._logged = now
            get_run_logger().info(
                "uploaded %s of %s, %d of %d blobs",
                readable_size(self._sent_bytes),
                readable_size(self._num_bytes),
                self._sent_blobs,
                self._num_blobs,
            )


def _send(services: Services, add: Callable[[int], None], upload: Upload) -> None:
    sent = 0

    def on_progress(num_bytes: int, _total: int | None) -> None:
        """Count what was sent since the last time."""
        nonlocal sent
        add(num_bytes - sent)
        sent = num_bytes

    with opened(upload) as file:
        before = _state(upload, file)
        digest = md5_of(file)
        blob = services.blobs.get_blob_client(upload.place.container, upload.place.name)
        # The service keeps a digest of its own only for what comes in one request.
        settings = ContentSettings(content_md5=bytearray(digest))
        blob.upload_blob(
            file,
            length=file.seek(0, os.SEEK_END) - file.seek(0),
            overwrite=True,
            content_settings=settings,
            progress_hook=on_progress,
        )
        if _state(upload, file) != before:
            raise BadInput(f"{str(upload.content)!r} changed as it was uploaded: run again")


def _state(upload: Upload, file: IO[bytes]) -> tuple[int, int] | None:
    """Return size and time of a file that somebody else could write to."""
    if isinstance(upload.content, bytes | tuple):
        return None
    status = os.fstat(file.fileno())
    return status.st_size, status.st_mtime_ns
