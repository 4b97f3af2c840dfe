"""Sees jobs to their end: limits, automatic termination, and what terminate and delete entail."""

from local_azure.batch.background import KeyedWorker
from local_azure.batch.dispatcher import Dispatcher
from local_azure.batch.engine import Engine
from local_azure.batch.records import Job, Key
from local_azure.batch.states import JobState
from local_azure.batch.wire import duration_s


class JobKeeper:
    """Follows the states of jobs."""

    def __init__(self, engine: Engine, dispatcher: Dispatcher) -> None:
        self._store = engine.store
        self._clock = engine.clock
        self._dispatcher = dispatcher
        self._worker = KeyedWorker(engine.background, self._settle)

    def watch_limit(self, job: Job) -> None:
        """Terminate the job when its maxWallClockTime is over, counted from its creation."""
        limit = duration_s(job.body["constraints"], "maxWallClockTime")
        if limit is not None:
            age = (self._clock.now() - job.created).total_seconds()
            self._clock.call_later(limit - age, lambda: self._expire(job))

    def _expire(self, watched: Job) -> None:
        job = self._store.jobs.find(watched.id)
        same_limit = job is not None and job.body["constraints"] == watched.body["constraints"]
        if job is not None and job.serial == watched.serial and same_limit:
            self._terminate(job, "MaxWallClockTimeExpiry")

    def end_if_complete(self, job_key: Key) -> None:
        """Terminate the job if it asks for that once all its tasks are completed."""
        job = self._store.jobs.find(*job_key)
        if job is None or job.body["onAllTasksComplete"] != "terminatejob":
            return
        counts, _ = self._store.task_counts(job.id)
        if not counts["active"] + counts["preparing"] + counts["running"]:
            self._terminate(job, "AllTasksComplete")

    def _terminate(self, job: Job, reason: str) -> None:
        if job.state is JobState.ACTIVE:
            now = self._clock.now()
            self._store.jobs.put(job.move(JobState.TERMINATING, now, terminate_reason=reason))

    def wake(self, job_key: Key) -> None:
        """See to a job that is being terminated or deleted."""
        self._worker.wake(job_key)

    async def _settle(self, job_key: Key) -> None:
        job = self._store.jobs.find(*job_key)
        if job is None or job.state not in (JobState.TERMINATING, JobState.DELETING):
            return
        runs = self._dispatcher.runs_where(lambda run: run.task_key[:-1] == job_key)
        await self._dispatcher.end(runs, requeue=False, by="because its job was ended")
        job = self._store.jobs.get(*job_key)
        if job.state is JobState.DELETING:
            self._remove(job)
        else:
            now = self._clock.now()
            self._store.jobs.put(job.move(JobState.COMPLETED, now, ended=now))

    def _remove(self, job: Job) -> None:
        for task in self._store.tasks.list(job.id):
            self._store.tasks.remove(task)
        self._store.jobs.remove(job)
