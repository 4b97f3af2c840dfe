"""Level by level: batch tasks are added, watched, and their outputs in, before the next level."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from prefect.logging import get_run_logger

from prefect_azure_batch.collecting.downloads import Downloads, finish_downloads
from prefect_azure_batch.collecting.failure_report import (
    REPORT_NAME,
    failure_error,
    forget_failures,
    lost_output,
    report_failures,
)
from prefect_azure_batch.engine.attempts import verified_outputs
from prefect_azure_batch.engine.stopwatch import Phases
from prefect_azure_batch.errors import BatchTaskError, PipelineError, PoolError, ServiceError
from prefect_azure_batch.model.run import Run
from prefect_azure_batch.model.tasks import Failure, PlannedTask
from prefect_azure_batch.running.events import VISIBLE
from prefect_azure_batch.running.job import ENDED, end_job_with_last_task, has_ended_by_itself
from prefect_azure_batch.running.submission import add_batch_tasks
from prefect_azure_batch.running.watch import wait_for_batch_tasks
from prefect_azure_batch.service.clients import Services
from prefect_azure_batch.settings import JobSettings, PoolSettings

NUM_TOLD = 3


@dataclass(frozen=True)
class Levels:
    """What the levels of a run have in common.

    Attributes:
        services: clients.
        run: in its attempt.
        pool: which nodes.
        job: limits, and which logs are kept.
        folder: where outputs and logs go.
        phases: the stopwatch of the run.
        begin: called before the first batch task, if there is any to be done: makes pool and job.
    """

    services: Services
    run: Run
    pool: PoolSettings
    job: JobSettings
    folder: Path
    phases: Phases
    begin: Callable[[], None]
    _renewed: set[str] = field(default_factory=set, init=False)

    def count(self, levels: Sequence[Sequence[PlannedTask]]) -> list[Failure]:
        """Run all levels; what an earlier attempt has done is not repeated.

        Returns:
            Batch tasks that did not fail and have no good outputs: another attempt makes them
            again. Nothing is lost if the list is empty.

        Raises:
            BatchTasksFailed: batch tasks, or inputs of bundles, failed; the report is written.
            PipelineError: the batch tasks cannot be run to their ends.
        """
        is_own = self.job.program is not None
        verified = verified_outputs(self.services, self.run, is_own=is_own)
        has_begun = False
        for number, level in enumerate(levels, start=1):
            with Downloads(
                self.services,
                self.run,
                self.folder,
                keeps_all_logs=self.job.keep_all_logs,
                is_visible=len(level) <= VISIBLE,
            ) as downloads:
                try:
                    undone = self._undone(level, verified, downloads)
                    if undone and not has_begun:
                        self.begin()
                        has_begun = True
                    ends_job = has_begun and number == len(levels)
                    lost = self._run(undone, downloads, ends_job=ends_job)
                except (BatchTaskError, PoolError, ServiceError) as error:
                    self._report_so_far(downloads, error)
                    raise
            if downloads.failures:
                failures = downloads.failures + lost
                report_failures(self.services, self.run, failures, self.folder)
                raise failure_error(failures, self.folder)
            if lost:
                return lost
        forget_failures(self.folder)
        return []

    def _report_so_far(self, downloads: Downloads, error: PipelineError) -> None:
        """Report what has failed before something else ended the run."""
        finish_downloads(self.services, downloads)
        if downloads.failures:
            report_failures(self.services, self.run, downloads.failures, self.folder)
            error.add_note(f"batch tasks that failed before: {self.folder / REPORT_NAME}")

    def _undone(
        self, level: Sequence[PlannedTask], verified: frozenset[str], downloads: Downloads
    ) -> list[PlannedTask]:
        """Return the batch tasks without good outputs; the results of the others come in."""
        there = verified - self._renewed
        done = [item for item in level if is_done(item, there, self.run.output_container)]
        for item in done:
            downloads.begin(item, None)
        lost = finish_downloads(self.services, downloads) if done else {}
        good = {item.id for item in done} - lost.keys()
        if good:
            get_run_logger().info("%d batch tasks were done before", len(good))
        undone = [item for item in level if item.id not in good]
        self._renewed.update(name for item in undone for name in item.outputs)
        return undone

    def _run(
        self, planned: list[PlannedTask], downloads: Downloads, *, ends_job: bool
    ) -> list[Failure]:
        """Run batch tasks to their ends; return those that have no outputs for all that."""
        if planned and not self._add(planned):
            return [lost_output(item.inputs, item.id, "the job had ended") for item in planned]
        if ends_job:
            end_job_with_last_task(self.services, self.run)
        lost = self._watch(planned, downloads) if planned else {}
        if lost:
            told = "; ".join(f"{name}: {why}" for name, why in [*lost.items()][:NUM_TOLD])
            get_run_logger().warning("outputs of %d batch tasks are lost: %s", len(lost), told)
        return [
            lost_output(item.inputs, item.id, lost[item.id]) for item in planned if item.id in lost
        ]

    def _add(self, planned: list[PlannedTask]) -> bool:
        """Add batch tasks; return whether the job took them.

        One that goes on from an earlier process can end by itself, as that one told it to, before
        the batch tasks that are still to be done are in.
        """
        self.phases.begin("submission")
        try:
            add_batch_tasks(self.services, self.run, planned, self.job)
        except ServiceError as error:
            if error.code not in ENDED or not has_ended_by_itself(self.services, self.run):
                raise
            get_run_logger().warning("job %s has ended by itself", self.run.job_id)
            return False
        return True

    def _watch(self, planned: list[PlannedTask], downloads: Downloads) -> dict[str, str]:
        """Watch batch tasks to their ends; return why outputs of good ones are not good."""
        self.phases.begin("nodes and counting")
        wait_for_batch_tasks(self.services, self.run, planned, self.pool, self.job, downloads.begin)
        self.phases.begin("download")
        lost = finish_downloads(self.services, downloads)
        failed = {failure.ending.batch_task_id for failure in downloads.failures}
        if any(set(item.outputs) - set(item.results) for item in planned):
            there = verified_outputs(self.services, self.run)
            for item in planned:
                absent = set(item.outputs) - set(item.results) - there
                if absent and item.id not in failed:
                    lost.setdefault(item.id, f"{min(absent)!r} is not there")
        return lost


def is_done(planned: PlannedTask, there: frozenset[str], output_container: str) -> bool:
    """Tell whether a batch task has left all its outputs, made of counts that still hold.

    Args:
        planned: the batch task.
        there: outputs that are there and not made anew in this attempt.
        output_container: where the counts are.
    """
    counts = {file.blob.name for file in planned.files if file.blob.container == output_container}
    return there.issuperset(planned.outputs) and there.issuperset(counts)
