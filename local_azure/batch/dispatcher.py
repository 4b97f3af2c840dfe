"""Puts active tasks onto nodes with free slots, and carries each run to its end."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain
from pathlib import Path

from local_azure.batch.background import cancel_once
from local_azure.batch.engine import Engine
from local_azure.batch.environment import node_environment, settings, task_environment
from local_azure.batch.failures import failure, task_ended
from local_azure.batch.records import Job, Key, Node, Pool, Task
from local_azure.batch.runner import Outcome, Work
from local_azure.batch.states import JobState, NodeState, PoolState, TaskState
from local_azure.batch.tasks import execution_view
from local_azure.batch.wire import Json, duration_s

_RECENT_TASKS = 10
# Tasks that fit on no node are passed over, but not without end: each ending run looks anew.
_LOOK_AHEAD = 100
_READY = (NodeState.IDLE, NodeState.RUNNING)
_UNDER_WAY = (TaskState.PREPARING, TaskState.RUNNING)


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """A task on a node, from its assignment until its process is gone."""

    task_key: Key
    node_key: Key
    slots: int
    coroutine: asyncio.Task[None]

    async def stop(self) -> None:
        """Kill it and wait until nothing of it is left; its task's record stays as it is."""
        # Cancelled before its first step it would never give its slots back.
        await asyncio.sleep(0)
        cancel_once(self.coroutine)
        await asyncio.wait({self.coroutine})


class Dispatcher:
    """Owns the runs. A task that has a run is preparing or running until the run says otherwise."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._store = engine.store
        self._clock = engine.clock
        self._runs: dict[Key, Run] = {}
        self._woken: set[Key] = set()

    def wake(self, pool_key: Key) -> None:
        """Look for work for a pool's nodes, once the current callback is over."""
        if pool_key not in self._woken:
            self._woken.add(pool_key)
            asyncio.get_running_loop().call_soon(self._assign_all, pool_key)

    def run_of(self, task: Task) -> Run | None:
        """Give the run of a task, if it has one."""
        return self._runs.get(task.key)

    def runs_where(self, holds: Callable[[Run], bool]) -> list[Run]:
        """Give the runs for which something holds."""
        return [run for run in self._runs.values() if holds(run)]

    async def end(self, runs: Iterable[Run], *, requeue: bool, by: str) -> None:
        """Kill runs; their tasks become active again (requeue), or completed with TaskEnded."""
        runs = list(runs)
        await asyncio.gather(*(run.stop() for run in runs))
        for run in runs:
            task = self._store.tasks.find(*run.task_key)
            # With a run again: it went on by itself, and its record speaks of the new run.
            again = run.task_key in self._runs
            if task is None or again or task.state not in _UNDER_WAY:
                continue
            now = self._clock.now()
            if requeue:
                count = task.execution.requeue_count + 1
                execution = replace(task.execution, requeue_count=count, last_requeue=now)
                self._store.tasks.put(task.move(TaskState.ACTIVE, now, execution=execution))
            else:
                execution = replace(
                    task.execution, ended=now, result="failure", failure=task_ended(by)
                )
                self._store.tasks.put(task.move(TaskState.COMPLETED, now, execution=execution))

    def _assign_all(self, pool_key: Key) -> None:
        self._woken.discard(pool_key)
        pool = self._store.pools.find(*pool_key)
        if pool is None or pool.state is not PoolState.ACTIVE:
            return
        free = {
            node.key: pool.slots - node.running_slots
            for node in self._store.nodes.of(pool.id).values()
            if node.state in _READY
        }
        for task, node_key in self._choose(pool, free):
            self._start(task, self._store.nodes.get(*node_key))

    def _choose(self, pool: Pool, free: dict[Key, int]) -> list[tuple[Task, Key]]:
        """Give the active tasks that come next, each with its node, and take up their slots."""
        jobs = [
            job
            for job in self._store.jobs.of().values()
            if job.state is JobState.ACTIVE and job.pool_id.lower() == pool.id.lower()
        ]
        jobs.sort(key=lambda job: (-job.body["priority"], job.serial))
        chosen: list[tuple[Task, Key]] = []
        room, passed_over = sum(free.values()), 0
        for task in chain.from_iterable(map(self._waiting, jobs)):
            if room <= 0 or passed_over == _LOOK_AHEAD:
                break
            node_key = _fitting(free, task.slots, pool.body["taskSchedulingPolicy"])
            if node_key is None:
                passed_over += 1
                continue
            free[node_key] -= task.slots
            room -= task.slots
            chosen.append((task, node_key))
        return chosen

    def _waiting(self, job: Job) -> Iterable[Task]:
        """Give a job's active tasks that may start, as far as maxParallelTasks lets them."""
        limit = job.body["maxParallelTasks"]
        counts, _ = self._store.task_counts(job.id)
        room = limit - counts["running"] - counts["preparing"] if limit >= 0 else None
        for task in self._store.active_tasks(job.id):
            if room is not None and room <= 0:
                return
            if task.key not in self._runs:
                room = room - 1 if room is not None else None
                yield task

    def _start(self, task: Task, node: Node) -> None:
        now = self._clock.now()
        execution = replace(
            task.execution, started=None, ended=None, exit_code=None, failure=None, result=None
        )
        task = task.move(
            TaskState.PREPARING, now, pool_id=node.pool_id, node_id=node.id, execution=execution
        )
        # The run is known before the task's record changes: listeners ask for it.
        self._runs[task.key] = Run(
            task_key=task.key,
            node_key=node.key,
            slots=task.slots,
            coroutine=self._engine.background.spawn(self._carry_out(task, node)),
        )
        self._store.nodes.put(_busier(node, task.slots, now))
        self._store.tasks.put(task)

    async def _carry_out(self, task: Task, node: Node) -> None:
        """Run a task once; whatever happens, its slots are free again at the end."""
        outcome: Outcome | None = None
        try:
            outcome = await self._execute(task, node)
        except Exception:
            # The emulator's own fault (it is logged); the task must not seem to run for ever.
            text = "The emulator failed; its log has the trace"
            outcome = Outcome(failure=failure("Unknown", text, server=True))
            raise
        finally:
            # Before the run is given up: the next task of the same id makes the folder anew.
            if self._present(task) is None:
                self._engine.folders.remove_task(task)
            del self._runs[task.key]
            ended = self._conclude(task, outcome) if outcome is not None else None
            self._release(node.key, task.slots, ended)

    def _present(self, task: Task) -> Task | None:
        """Give the record of a task as it is now; None if it was deleted, and perhaps made anew."""
        found = self._store.tasks.find(*task.key)
        return found if found is not None and found.serial == task.serial else None

    def _under_way(self, task: Task) -> Task | None:
        """Give the record of a task as it is now; None if it was deleted or ended from outside."""
        found = self._present(task)
        return found if found is not None and found.state in _UNDER_WAY else None

    async def _execute(self, task: Task, node: Node) -> Outcome | None:
        """Give how the run ended; None if its task was ended or deleted meanwhile."""
        work = self._work(task, node)
        failed = await self._engine.runner.prepare(work)
        if failed is not None:
            return Outcome(failure=failed)
        current = self._under_way(task)
        if current is None:
            return None
        now = self._clock.now()
        self._store.tasks.put(
            current.move(TaskState.RUNNING, now, execution=replace(current.execution, started=now))
        )
        outcome = await self._engine.runner.run(work)
        failed = await self._engine.runner.upload(work, outcome.exit_code)
        if failed is not None:
            return replace(outcome, failure=failed, retryable=False)
        return outcome

    def _work(self, task: Task, node: Node) -> Work:
        job = self._store.jobs.get(task.job_id)
        directory = Path(node.root) / task.directory
        return Work(
            directory=directory,
            command_line=task.body["commandLine"],
            environment={
                **node_environment(self._engine.service.account, self._engine.url, node, directory),
                **task_environment(task),
                **settings(job.body.get("commonEnvironmentSettings")),
                **settings(task.body.get("environmentSettings")),
            },
            resource_files=task.body.get("resourceFiles", []),
            output_files=task.body.get("outputFiles", []),
            limit_s=duration_s(task.body["constraints"], "maxWallClockTime"),
        )

    def _conclude(self, begun: Task, outcome: Outcome) -> Task | None:
        """Write a run's outcome down: completed, or active again for a retry."""
        task, now = self._under_way(begun), self._clock.now()
        if task is None:
            return None
        limit = task.body["constraints"]["maxTaskRetryCount"]
        run = replace(task.execution, exit_code=outcome.exit_code, failure=outcome.failure)
        if outcome.retryable and (limit < 0 or run.retry_count < limit):
            run = replace(run, retry_count=run.retry_count + 1, last_retry=now)
            task = task.move(TaskState.ACTIVE, now, execution=run)
        else:
            result = "success" if outcome.failure is None else "failure"
            run = replace(run, started=run.started or now, ended=now, result=result)
            task = task.move(TaskState.COMPLETED, now, execution=run)
        self._store.tasks.put(task)
        return task

    def _release(self, node_key: Key, slots: int, ended: Task | None) -> None:
        node = self._store.nodes.find(*node_key)
        if node is None:
            return
        node = replace(
            node, running_tasks=node.running_tasks - 1, running_slots=node.running_slots - slots
        )
        if ended is not None:
            node = _with_recent(node, ended, self._engine.url)
        if node.running_tasks == 0 and node.state is NodeState.RUNNING:
            node = node.move(NodeState.IDLE, self._clock.now())
        self._store.nodes.put(node)


def _fitting(free: dict[Key, int], slots: int, policy: Json) -> Key | None:
    """Give a node with `slots` free: the emptiest (spread) or the fullest (pack)."""
    fitting = [key for key, room in free.items() if room >= slots]
    if not fitting:
        return None
    choose = min if policy["nodeFillType"].lower() == "pack" else max
    return choose(fitting, key=lambda key: free[key])


def _busier(node: Node, slots: int, now: datetime) -> Node:
    node = replace(
        node, running_tasks=node.running_tasks + 1, running_slots=node.running_slots + slots
    )
    return node.move(NodeState.RUNNING, now) if node.state is NodeState.IDLE else node


def _with_recent(node: Node, task: Task, url: str) -> Node:
    """Count a run that ended by itself, and keep it among the node's recent tasks."""
    recent = {
        "taskUrl": f"{url}/jobs/{task.job_id}/tasks/{task.id}",
        "jobId": task.job_id,
        "taskId": task.id,
        "taskState": task.state,
        "executionInfo": execution_view(task),
    }
    return replace(
        node,
        total_tasks_run=node.total_tasks_run + 1,
        total_tasks_succeeded=node.total_tasks_succeeded + (task.execution.result == "success"),
        recent_tasks=(recent, *node.recent_tasks)[:_RECENT_TASKS],
    )
