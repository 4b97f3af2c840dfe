"""Outputs come in while other batch tasks still run: in threads, verified, unpacked, with logs."""

import tempfile
from collections import deque
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from dataclasses import replace
from pathlib import Path
from threading import BoundedSemaphore
from types import TracebackType
from typing import Any, Self

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.states import Completed, Failed

from prefect_azure_batch.collecting.logs import STREAMS, hide_signatures, log_path, tail_of
from prefect_azure_batch.collecting.output_folder import UNPACKING
from prefect_azure_batch.collecting.verified_files import fetch
from prefect_azure_batch.errors import ConfigurationError, OutputDamaged, ServiceError
from prefect_azure_batch.model.disk_errors import not_written
from prefect_azure_batch.model.result import Ending, ExitRecord, Failure
from prefect_azure_batch.model.tasks import BlobPlace, PlannedTask
from prefect_azure_batch.model.written_files import md5_of
from prefect_azure_batch.plain_text import one_line
from prefect_azure_batch.service.context import WorkContext
from prefect_azure_batch.service.parallel import NUM_THREADS, TURN_S
from prefect_azure_batch.service.specs import log_folder
from prefect_azure_batch.service.step import step

# An archive passes through memory, and what unpacking takes is processor time.
MOST_UNPACKED = 2
# Storage did not answer the node: neither the input nor the program is to blame.
UNREAD = "BlobDownloadMiscError"


class Downloads:
    """What batch tasks leave, downloaded into the run's folder as each of them ends.

    Args:
        context: whose outputs, where to, and whether logs of good batch tasks come too.
        is_visible: whether each batch task becomes a Prefect task run.
    """

    def __init__(self, context: WorkContext, *, is_visible: bool = False) -> None:
        self._context = context
        self._folder = context.folder
        self._is_visible = is_visible
        self._failures: dict[str, list[Failure]] = {}
        self._lost: dict[str, str] = {}
        self._pending: deque[Future[None]] = deque()
        self._unpacking = BoundedSemaphore(MOST_UNPACKED)
        # Prefect finds the flow run of a task run in the context variables.
        self._variables = copy_context()
        self._threads = ThreadPoolExecutor(NUM_THREADS, "download")

    def __enter__(self) -> Self:
        """Return this."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Give up what has not begun, and wait for what has, unless the run is cancelled."""
        is_cancelled = error is not None and not isinstance(error, Exception)
        self._threads.shutdown(wait=not is_cancelled, cancel_futures=True)

    @property
    def failures(self) -> list[Failure]:
        """Batch tasks, and inputs of bundles, that failed; complete after `finish`."""
        return [failure for failures in self._failures.values() for failure in failures]

    def begin(self, planned: PlannedTask, ending: Ending | None) -> None:
        """Begin to download what a batch task left; returns at once.

        Args:
            planned: the batch task.
            ending: how it ended; None if its outputs are there from an earlier attempt.

        Raises:
            ConfigurationError: the folder took no file of an earlier one.
            RunLost: this process must not continue the run.
        """
        # One that somebody activated again after its end ends once more.
        self._lost.pop(planned.id, None)
        self._failures.pop(planned.id, None)
        while self._pending and self._pending[0].done():
            if isinstance(self._pending[0].exception(), ServiceError):
                # Raised by `finish`; the watch would take it for trouble of its own.
                break
            self._pending.popleft().result()
        self._pending.append(
            self._threads.submit(self._variables.copy().run, self._take, planned, ending)
        )

    def finish(self) -> dict[str, str]:
        """Wait for all that was begun.

        Returns:
            By id of a batch task that did not fail itself, why its outputs are not there or not
            good.

        Raises:
            ServiceError: the service refused, or was out of reach for too long.
            ConfigurationError: the folder cannot be written to.
        """
        while self._pending:
            self._pending.popleft().result()
        return dict(self._lost)

    def is_pending(self) -> bool:
        """Wait up to a second for what was begun; tell whether some of it is not done yet."""
        return bool(wait(self._pending, TURN_S, FIRST_EXCEPTION).not_done) and not any(
            future.done() and future.exception() for future in self._pending
        )

    def _take(self, planned: PlannedTask, ending: Ending | None) -> None:
        try:
            self._collect(planned, ending)
        except OSError as error:
            raise ConfigurationError(
                not_written(Path(error.filename or self._folder / planned.id), error)
            ) from error

    def _collect(self, planned: PlannedTask, ending: Ending | None) -> None:
        last_line = self._logs(planned, ending)
        if planned.unpacks_to:
            reason, failures = self._unpacked(planned, ending)
        elif ending is None or ending.succeeded:
            reason, failures = "; ".join(filter(None, map(self._fetched, planned.results))), []
        else:
            reason, failures = "", self._rescued(planned, ending, last_line)
        if ending is None:
            # An archive from an earlier attempt can have failed inputs: they are tried again.
            reason, failures = reason or "; ".join(map(_failed_input, failures)), []
        elif ending.code == UNREAD:
            reason, failures = f"its node could not read what it needs ({UNREAD})", []
        elif not ending.succeeded:
            reason, failures = "", failures or [Failure(planned.inputs, ending, last_line)]
        if reason:
            self._lost[planned.id] = reason
        self._failures[planned.id] = failures
        self._show(planned, ending, reason or "; ".join(map(_failed_input, failures[:3])))

    def _fetched(self, name: str) -> str:
        context = self._context
        return fetch(context, self._place(name), self._folder / name, context.written)

    def _rescued(self, planned: PlannedTask, ending: Ending, last_line: str) -> list[Failure]:
        """Download what a failed batch task of many inputs left, and say which have no result."""
        if len(planned.results) <= 1:
            self._remove(planned)
            return []
        pairs = zip(planned.inputs, planned.results, strict=True)
        failed = tuple(name for name, result in pairs if self._fetched(result))
        return [Failure(failed or planned.inputs, ending, last_line)]

    def _remove(self, planned: PlannedTask) -> None:
        # What an earlier run left under these names is not a result of this one.
        for name in planned.unpacks_to or planned.results:
            (self._folder / name).unlink(missing_ok=True)

    def _unpacked(self, planned: PlannedTask, ending: Ending | None) -> tuple[str, list[Failure]]:
        """Unpack the one result of a batch task; return why it is not good, or failed inputs."""
        with (
            self._unpacking,
            tempfile.TemporaryDirectory(prefix=UNPACKING, dir=self._folder) as name,
        ):
            archive, unpacked = Path(name) / "archive.tar", Path(name) / "files"
            reason = fetch(self._context, self._place(planned.results[0]), archive)
            if reason:
                self._remove(planned)
                return reason, []
            unpacked.mkdir()
            try:
                records = self._context.workload.unpack(planned, archive, unpacked)
            except OutputDamaged as error:
                self._remove(planned)
                return f"{planned.results[0]!r}: {error}", []
            for output in planned.unpacks_to:
                self._move(unpacked / output, self._folder / output)
        return "", _failed_inputs(records, planned, ending)

    def _move(self, source: Path, path: Path) -> None:
        """Bring a file to its place, whole; without one, an earlier one is deleted there."""
        if not source.is_file():
            path.unlink(missing_ok=True)
            return
        self._context.written.add(path, source.stat(), md5_of(source))
        path.parent.mkdir(parents=True, exist_ok=True)
        source.replace(path)

    def _logs(self, planned: PlannedTask, ending: Ending | None) -> str:
        """Download stdout and stderr if they are wanted; return the last line of stderr."""
        paths = [log_path(self._folder, planned.id) / name for name in STREAMS]
        if self._context.job.keep_all_logs or (ending and not ending.succeeded):
            for path in paths:
                place = self._place(f"{log_folder(planned.id)}/{path.name}")
                fetch(self._context, place, path)
                hide_signatures(path)
            return tail_of(paths[-1], 1)
        for path in paths:
            path.unlink(missing_ok=True)
        return ""

    def _place(self, name: str) -> BlobPlace:
        return BlobPlace(self._context.run.output_container, name)

    def _show(self, planned: PlannedTask, ending: Ending | None, reason: str) -> None:
        if self._is_visible:
            message = _summary(ending) + (f": {reason}" if reason else "")
            title = one_line(f"{planned.id}: {', '.join(planned.inputs)}"[:120])
            show(title, message, succeeded=not reason, return_state=True)


@task(name="batch task", task_run_name="{title}", cache_policy=NO_CACHE)
def show(title: str, message: str, *, succeeded: bool) -> State[Any]:
    """Be one batch task in Prefect's UI, with its state.

    Args:
        title: id and inputs.
        message: node, time and exit code.
        succeeded: whether it did, and its outputs are good.
    """
    get_run_logger().debug("%s: %s", title, message)
    return Completed(message=message) if succeeded else Failed(message=message)


@step("download outputs", is_repeated=False)
def finish_downloads(context: WorkContext, downloads: Downloads) -> dict[str, str]:
    """Wait until everything that was begun is there.

    Returns:
        By id of a batch task that succeeded, why its outputs are not there or not good.

    Raises:
        ServiceError: the service refused, or was out of reach for too long.
    """
    while downloads.is_pending():
        context.check()
    return downloads.finish()


def _failed_inputs(
    records: Sequence[ExitRecord], planned: PlannedTask, ending: Ending | None
) -> list[Failure]:
    whole = ending or Ending(planned.id, succeeded=False)
    return [
        Failure(
            (record.name,),
            replace(whole, succeeded=False, exit_code=record.exit_code, message=record.reason),
        )
        for record in records
        if record.exit_code
    ]


def _failed_input(failure: Failure) -> str:
    return f"input {failure.inputs[0]!r}: {failure.ending.reason}"


def _summary(ending: Ending | None) -> str:
    if ending is None:
        return "done by an earlier attempt"
    return (
        f"node {ending.node_id or '(none)'}, {ending.run_time_s:.1f} s, "
        f"exit code {ending.exit_code}, "
        f"{1 + ending.num_retries + ending.num_requeues} attempt(s)"
    )
