"""Level by level: what is undone is added and watched, and its outputs are in, before the next."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from prefect.logging import get_run_logger

from prefect_azure_batch.collecting.downloads import Downloads, finish_downloads
from prefect_azure_batch.collecting.failure_report import (
    failure_error,
    lost_output,
    report_failures,
)
from prefect_azure_batch.collecting.logs import STREAMS, log_path, tail_of
from prefect_azure_batch.collecting.lost_logs import download_lost_logs
from prefect_azure_batch.collecting.verified_files import verified_outputs
from prefect_azure_batch.errors import BatchTaskError, PipelineError, PoolError, ServiceError
from prefect_azure_batch.messages import few
from prefect_azure_batch.model.output_record import REPORT_NAME
from prefect_azure_batch.model.result import Ending, Failure
from prefect_azure_batch.model.tasks import Level, PlannedTask
from prefect_azure_batch.running.events import VISIBLE
from prefect_azure_batch.running.job import ENDED, end_job_with_last_task, has_ended_by_itself
from prefect_azure_batch.running.submission import add_batch_tasks
from prefect_azure_batch.running.watch import wait_for_batch_tasks
from prefect_azure_batch.service.context import WorkContext

MOST_NAMED = 3


class Levels:
    """The levels of an attempt; what an earlier one has done is not done again.

    Args:
        context: the run in its attempt.

    Attributes:
        has_job: whether this attempt has needed its pool and job already.
    """

    def __init__(self, context: WorkContext) -> None:
        self._context = context
        self._good_outputs = set(verified_outputs(context))
        self.has_job = False

    @contextmanager
    def run(self, level: Level) -> Iterator["LevelRun"]:
        """Give one level to be run; its failures, or those before an error, are reported.

        Raises:
            BatchTasksFailed: batch tasks, or some inputs of them, failed; the report is written.
            PipelineError: what the block raised.
        """
        context = self._context
        with Downloads(context, is_visible=len(level) <= VISIBLE) as downloads:
            try:
                undone = self._undone(level, downloads)
                run = LevelRun(context, undone, downloads, is_last=level is context.levels[-1])
                yield run
            except (BatchTaskError, PoolError, ServiceError) as error:
                _report_so_far(context, downloads, error)
                raise
        if downloads.failures:
            failures = [*downloads.failures, *run.lost]
            report_failures(context, failures)
            raise failure_error(failures, context.folder)

    def _undone(self, level: Level, downloads: Downloads) -> list[PlannedTask]:
        """Return the batch tasks without good outputs; the results of the others come in."""
        container = self._context.run.output_container
        done = [planned for planned in level if is_done(planned, self._good_outputs, container)]
        for planned in done:
            downloads.begin(planned, None)
        lost = finish_downloads(self._context, downloads) if done else {}
        good = {planned.id for planned in done} - lost.keys()
        if good:
            get_run_logger().info("%d batch tasks were done before", len(good))
        undone = [planned for planned in level if planned.id not in good]
        # They will be written again, so nothing that was made of them is good any more.
        self._good_outputs.difference_update(name for item in undone for name in item.outputs)
        return undone


def _report_so_far(context: WorkContext, downloads: Downloads, error: PipelineError) -> None:
    """Report what has failed before something else ended the run."""
    finish_downloads(context, downloads)
    if downloads.failures:
        report_failures(context, downloads.failures)
        error.add_note(f"batch tasks that failed before: {context.folder / REPORT_NAME}")


class LevelRun:
    """One level at work.

    Args:
        context: the run in its attempt.
        undone: the batch tasks that are to be run.
        downloads: where their outputs come in.
        is_last: whether the job ends with this level.

    Attributes:
        undone: the batch tasks that are to be run.
        lost: those that have not failed and still have no good outputs; known at the end.
    """

    def __init__(
        self,
        context: WorkContext,
        undone: Sequence[PlannedTask],
        downloads: Downloads,
        *,
        is_last: bool,
    ) -> None:
        self._context, self._downloads, self._is_last = context, downloads, is_last
        self._has_ended = False
        self._endings: Mapping[str, Ending] = {}
        self.undone = undone
        self.lost: list[Failure] = []

    def add(self) -> None:
        """Add the batch tasks; after the last level's the job ends by itself.

        A job that an earlier process has left can end by itself, as that one has asked, before
        the batch tasks that are still to be done are in: then they are lost in this attempt.
        """
        try:
            if self.undone:
                self._context.stopwatch.begin("submission")
                add_batch_tasks(self._context, self.undone)
        except ServiceError as error:
            if error.code not in ENDED or not has_ended_by_itself(self._context):
                raise
            get_run_logger().warning("job %s has ended by itself", self._context.run.job_id)
            self._has_ended = True
            return
        if self._is_last:
            end_job_with_last_task(self._context)

    def wait(self) -> None:
        """Watch the batch tasks to their ends; their outputs are downloaded meanwhile."""
        if self.undone and not self._has_ended:
            self._context.stopwatch.begin("nodes and batch tasks")
            self._endings = wait_for_batch_tasks(self._context, self.undone, self._downloads.begin)

    def finish_downloads(self) -> list[Failure]:
        """Wait for the outputs; return the batch tasks that succeeded without a good output.

        Their logs are in the folder then, as those of failed ones.
        """
        reasons = self._reasons()
        lost = [item for item in self.undone if item.id in reasons]
        ran = [item.id for item in lost if item.id in self._endings]
        if ran:
            download_lost_logs(self._context, ran)
        self.lost = [self._lost(item, reasons[item.id]) for item in lost]
        return self.lost

    def _lost(self, planned: PlannedTask, reason: str) -> Failure:
        last_line = tail_of(log_path(self._context.folder, planned.id) / STREAMS[-1], 1)
        ending = self._endings.get(planned.id, Ending(planned.id, succeeded=False, exit_code=0))
        return lost_output(planned.inputs, ending, reason, last_line)

    def _reasons(self) -> Mapping[str, str]:
        if self._has_ended:
            return {item.id: "the job had ended" for item in self.undone}
        reasons = self._missing_outputs() if self.undone else {}
        if reasons:
            lines = [f"{name}: {reason}" for name, reason in reasons.items()]
            get_run_logger().warning(
                "outputs of %d batch tasks are lost: %s", len(lines), few(lines, MOST_NAMED)
            )
        return reasons

    def _missing_outputs(self) -> Mapping[str, str]:
        """Return by batch task why an output is not there or not good, though it succeeded."""
        self._context.stopwatch.begin("download")
        reasons = finish_downloads(self._context, self._downloads)
        failed = {failure.ending.batch_task_id for failure in self._downloads.failures}
        # What is not downloaded is read by later levels.
        unseen = {item.id: set(item.outputs) - set(item.results) for item in self.undone}
        there = verified_outputs(self._context) if any(unseen.values()) else frozenset[str]()
        for name, outputs in unseen.items():
            absent = outputs - there
            if absent and name not in failed:
                reasons.setdefault(name, f"{min(absent)!r} is not there")
        return reasons


def is_done(planned: PlannedTask, good_outputs: set[str], output_container: str) -> bool:
    """Tell whether a batch task has left all its outputs, made of others that are good as well.

    Args:
        planned: the batch task.
        good_outputs: outputs that are there and not made again in this attempt.
        output_container: where they are.
    """
    reads = {file.blob.name for file in planned.files if file.blob.container == output_container}
    return good_outputs.issuperset(planned.outputs) and good_outputs.issuperset(reads)
