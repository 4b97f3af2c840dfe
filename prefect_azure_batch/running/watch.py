"""Watching a job: until every batch task has ended, or it is plain that some never will.

What a look costs does not depend on how many batch tasks there are: the job, two counts and the
pool are four calls, and only what has changed is listed.
"""

import random
import time
from collections import Counter
from collections.abc import Sequence

from azure.batch.models import BatchJob, BatchTaskCounts, BatchTaskCountsResult

from prefect_azure_batch.errors import (
    BatchTasksTimedOut,
    JobEnded,
    NodesNotReady,
    NothingRuns,
    ServiceError,
)
from prefect_azure_batch.model.result import Ending
from prefect_azure_batch.model.tasks import PlannedTask
from prefect_azure_batch.running.events import Announcer
from prefect_azure_batch.running.job_preparation import failed_preparations
from prefect_azure_batch.running.pool_watch import PoolWatch
from prefect_azure_batch.running.progress import Progress, ProgressArtifact, Reporter
from prefect_azure_batch.running.task_watch import OnEnded, TaskWatch
from prefect_azure_batch.service.answers import optional
from prefect_azure_batch.service.context import WorkContext
from prefect_azure_batch.service.outages import Outage
from prefect_azure_batch.service.refusals import lowered, service_errors
from prefect_azure_batch.service.signals import pause
from prefect_azure_batch.service.step import step

FIRST_INTERVAL_S = 0.1
INTERVAL_GROWTH = 1.3
INTERVAL_SHRINKAGE = 0.5
# While things move, looking costs about this part of the whole time at most.
LOOKING_PART = 0.02
JITTER = 0.2
# The service ends a job that ran out of time; our own limit only catches a service that does not.
GRACE_S = 60
AFTER_ERROR_S = 0.5
# Counts of the service may be wrong for a while; lists are not.
LIST_ANYWAY_S = 60
ENDING_STATES = frozenset({"terminating", "completed", "deleting"})


@step("wait for batch tasks", is_repeated=False)
def wait_for_batch_tasks(
    context: WorkContext, planned: Sequence[PlannedTask], on_ended: OnEnded
) -> dict[str, Ending]:
    """Wait until the batch tasks have ended, looking at pool, nodes and job as well.

    An outage of the service that lasts no longer than `OUTAGE_LIMIT_S` is waited out.

    Args:
        context: whose job and pool, how long they may take, and how often to look.
        planned: the batch tasks to wait for; the job can hold others that have ended.
        on_ended: called in this thread with each batch task as it ends, and must be quick; one
            that somebody activates again after its end ends once more.

    Returns:
        How each ended, by id: completed does not mean that it succeeded.

    Raises:
        PoolError: nothing runs, and waiting will not change that.
        JobEnded: the job ended first.
        BatchTasksTimedOut: they took longer than the job may, and the service did not end it.
        ServiceError: the service refused to answer, or was out of reach for too long.
        HeartbeatLost: this process must not continue the run.
    """
    outage = Outage()
    interval = Interval(context.job.poll_interval_s)
    with ProgressArtifact(context.workload.name) as artifact:
        watch = _Watch(context, planned, on_ended, artifact)
        while not _look(watch, outage, context):
            pause(interval.after(is_changed=watch.is_changed))
        return watch.task_watch.found


def _look(watch: "_Watch", outage: Outage, context: WorkContext) -> bool:
    """Look once; return whether all is over."""
    context.check()
    try:
        with service_errors("wait for batch tasks"):
            is_over = watch.look()
    except ServiceError as error:
        outage.wait(error, AFTER_ERROR_S)
        return False
    outage.end()
    return is_over


class Interval:
    """How long to wait between two looks: short at first, longer while nothing changes.

    Args:
        longest_s: the longest.
    """

    def __init__(self, longest_s: float) -> None:
        self._longest_s = longest_s
        self._began = time.monotonic()
        self._interval_s = min(FIRST_INTERVAL_S, longest_s)

    def after(self, *, is_changed: bool) -> float:
        """Return seconds to wait after a look, spread so that many runs do not ask as one."""
        factor = INTERVAL_SHRINKAGE if is_changed else INTERVAL_GROWTH
        shortest_s = max(FIRST_INTERVAL_S, LOOKING_PART * (time.monotonic() - self._began))
        wanted_s = max(self._interval_s * factor, shortest_s)
        self._interval_s = min(wanted_s, self._longest_s)
        return self._interval_s * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - no secret


class _Watch:
    """What is remembered of a job and its pool from one look to the next."""

    def __init__(
        self,
        context: WorkContext,
        planned: Sequence[PlannedTask],
        on_ended: OnEnded,
        artifact: ProgressArtifact,
    ) -> None:
        self._context = context
        self._batch, self._run = context.batch, context.run
        self._num_planned = len(planned)
        self._announcer = Announcer(self._run, artifact.is_server_there)
        self._pool = PoolWatch(self._batch, self._run, self._announcer)
        self._reporter = Reporter(artifact, self._announcer.progress)
        self.task_watch = TaskWatch(
            self._batch, self._run.job_id, planned, context.job, self._announcer, on_ended
        )
        self.is_changed = False
        self._job_state = ""
        self._counts: Counter[str] | None = None
        self._began = self._last_able = self._last_listed = time.monotonic()

    def look(self) -> bool:
        """Look at everything; return whether all batch tasks have ended."""
        # The job first: if it has ended, the batch tasks read after that are final.
        job = self._batch.get_job(self._run.job_id, select=["state", "executionInfo"])
        self._see_job(job)
        counts = _counts_of(self._batch.get_job_task_counts(self._run.job_id))
        is_moved = self._see_counts(counts)
        has_ended = self._job_state in ENDING_STATES
        if has_ended or not (self.task_watch.pending and counts.active + counts.running):
            if self.task_watch.confirm():
                self._report(counts, is_last=True)
                return True
            if has_ended:
                limit_s = self._context.job.max_wall_clock_time_s
                raise JobEnded(self._run.job_id, _reason(job), self.task_watch.pending, limit_s)
        self.is_changed = self._pool.look() or is_moved
        self._report(counts)
        self._check_times(counts)
        return False

    def _see_job(self, job: BatchJob) -> None:
        state = lowered(job.state)
        if state != self._job_state:
            self._announcer.job(state, _reason(job) if state in ENDING_STATES else "")
        self._job_state = state

    def _see_counts(self, counts: BatchTaskCounts) -> bool:
        """List batch tasks if the counts say that there is something new, or are old."""
        found = Counter({str(name): int(count) for name, count in counts.items() if count})
        is_moved = found != self._counts
        now = time.monotonic()
        is_old = now - self._last_listed > LIST_ANYWAY_S
        if is_moved or is_old or self.task_watch.is_behind(counts):
            self.task_watch.list_changed()
            self._last_listed = now
        self._counts = found
        return is_moved

    def _report(self, counts: BatchTaskCounts, *, is_last: bool = False) -> None:
        progress = Progress(
            total=self._num_planned,
            completed=self.task_watch.num_completed,
            failed=self.task_watch.num_failed,
            running=counts.running,
            active=counts.active,
            nodes=dict(self._pool.counts),
        )
        self._reporter.report(progress, is_last=is_last)

    def _check_times(self, counts: BatchTaskCounts) -> None:
        """Raise what makes it hopeless to wait longer."""
        now = time.monotonic()
        if counts.running:
            self._last_able = now
        else:
            self._check_able(now)
        limit_s = self._context.job.max_wall_clock_time_s + GRACE_S
        if now - self._began > limit_s:
            raise BatchTasksTimedOut(self._run.job_id, limit_s, self.task_watch.pending)

    def _check_able(self, now: float) -> None:
        run, limit_s = self._run, self._context.pool.allocation_timeout_s
        if self._job_state == "disabled":
            cause = f"job {run.job_id} is disabled: somebody did that; enable it, and run again"
            raise NothingRuns(run.pool_id, [cause])
        diagnosis = self._pool.diagnose()
        if diagnosis.error:
            raise diagnosis.error
        # A node that has worked can be out of touch for a while, or restart.
        if self._pool.is_ready:
            self._last_able = now
            self._check_preparation()
        if now - self._last_able > limit_s:
            raise NodesNotReady(run.pool_id, limit_s, self._pool.counts, diagnosis.causes)

    def _check_preparation(self) -> None:
        # On an existing pool the preparation brings the workload's files.
        if self._context.job.preparation_command or self._run.existing_pool_id:
            failed = failed_preparations(self._context, self._pool)
            if failed:
                raise NothingRuns(self._run.pool_id, failed)


def _counts_of(result: BatchTaskCountsResult) -> BatchTaskCounts:
    """Return how many batch tasks are in which state; what the service leaves out counts as none.

    Nothing is taken for over because of counts alone: then the batch tasks are listed.
    """
    said = optional(result.task_counts)
    states = ("active", "running", "completed", "succeeded", "failed")
    return BatchTaskCounts({state: getattr(said, state, None) or 0 for state in states})


def _reason(job: BatchJob) -> str:
    info = job.execution_info
    return (info.termination_reason if info else None) or f"state {lowered(job.state)}"
