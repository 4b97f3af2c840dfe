"""A guarded server that says on its own output where it listens."""

import os
import re
import tempfile
import time
from pathlib import Path
from typing import IO

from local_azure.guard import Guarded

_POLL_S = 0.01
_TAIL_BYTES = 16_384
_TAIL_LINES = 8


class LocalAzureError(RuntimeError):
    """A service on the laptop cannot be installed, started or kept running."""


class Service:
    """A server under a warden, from its start to its end.

    Its output goes into a log, never into a pipe of ours: a server that writes a last line when
    we are dead must not die of a broken pipe before it has saved its data.

    Args:
        name: for messages.
        process: the server; stdout and stderr go into the log.
        log: from `open_log`; closed by `stop`.
        ready: matches the announcement in the log; group 1 is the URL.
    """

    def __init__(self, name: str, process: Guarded, log: IO[bytes], ready: re.Pattern[str]) -> None:
        self._name = name
        self._process = process
        self._log = log
        self._ready = ready
        self._url: str | None = None

    @property
    def pid(self) -> int:
        """The process id of the service's warden."""
        return self._process.pid

    @property
    def url(self) -> str:
        """Where it listens, without a trailing slash.

        Raises:
            LocalAzureError: it is not known yet, `wait_until_ready` has not returned.
        """
        if self._url is None:
            raise LocalAzureError(f"{self._name} is not ready yet: wait_until_ready() comes first")
        return self._url

    @property
    def failure(self) -> str | None:
        """How it ended, with the last lines of its log; None while it runs."""
        code = self._process.poll()
        return None if code is None else self._describe(f"ended with exit code {code}")

    def wait_until_ready(self, deadline: float) -> None:
        """Wait until it listens, up to an instant of `time.monotonic()`.

        Raises:
            LocalAzureError: it has ended, or does not listen in time.
        """
        while self._url is None:
            # Asked before the log is read: a server that listened and then ended has failed.
            failure = self.failure
            if failure:
                raise LocalAzureError(failure)
            if time.monotonic() > deadline:
                raise LocalAzureError(self._describe("does not listen in time"))
            if announced := self._ready.search(self._logged()):
                self._url = announced[1]
            else:
                time.sleep(_POLL_S)

    def release(self) -> None:
        """Ask it to end; do not wait."""
        self._process.release()

    def stop(self) -> None:
        """End it and wait until nothing is left of it."""
        self._process.stop()
        self._log.close()

    def _describe(self, event: str) -> str:
        lines = self._logged().splitlines()[-_TAIL_LINES:]
        return "\n  ".join([f"{self._name} {event}; the end of its log:", *lines])

    def _logged(self) -> str:
        """Return the end of the log; `pread` leaves alone the position, which the server shares."""
        size = os.fstat(self._log.fileno()).st_size
        start = max(0, size - _TAIL_BYTES)
        return os.pread(self._log.fileno(), _TAIL_BYTES, start).decode(errors="replace")


def open_log(path: Path | None) -> IO[bytes]:
    """Open an empty log file, without a name if it is not to be kept."""
    if path is None:
        return tempfile.TemporaryFile(buffering=0)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("w+b", buffering=0)
