"""Uploads: files that become blobs of the container in the environment."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import time
from typing import TYPE_CHECKING
from urllib.parse import quote

from word_counter.blocks import read_blocks
from word_counter.refusals import ExitCode, Refusal
from word_counter.storage import request, with_retries

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from word_counter.storage import Answer, Location

CREATED = 201
CONTENT_TYPES = {".gz": "application/gzip", ".tar": "application/x-tar"}


def upload(
    container: Location,
    name: str,
    path: Path,
    pause: Callable[[float], object] = time.sleep,
) -> None:
    """Put a file into a blob.

    Raises:
        Refusal: the service refused the blob, or every attempt failed.
    """
    answer = with_retries(lambda: send(container, name, path), pause)
    if not answer.done:
        raise Refusal(ExitCode.UPLOAD, f"upload of {name!r} failed: {answer.reason}")


def send(container: Location, name: str, path: Path) -> Answer:
    """Put a file into a blob once."""
    with path.open("rb") as body, contextlib.closing(container.connect()) as connection:
        digest = hashlib.md5(usedforsecurity=False)
        for _, block in read_blocks(body):
            digest.update(block)
        headers = {
            "Content-Length": str(body.tell()),
            "Content-MD5": base64.b64encode(digest.digest()).decode(),
            "Content-Type": CONTENT_TYPES.get(path.suffix, "text/plain; charset=utf-8"),
            "x-ms-blob-type": "BlockBlob",
        }
        body.seek(0)
        target = f"{container.path}/{quote(os.fsencode(name))}?{container.sas}"
        return request(connection, ("PUT", target, body, headers), CREATED)
