"""Listens to every change in the store and wakes the part of the engine that has to act on it."""

from dataclasses import replace

from local_azure.batch.controls.delays import Delays
from local_azure.batch.controls.faults import Faults
from local_azure.batch.engine.allocator import Allocator
from local_azure.batch.engine.autoscaler import Autoscaler
from local_azure.batch.engine.context import EngineContext
from local_azure.batch.engine.dependencies import Dependencies
from local_azure.batch.engine.dispatcher import Dispatcher
from local_azure.batch.engine.job_keeper import JobKeeper
from local_azure.batch.engine.node_keeper import NodeKeeper
from local_azure.batch.engine.preparation import Preparation
from local_azure.batch.engine.recovery import recover
from local_azure.batch.engine.runs import Runs
from local_azure.batch.machine.background import Background
from local_azure.batch.machine.faulty_runner import FaultyRunner
from local_azure.batch.machine.folders import Folders
from local_azure.batch.state.records import Job, Node, Pool, Record, Task, key_of
from local_azure.batch.state.service import BatchService
from local_azure.batch.state.states import JobState, TaskState
from local_azure.batch.wire.formats import duration_s


class Scheduler:
    """The engine of the emulator; needs a running event loop."""

    def __init__(self, service: BatchService, url: str, delays: Delays, faults: Faults) -> None:
        background = Background()
        folders = Folders(service.nodes_dir, background)
        self._closing = False
        self._context = EngineContext(
            service=service,
            runner=FaultyRunner(service.clock, folders, faults),
            background=background,
            folders=folders,
            delays=delays,
            faults=faults,
            url=url,
        )
        self._dependencies = Dependencies(service.store)
        runs = Runs(background)
        preparation = Preparation(self._context, runs)
        self._dispatcher = Dispatcher(self._context, runs, self._dependencies, preparation)
        self._allocator = Allocator(self._context, self._dispatcher)
        self._autoscaler = Autoscaler(self._context)
        self._node_keeper = NodeKeeper(self._context, self._dispatcher)
        self._keeper = JobKeeper(self._context, self._dispatcher, preparation)
        service.store.subscribe(self._changed)

    def resume(self) -> None:
        """Continue after a restart with the records of the store; do nothing if it is empty.

        No process of a task may be left from before (see `machine.leftover_processes`).
        """
        store = self._context.store
        recover(store, self._context.folders, self._context.clock.now())
        for record in list(store.everything()):
            self._changed(None, record)

    async def close(self) -> None:
        """Kill every process of every task and wait until they are gone."""
        # The slots that this frees must not be given to the tasks that still wait.
        self._closing = True
        await self._context.background.close()

    def _changed(self, old: Record | None, new: Record | None) -> None:
        if self._closing:
            return
        match old or new:
            case Pool():
                self._autoscaler.pool_changed(old, new if isinstance(new, Pool) else None)
                if isinstance(new, Pool):
                    self._allocator.pool_changed(old, new)
            case Node() as node:
                if isinstance(new, Node):
                    self._node_keeper.node_changed(old, new)
                    self._dispatcher.wake(key_of(new.pool_id))
                else:
                    self._allocator.wake(key_of(node.pool_id))
            case Job():
                if isinstance(new, Job):
                    self._job_changed(old, new)
            case Task() as task:
                self._task_changed(task, new)

    def _job_changed(self, old: Record | None, job: Job) -> None:
        if not isinstance(old, Job) or old.body["constraints"] != job.body["constraints"]:
            self._keeper.watch_limit(job)
        if job.state is JobState.ACTIVE:
            self._dispatcher.wake(key_of(job.pool_id))
        else:
            self._keeper.wake(job.key)
        self._keeper.end_if_complete(job.key)

    def _task_changed(self, task: Task, new: Record | None) -> None:
        """`task` is what was there before, or the new task."""
        run = self._dispatcher.run_of(task)
        self._dependencies.changed(task, new if isinstance(new, Task) else None)
        if not isinstance(new, Task):
            # The folder of a task that runs goes when its run has ended.
            if run is not None:
                self._context.background.spawn(run.stop())
            else:
                self._context.folders.remove_task(task)
        elif new.state is TaskState.COMPLETED and not new.files_cleaned:
            if run is not None:
                self._context.background.spawn(run.stop())
            self._keep_files(new)
        self._keeper.task_changed(task, new if isinstance(new, Task) else None)

    def _keep_files(self, task: Task) -> None:
        """Clean a completed task's folder once its retention time is over."""
        retention = duration_s(task.body["constraints"], "retentionTime")
        if retention is not None:
            clock = self._context.clock
            age = (clock.now() - task.state_since).total_seconds()
            clock.call_later(retention - age, lambda: self._clean_files(task))

    def _clean_files(self, ended: Task) -> None:
        task = self._context.store.tasks.find(*ended.key)
        # Another end of the same task (it was reactivated) has a retention time of its own.
        same = task is not None and (task.serial, task.state, task.state_since) == (
            ended.serial,
            TaskState.COMPLETED,
            ended.state_since,
        )
        if task is not None and same:
            self._context.folders.remove_task(task)
            self._context.store.tasks.put(replace(task, files_cleaned=True))
