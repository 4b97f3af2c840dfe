"""The blob of `--range`: it is read in ranges, as long as it does not change."""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING

from word_counter.arguments import INPUT_VARIABLE
from word_counter.blocks import BLOCK_BYTES
from word_counter.encodings import can_be_cut
from word_counter.kinds import HEAD_BYTES, refuse_other_kinds
from word_counter.ranges import count_range
from word_counter.refusals import ExitCode, Refusal
from word_counter.storage import location_in, request, with_retries
from word_counter.texts import GZIP_MARK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from http.client import HTTPConnection

    from word_counter.counting import CountSettings
    from word_counter.storage import Answer, Location
    from word_counter.vocabulary import Vocabulary

DOWNLOAD_BYTES = 4 * 1024 * 1024
PARTIAL_CONTENT, NO_SUCH_RANGE = 206, 416


def count_blob_range(bounds: tuple[int, int | None], settings: CountSettings) -> Vocabulary:
    """Count the words that begin in a range of the blob that the environment names.

    Raises:
        Refusal: the blob cannot be read, or is not plain text, or the disk is full.
    """
    if not os.environ.get(INPUT_VARIABLE):
        raise Refusal(ExitCode.USAGE, f"--range needs a blob SAS URL in {INPUT_VARIABLE}")
    if not can_be_cut(settings.encoding):
        reason = f"text in {settings.encoding} cannot be counted in ranges"
        raise Refusal(ExitCode.INPUT, f"input {INPUT_VARIABLE}: {reason}")
    blob = Blob(location_in(INPUT_VARIABLE, ExitCode.INPUT, "blob"))
    refuse_other_kinds(blob.head, INPUT_VARIABLE, settings.encoding)
    if blob.head.startswith(GZIP_MARK):
        reason = "is gzip-compressed: it cannot be counted in ranges"
        raise Refusal(ExitCode.INPUT, f"input {INPUT_VARIABLE} {reason}")
    first, last = bounds
    end = blob.size if last is None else last + 1
    return count_range(blob, first, end, INPUT_VARIABLE, settings)


class Blob:
    """A blob of `size` bytes that can be read from any offset, as long as it does not change."""

    def __init__(self, location: Location, pause: Callable[[float], object] = time.sleep) -> None:
        self.location = location
        self.pause = pause
        self.headers: dict[str, str] = {}
        self.size = 0
        self.head = b""
        answer = self.get(0, HEAD_BYTES - 1)
        if answer.done:
            self.head = answer.body
            self.size = int(answer.headers["content-range"].rpartition("/")[2])
            self.headers = {"If-Match": answer.headers["etag"]}

    def get(self, first: int, last: int, connection: HTTPConnection | None = None) -> Answer:
        """Get the bytes from `first` to `last`; only an empty blob may have none of them.

        Raises:
            Refusal: the service refused, or every attempt failed.
        """
        link = connection or self.location.connect()
        answer = with_retries(lambda: self.get_once(first, last, link), self.pause)
        if connection is None:
            link.close()
        if not answer.done and (first or answer.status != NO_SUCH_RANGE):
            raise Refusal(ExitCode.INPUT, f"input {INPUT_VARIABLE}: {answer.reason}")
        return answer

    def get_once(self, first: int, last: int, connection: HTTPConnection) -> Answer:
        """Ask for the bytes from `first` to `last` once; a failure closes the connection."""
        target = f"{self.location.path}?{self.location.sas}"
        headers = {"Range": f"bytes={first}-{last}"} | self.headers
        answer = request(connection, ("GET", target, None, headers), PARTIAL_CONTENT)
        if answer.done and not answer.body:
            reason = f"{answer.reason} without content"
            answer = answer._replace(done=False, worth_a_retry=True, reason=reason)
        if not answer.done:
            connection.close()
        return answer

    def blocks(self, offset: int) -> Iterator[tuple[int, bytes]]:
        """Yield the blob from an offset on."""
        with contextlib.closing(self.location.connect()) as connection:
            while offset < self.size:
                last = min(offset + DOWNLOAD_BYTES, self.size) - 1
                body = self.get(offset, last, connection).body
                for start in range(0, len(body), BLOCK_BYTES):
                    yield offset + start, body[start : start + BLOCK_BYTES]
                offset += len(body)
