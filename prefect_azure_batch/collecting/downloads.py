"""Outputs come in while other batch tasks still run: in threads, verified, unpacked, with logs."""

import tempfile
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
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

from flows.word_count.bundles import ExitRecord, unpack
from prefect_azure_batch.collecting.verified_files import fetch
from prefect_azure_batch.errors import ConfigurationError, OutputDamaged, ServiceError, without_sas
from prefect_azure_batch.model.run import Run
from prefect_azure_batch.model.tasks import BlobPlace, Ending, Failure, PlannedTask, output_name_of
from prefect_azure_batch.service.clients import Services, step
from prefect_azure_batch.service.parallel import NUM_THREADS
from prefect_azure_batch.service.specs import log_folder

STREAMS = ("stdout.txt", "stderr.txt")
# An archive passes through memory, and what unpacking takes is processor time.
MOST_UNPACKED = 2
TAIL_BYTES = 64 * 1024
# Storage did not answer the node: neither the input nor the program is to blame.
UNREAD = "BlobDownloadMiscError"
LONGEST_LINE = 300


class Downloads:
    """What batch tasks leave, downloaded into a folder as each of them ends.

    Args:
        services: clients.
        run: names the output container.
        folder: where outputs and logs go.
        keeps_all_logs: whether stdout and stderr of good batch tasks come too.
        is_visible: whether each batch task becomes a Prefect task run.
    """

    def __init__(
        self,
        services: Services,
        run: Run,
        folder: Path,
        *,
        keeps_all_logs: bool = False,
        is_visible: bool = False,
    ) -> None:
        self._failures: dict[str, list[Failure]] = {}
        self._services, self._run, self._folder = services, run, folder
        self._keeps_all_logs, self._is_visible = keeps_all_logs, is_visible
        self._lost: dict[str, str] = {}
        self._pending: deque[Future[None]] = deque()
        self._unpacking = BoundedSemaphore(MOST_UNPACKED)
        # Prefect finds the flow run of a task run in the context.
        self._context = copy_context()
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
            RunLost: this process may not go on with the run.
        """
        # One that somebody activated again after its end ends once more.
        self._lost.pop(planned.id, None)
        self._failures.pop(planned.id, None)
        while self._pending and self._pending[0].done():
            if isinstance(self._pending[0].exception(), ServiceError):
                # Told by `finish`; the watch would take it for trouble of its own.
                break
            self._pending.popleft().result()
        self._pending.append(
            self._threads.submit(self._context.copy().run, self._take, planned, ending)
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

    def _take(self, planned: PlannedTask, ending: Ending | None) -> None:
        try:
            self._collect(planned, ending)
        except OSError as error:
            raise ConfigurationError(
                f"output_dir {str(self._folder)!r} took no file {error.filename!r}: "
                f"{error.strerror}; make room there, or name another folder"
            ) from error

    def _collect(self, planned: PlannedTask, ending: Ending | None) -> None:
        failures: list[Failure] = []
        reason = ""
        last_line = self._logs(planned, ending)
        if planned.is_bundle:
            reason, records = self._unpacked(planned)
            failures = _failed_inputs(records, planned, ending)
        elif ending is None or ending.succeeded:
            reason = "; ".join(filter(None, map(self._fetched, planned.results)))
        elif len(planned.results) > 1:
            failures = [Failure(self._without_result(planned), ending, last_line)]
        else:
            self._remove(planned)
        if ending is None:
            # An archive from an earlier attempt can tell of failed inputs: they are tried again.
            reason, failures = reason or "; ".join(_told(item) for item in failures), []
        elif ending.code == UNREAD:
            reason, failures = f"its node could not read what it needs ({UNREAD})", []
        elif not ending.succeeded:
            reason, failures = "", failures or [Failure(planned.inputs, ending, last_line)]
        if reason:
            self._lost[planned.id] = reason
        self._failures[planned.id] = failures
        self._show(planned, ending, reason or "; ".join(map(_told, failures[:3])))

    def _fetched(self, name: str) -> str:
        return fetch(self._services, self._place(name), self._folder / name)

    def _without_result(self, planned: PlannedTask) -> tuple[str, ...]:
        """Download what a failed batch task left one by one; return the inputs without results."""
        pairs = zip(planned.inputs, planned.results, strict=True)
        return tuple(name for name, result in pairs if self._fetched(result)) or planned.inputs

    def _remove(self, planned: PlannedTask) -> None:
        # What an earlier run left under these names is no result of this one.
        of_bundle = map(output_name_of, planned.inputs)
        for name in of_bundle if planned.is_bundle else planned.results:
            (self._folder / name).unlink(missing_ok=True)

    def _unpacked(self, planned: PlannedTask) -> tuple[str, Sequence[ExitRecord]]:
        """Unpack the one result of a bundle; return why it is not good, or the exit records."""
        with (
            self._unpacking,
            tempfile.TemporaryDirectory(prefix=".unpacking-", dir=self._folder) as name,
        ):
            archive = Path(name) / "archive.tar"
            reason = fetch(self._services, self._place(planned.results[0]), archive)
            if reason:
                self._remove(planned)
                return reason, ()
            try:
                return "", unpack(archive, planned.inputs, self._folder)
            except OutputDamaged as error:
                return f"{planned.results[0]!r}: {error}", ()

    def _logs(self, planned: PlannedTask, ending: Ending | None) -> str:
        """Download stdout and stderr if they are wanted; return the last line of stderr."""
        paths = [log_path(self._folder, planned.id) / name for name in STREAMS]
        if self._keeps_all_logs or (ending and not ending.succeeded):
            for path in paths:
                fetch(self._services, self._place(f"{log_folder(planned.id)}/{path.name}"), path)
                hide_signatures(path)
            return tail_of(paths[-1], 1)
        for path in paths:
            path.unlink(missing_ok=True)
        return ""

    def _place(self, name: str) -> BlobPlace:
        return BlobPlace(self._run.output_container, name)

    def _show(self, planned: PlannedTask, ending: Ending | None, reason: str) -> None:
        if self._is_visible:
            told = _summary(ending) + (f": {reason}" if reason else "")
            title = f"{planned.id}: {', '.join(planned.inputs)}"[:120]
            show(title, told, succeeded=not reason, return_state=True)


@task(name="batch task", task_run_name="{title}", cache_policy=NO_CACHE)
def show(title: str, told: str, *, succeeded: bool) -> State[Any]:
    """Be one batch task in Prefect's UI, with its state.

    Args:
        title: id and inputs.
        told: node, time and exit code.
        succeeded: whether it did, and its outputs are good.
    """
    get_run_logger().debug("%s: %s", title, told)
    return Completed(message=told) if succeeded else Failed(message=told)


@step("download outputs", is_repeated=False)
def finish_downloads(services: Services, downloads: Downloads) -> dict[str, str]:  # noqa: ARG001 - checked by step
    """Wait until everything that was begun is there.

    Returns:
        By id of a batch task that succeeded, why its outputs are not there or not good.

    Raises:
        ServiceError: the service refused, or was out of reach for too long.
    """
    return downloads.finish()


def log_path(folder: Path, batch_task_id: str) -> Path:
    """Return the folder for stdout and stderr of a batch task."""
    return folder / log_folder(batch_task_id)


def tail_of(path: Path, num_lines: int) -> str:
    """Return the end of a text file for people, without signatures; nothing if it is not there."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL_BYTES))
        lines = file.read().decode(errors="replace").rstrip().splitlines()[-num_lines:]
    return without_sas("\n".join(line[:LONGEST_LINE] for line in lines))


def hide_signatures(path: Path) -> None:
    """Take the signatures of SAS URLs, which a node program can have told, out of a log."""
    if not path.is_file():
        return
    partial = path.with_name(f".{path.name}.part")
    with path.open("rb") as told, partial.open("wb") as hidden:
        # Every byte is a character of Latin-1, and comes back as it was.
        hidden.writelines(without_sas(line.decode("latin-1")).encode("latin-1") for line in told)
    partial.replace(path)


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


def _told(failure: Failure) -> str:
    return f"input {failure.inputs[0]!r}: {failure.ending.reason}"


def _summary(ending: Ending | None) -> str:
    if ending is None:
        return "done by an earlier attempt"
    return (
        f"node {ending.node_id or '(none)'}, {ending.run_time_s:.1f} s, "
        f"exit code {ending.exit_code}, "
        f"{1 + ending.num_retries + ending.num_requeues} attempt(s)"
    )
