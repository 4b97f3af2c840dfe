"""Brings jobs to their end: limits, automatic termination, and what disable and terminate do."""

import asyncio

from local_azure.batch.engine import exit_conditions
from local_azure.batch.engine.context import EngineContext
from local_azure.batch.engine.dispatcher import Dispatcher
from local_azure.batch.engine.preparation import Preparation
from local_azure.batch.machine.background import KeyedWorker
from local_azure.batch.state.records import PERFORM_JOB_ACTION, Job, Key, Task, key_of
from local_azure.batch.state.states import (
    JOB_ENDING,
    JOB_OVER,
    TASK_UNDER_WAY,
    JobState,
    PoolState,
    TaskState,
)
from local_azure.batch.wire.formats import duration_s

_TURN = 100


class JobKeeper:
    """Follows the states of jobs."""

    def __init__(
        self, context: EngineContext, dispatcher: Dispatcher, preparation: Preparation
    ) -> None:
        self._store = context.store
        self._clock = context.clock
        self._delays = context.delays
        self._dispatcher = dispatcher
        self._preparation = preparation
        self._worker = KeyedWorker(context.background, self._finish_transition)

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

    def task_changed(self, task: Task, new: Task | None) -> None:
        """Act on a task's change for its job; `task` is what was there before."""
        job = self._store.jobs.find(task.job_id)
        if job is None:
            return
        if job.state is JobState.DISABLING:
            self.wake(job.key)
        if job.state is JobState.ACTIVE and new is not None and new.state not in TASK_UNDER_WAY:
            # A completed task makes way for those that depend on it.
            self._dispatcher.wake(key_of(job.pool_id))
        if new is None or new.state is TaskState.COMPLETED:
            self._task_ended(job, new if new is not None and new.state != task.state else None)

    def _task_ended(self, job: Job, task: Task | None) -> None:
        """Do with the job what the end of a task asks for; None: a task is gone."""
        performs = job.body["onTaskFailure"] == PERFORM_JOB_ACTION
        action = exit_conditions.job_action(task) if performs and task is not None else "none"
        if action == "terminate":
            self._terminate(job, "TaskFailed")
        # The automatic end comes before an exit condition's disable.
        self.end_if_complete(job.key)
        job = self._store.jobs.get(*job.key)
        if action == "disable" and job.state is JobState.ACTIVE:
            now = self._clock.now()
            self._store.jobs.put(job.move(JobState.DISABLING, now, disable_option="requeue"))

    def end_if_complete(self, job_key: Key) -> None:
        """Terminate the job if it ends with its manager, or once all its tasks are completed."""
        job = self._store.jobs.find(*job_key)
        if job is None:
            return
        if self._is_managed_to_its_end(job):
            self._terminate(job, "JMComplete")
            return
        if job.body["onAllTasksComplete"] != "terminatejob":
            return
        # A job manager task comes just after its job, which is not complete without it.
        begun = "jobManagerTask" not in job.body or self._store.tasks.of(job.id)
        counts, _ = self._store.task_counts(job.id)
        if begun and not counts["active"] + self._store.tasks_under_way(job.id):
            self._terminate(job, "AllTasksComplete")

    def _is_managed_to_its_end(self, job: Job) -> bool:
        """Whether the job's manager is completed and ends the job with it."""
        manager = job.body.get("jobManagerTask")
        if manager is None or not manager["killJobOnCompletion"]:
            return False
        task = self._store.tasks.find(job.id, manager["id"])
        return task is not None and task.state is TaskState.COMPLETED

    def _terminate(self, job: Job, reason: str) -> None:
        if job.state not in JOB_OVER:
            now = self._clock.now()
            self._store.jobs.put(job.move(JobState.TERMINATING, now, terminate_reason=reason))

    def wake(self, job_key: Key) -> None:
        """Continue a job's way into another state."""
        self._worker.wake(job_key)

    async def _finish_transition(self, job_key: Key) -> None:
        job = self._store.jobs.find(*job_key)
        if job is None:
            return
        if job.state is JobState.ENABLING:
            self._store.jobs.put(job.move(JobState.ACTIVE, self._clock.now()))
        elif job.state is JobState.DISABLING:
            await self._disable(job)
        elif job.state in JOB_ENDING:
            await self._end(job)

    async def _disable(self, job: Job) -> None:
        """End the running tasks as the job's option says; it is disabled once none is left."""
        if job.disable_option != "wait":
            runs = self._dispatcher.runs_where(lambda run: run.task_key[:-1] == job.key)
            requeue = job.disable_option == "requeue"
            await self._dispatcher.end(runs, requeue=requeue, by="because its job was disabled")
        found = self._store.jobs.find(*job.key)
        under_way = self._store.tasks_under_way(job.id)
        if found is not None and found.state is JobState.DISABLING and not under_way:
            self._store.jobs.put(found.move(JobState.DISABLED, self._clock.now()))

    async def _end(self, job: Job) -> None:
        runs = self._dispatcher.runs_where(lambda run: run.task_key[:-1] == job.key)
        await self._dispatcher.end(runs, requeue=False, by="because its job was ended")
        await self._preparation.release(job.key)
        deleting = job.state is JobState.DELETING
        await self._delays.wait("job_deletion" if deleting else "job_termination")
        job = self._store.jobs.get(*job.key)
        self._delete_auto_pool(job)
        if job.state is JobState.DELETING:
            await self._remove(job)
        else:
            now = self._clock.now()
            self._store.jobs.put(job.move(JobState.COMPLETED, now, ended=now))

    async def _remove(self, job: Job) -> None:
        for number, task in enumerate(self._store.tasks.list(job.id)):
            if number % _TURN == 0:
                # There may be a hundred thousand: others have their turn meanwhile.
                await asyncio.sleep(0)
            self._store.tasks.remove(task)
        self._preparation.remove_folders(job)
        self._store.jobs.remove(job)

    def _delete_auto_pool(self, job: Job) -> None:
        """Delete the pool of a job that ended, if it was made for it and is not kept alive."""
        given = job.body["poolInfo"].get("autoPoolSpecification", {})
        pool = self._store.pools.find(job.auto_pool_id) if job.auto_pool_id else None
        if pool is not None and pool.state is PoolState.ACTIVE and not given.get("keepAlive"):
            self._store.pools.put(pool.move(PoolState.DELETING, self._clock.now()))
