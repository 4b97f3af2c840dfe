"""Watching a job: until every batch task has ended, or it is plain that some never will.

What a look costs does not depend on how many batch tasks there are: the job, two counts and the
pool are four calls, and only what has changed is listed.
"""

import random
import time
from collections import Counter
from collections.abc import Sequence

from azure.batch.models import BatchJob, BatchTaskCounts
from prefect.logging import get_run_logger

from prefect_azure_batch.errors import (
    BatchTasksTimedOut,
    JobEnded,
    NodesNotReady,
    NothingRuns,
    ServiceError,
)
from prefect_azure_batch.model.run import Run
from prefect_azure_batch.model.tasks import Ending, PlannedTask
from prefect_azure_batch.running.events import Announcer
from prefect_azure_batch.running.job_preparation import failed_preparations
from prefect_azure_batch.running.node_watch import PoolWatch
from prefect_azure_batch.running.progress import Artifact, Progress, Reporter
from prefect_azure_batch.running.task_watch import Endings, OnEnded
from prefect_azure_batch.service.clients import Outage, Services, lowered, service_errors, step
from prefect_azure_batch.settings import JobSettings, PoolSettings

FIRST_INTERVAL_S = 0.1
INTERVAL_GROWTH = 1.3
INTERVAL_SHRINKAGE = 0.5
# While things move, looking costs about this part of the whole time at most.
LOOKING_PART = 0.02
JITTER = 0.2
# The service ends a job that ran out of time; our own limit only catches a service that does not.
GRACE_S = 60
# Counts of the service may be wrong for a while; lists are not.
LIST_ANYWAY_S = 60
ENDING_STATES = frozenset({"terminating", "completed", "deleting"})


@step("wait for batch tasks", is_repeated=False)
def wait_for_batch_tasks(  # noqa: PLR0913, PLR0917 - a step's inputs are its arguments
    services: Services,
    run: Run,
    planned: Sequence[PlannedTask],
    pool: PoolSettings,
    job: JobSettings,
    on_ended: OnEnded,
) -> dict[str, Ending]:
    """Wait until the batch tasks have ended, looking at pool, nodes and job as well.

    An outage of the service that lasts no longer than `OUTAGE_LIMIT_S` is waited out.

    Args:
        services: the clients.
        run: whose job and pool.
        planned: the batch tasks to wait for; the job can hold others that have ended.
        pool: how long nodes may take.
        job: how long it may take, and how often to look.
        on_ended: called in this thread with each batch task as it ends, and must be quick; one
            that somebody activates again after its end ends once more.

    Returns:
        How each ended, by id: completed does not mean that it succeeded.

    Raises:
        PoolError: nothing runs, and waiting will not change that.
        JobEnded: the job ended first.
        BatchTasksTimedOut: they took longer than the job may, and the service did not end it.
        ServiceError: the service refused to tell, or was out of reach for too long.
        HeartbeatLost: this process may not go on with the run.
    """
    outage = Outage()
    interval = Interval(job.poll_interval_s)
    with Artifact() as artifact:
        watch = _Watch(services, run, planned, (pool, job), on_ended, artifact)
        while not _look(watch, outage, services):
            time.sleep(interval.after(is_changed=watch.is_changed))
        return watch.endings.found


def _look(watch: "_Watch", outage: Outage, services: Services) -> bool:
    """Look once; return whether all is over."""
    services.check()
    try:
        with service_errors("wait for batch tasks"):
            is_over = watch.look()
    except ServiceError as error:
        if not outage.bears([error]):
            raise
        get_run_logger().warning("%s; looking again", error)
        return False
    outage.bears([])
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

    def __init__(  # noqa: PLR0913, PLR0917 - what the step was given
        self,
        services: Services,
        run: Run,
        planned: Sequence[PlannedTask],
        settings: tuple[PoolSettings, JobSettings],
        on_ended: OnEnded,
        artifact: Artifact,
    ) -> None:
        announcer = Announcer(run, artifact.is_heard)
        self._batch = services.batch
        self._run = run
        self._num_planned = len(planned)
        self._pool_settings, self._job_settings = settings
        self._announcer = announcer
        self._pool = PoolWatch(services.batch, run, announcer)
        self._reporter = Reporter(artifact, announcer.progress)
        self.endings = Endings(services.batch, run.job_id, planned, announcer, on_ended)
        self.is_changed = False
        self._job_state = ""
        self._counts: Counter[str] | None = None
        self._began = self._last_able = self._last_listed = time.monotonic()

    def look(self) -> bool:
        """Look at everything; return whether all batch tasks have ended."""
        # The job first: if it has ended, the batch tasks read after that are final.
        job = self._batch.get_job(self._run.job_id, select=["state", "executionInfo"])
        self._see_job(job)
        counts = self._batch.get_job_task_counts(self._run.job_id).task_counts
        is_moved = self._see_counts(counts)
        has_ended = self._job_state in ENDING_STATES
        if has_ended or not (self.endings.pending and counts.active + counts.running):
            if self.endings.confirm():
                self._report(counts, is_last=True)
                return True
            if has_ended:
                raise JobEnded(self._run.job_id, _reason(job), self.endings.pending)
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
        found = Counter({str(name): int(count) for name, count in counts.items()})
        is_moved = found != self._counts
        now = time.monotonic()
        is_old = now - self._last_listed > LIST_ANYWAY_S
        if is_moved or is_old or self.endings.is_behind(counts):
            self.endings.list_changed()
            self._last_listed = now
        self._counts = found
        return is_moved

    def _report(self, counts: BatchTaskCounts, *, is_last: bool = False) -> None:
        progress = Progress(
            total=self._num_planned,
            completed=self.endings.num_completed,
            failed=self.endings.num_failed,
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
        limit_s = self._job_settings.max_wall_clock_time_s + GRACE_S
        if now - self._began > limit_s:
            raise BatchTasksTimedOut(self._run.job_id, limit_s, self.endings.pending)

    def _check_able(self, now: float) -> None:
        run, limit_s = self._run, self._pool_settings.allocation_timeout_s
        if self._job_state == "disabled":
            told = f"job {run.job_id} is disabled: somebody did that; enable it, and run again"
            raise NothingRuns(run.pool_id, [told])
        verdict = self._pool.judge()
        if verdict.error:
            raise verdict.error
        # A node that has worked can be out of touch for a while, or restart.
        if self._pool.is_ready:
            self._last_able = now
            self._check_preparation()
        if now - self._last_able > limit_s:
            raise NodesNotReady(run.pool_id, limit_s, self._pool.counts, verdict.causes)

    def _check_preparation(self) -> None:
        # On an existing pool the preparation brings the node program.
        if self._job_settings.preparation_command or self._run.existing_pool_id:
            failed = failed_preparations(self._batch, self._run, self._pool)
            if failed:
                raise NothingRuns(self._run.pool_id, failed)


def _reason(job: BatchJob) -> str:
    info = job.execution_info
    return (info.termination_reason if info else None) or f"state {lowered(job.state)}"
