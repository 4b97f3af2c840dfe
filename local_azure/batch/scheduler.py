"""Hears of every change in the store and wakes whoever has to act on it."""

from dataclasses import replace

from local_azure.batch.allocator import Allocator, Delays
from local_azure.batch.background import Background
from local_azure.batch.calls import Service
from local_azure.batch.dispatcher import Dispatcher
from local_azure.batch.engine import Engine
from local_azure.batch.folders import Folders
from local_azure.batch.job_keeper import JobKeeper
from local_azure.batch.records import Job, Key, Node, Pool, Record, Task, key_of
from local_azure.batch.runner import Runner
from local_azure.batch.states import JobState, TaskState
from local_azure.batch.wire import duration_s


class Scheduler:
    """The engine of the emulator; needs a running event loop."""

    def __init__(self, service: Service, url: str, delays: Delays | None = None) -> None:
        background = Background()
        folders = Folders(service.nodes_dir, background)
        self._closing = False
        self._engine = Engine(
            service=service,
            runner=Runner(service.clock, folders),
            background=background,
            folders=folders,
            url=url,
        )
        self._dispatcher = Dispatcher(self._engine)
        self._allocator = Allocator(self._engine, self._dispatcher, delays or Delays())
        self._keeper = JobKeeper(self._engine, self._dispatcher)
        service.store.subscribe(self._changed)

    async def close(self) -> None:
        """Kill every process of every task and wait until they are gone."""
        # The slots that this frees must not be given to the tasks that still wait.
        self._closing = True
        await self._engine.background.close()

    def _changed(self, old: Record | None, new: Record | None) -> None:
        if self._closing:
            return
        match old or new:
            case Pool():
                if isinstance(new, Pool):
                    self._allocator.wake(new)
            case Node():
                if isinstance(new, Node):
                    self._dispatcher.wake(key_of(new.pool_id))
            case Job():
                if isinstance(new, Job):
                    self._job_changed(old, new)
            case Task() as task:
                self._task_changed(task, new)

    def _job_changed(self, old: Record | None, job: Job) -> None:
        if job.state is not JobState.ACTIVE:
            self._keeper.wake(job.key)
            return
        if not isinstance(old, Job) or old.body["constraints"] != job.body["constraints"]:
            self._keeper.watch_limit(job)
        self._dispatcher.wake(key_of(job.pool_id))
        self._keeper.end_if_complete(job.key)

    def _task_changed(self, task: Task, new: Record | None) -> None:
        """`task` is what was there before, or the new task."""
        run = self._dispatcher.run_of(task)
        if not isinstance(new, Task):
            # The folder of a task that runs goes when its run has ended.
            if run is not None:
                self._engine.background.spawn(run.stop())
            else:
                self._engine.folders.remove_task(task)
        elif new.state is TaskState.ACTIVE:
            job = self._engine.store.jobs.find(new.job_id)
            if job is not None:
                self._dispatcher.wake(key_of(job.pool_id))
        elif new.state is TaskState.COMPLETED and not new.files_cleaned:
            if run is not None:
                self._engine.background.spawn(run.stop())
            self._keep_files(new)
        if not isinstance(new, Task) or new.state is TaskState.COMPLETED:
            self._keeper.end_if_complete(key_of(task.job_id))

    def _keep_files(self, task: Task) -> None:
        """Clean a completed task's folder once its retention time is over."""
        retention = duration_s(task.body["constraints"], "retentionTime")
        if retention is not None:
            clock, key, serial = self._engine.clock, task.key, task.serial
            clock.call_later(retention, lambda: self._clean_files(key, serial))

    def _clean_files(self, key: Key, serial: int) -> None:
        task = self._engine.store.tasks.find(*key)
        if task is not None and task.serial == serial:
            self._engine.folders.remove_task(task)
            self._engine.store.tasks.put(replace(task, files_cleaned=True))
