"""How far a job is: as a progress artifact, an event, log lines, and for whoever else listens."""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from contextvars import ContextVar, copy_context
from dataclasses import asdict, dataclass, field
from typing import Self, cast
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.logging import get_run_logger

# Between two lines, events or new states of the artifact.
INTERVAL_S = 5.0
# Longer than any answer of a server that is there.
SERVER_LIMIT_S = 10.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the batch tasks of one level are.

    Attributes:
        total: how many there are.
        completed: how many have ended, failed ones included.
        failed: how many of these failed.
        running: how many the nodes work on.
        active: how many wait for a node.
        nodes: how many nodes are in which state, lower case.
    """

    total: int
    completed: int
    failed: int
    running: int
    active: int
    nodes: Mapping[str, int] = field(default_factory=dict)

    @property
    def percent(self) -> float:
        """The part of the batch tasks that have ended, 0 to 100."""
        return 100.0 * self.completed / self.total if self.total else 100.0

    def __str__(self) -> str:
        """Say it in one line."""
        seen = ", ".join(f"{count} {state}" for state, count in sorted(self.nodes.items()))
        failed = f", {self.failed} of them failed" if self.failed else ""
        done = f"{self.completed} of {self.total} batch tasks completed{failed}"
        return f"{done}; nodes: {seen or 'none yet'}"


on_progress: ContextVar[Callable[[Progress], None] | None] = ContextVar("on_progress", default=None)
"""Called with each new progress by the thread that runs the flow; set it before the flow runs."""


class ProgressArtifact:
    """The progress artifact, written beside the watch: a server that hangs must not hold it up.

    Args:
        work: what makes progress; a part of the artifact's key.
    """

    def __init__(self, work: str) -> None:
        self._key = f"{work}-progress"
        self._log = get_run_logger()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="progress")
        self._writing: Future[UUID] | None = None
        self._began = 0.0
        self._id: UUID | None = None
        self._is_lost = False

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Wait for what is being written, but not for a server that is away."""
        if self.is_server_there() and self._writing:
            wait_for([self._writing], timeout=SERVER_LIMIT_S)
            self._finish()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def is_server_there(self) -> bool:
        """Tell whether Prefect's server is there, as far as is known."""
        self._finish()
        is_late = self._writing is not None and time.monotonic() - self._began > SERVER_LIMIT_S
        return not (self._is_lost or is_late)

    def write(self, progress: Progress, *, is_last: bool) -> None:
        """Write a new state; one that is still being written is waited for only by the last."""
        if is_last and self._writing:
            wait_for([self._writing], timeout=SERVER_LIMIT_S)
        self._finish()
        if self._writing:
            return
        self._began = time.monotonic()
        self._writing = self._thread.submit(copy_context().run, self._send, progress)

    def _send(self, progress: Progress) -> UUID:
        if self._id is None:
            written = create_progress_artifact(progress.percent, self._key, str(progress))
        else:
            written = update_progress_artifact(self._id, progress.percent, str(progress))
        # Prefect's types know only that it could be awaited; in this thread it never is.
        return cast("UUID", written)

    def _finish(self) -> None:
        if self._writing is None or not self._writing.done():
            return
        error = self._writing.exception()
        if error is None:
            self._id = self._writing.result()
        elif not self._is_lost:
            self._log.warning("Prefect's UI shows no progress for now: %r", error)
        self._is_lost = error is not None
        self._writing = None


class Reporter:
    """Reports progress: at each change to who listens, elsewhere every few seconds.

    Args:
        artifact: Prefect's picture of it.
        announce: takes the numbers for an event.
    """

    def __init__(
        self, artifact: ProgressArtifact, announce: Callable[[Mapping[str, object]], None]
    ) -> None:
        self._artifact = artifact
        self._announce = announce
        self._log = get_run_logger()
        self._seen: Progress | None = None
        self._reported: Progress | None = None
        self._reported_at = -INTERVAL_S

    def report(self, progress: Progress, *, is_last: bool = False) -> None:
        """Report progress, if there is any."""
        listener = on_progress.get()
        if listener and progress != self._seen:
            listener(progress)
        self._seen = progress
        now = time.monotonic()
        if is_last or (progress != self._reported and now - self._reported_at >= INTERVAL_S):
            self._reported, self._reported_at = progress, now
            self._log.info("%s", progress)
            self._announce(asdict(progress))
            self._artifact.write(progress, is_last=is_last)
