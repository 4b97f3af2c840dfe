"""Starts active tasks on the nodes that placement chooses, and carries each run to its end."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime

from local_azure.batch.calls.views import execution_view
from local_azure.batch.engine.commands import command_of
from local_azure.batch.engine.context import EngineContext
from local_azure.batch.engine.dependencies import Dependencies
from local_azure.batch.engine.placement import Placement
from local_azure.batch.engine.preparation import Preparation
from local_azure.batch.engine.runs import Run, Runs
from local_azure.batch.machine.runner import Outcome
from local_azure.batch.state.records import Key, Node, Task
from local_azure.batch.state.states import TASK_UNDER_WAY, NodeState, PoolState, TaskState
from local_azure.batch.wire.failures import failure

_RECENT_TASKS = 10


class Dispatcher:
    """Owns the runs. While a task has a run it is preparing or running."""

    def __init__(
        self,
        context: EngineContext,
        runs: Runs,
        dependencies: Dependencies,
        preparation: Preparation,
    ) -> None:
        self._context = context
        self._store = context.store
        self._clock = context.clock
        self._runs = runs
        self._preparation = preparation
        self._placement = Placement(context.store, dependencies, runs.has)
        self._woken: set[Key] = set()

    def wake(self, pool_key: Key) -> None:
        """Look for work for a pool's nodes, once the current callback is over."""
        if pool_key not in self._woken:
            self._woken.add(pool_key)
            asyncio.get_running_loop().call_soon(self._assign_all, pool_key)

    def run_of(self, task: Task) -> Run | None:
        """Return the run of a task, if it has one."""
        return self._runs.of(task)

    def runs_where(self, holds: Callable[[Run], bool]) -> list[Run]:
        """Return the runs for which something holds."""
        return self._runs.where(holds)

    async def end(self, runs: Iterable[Run], *, requeue: bool, by: str) -> None:
        """Kill runs; their tasks become active again (requeue), or completed with TaskEnded."""
        runs = list(runs)
        await asyncio.gather(*(run.stop() for run in runs))
        for run in runs:
            task = self._store.tasks.find(*run.task_key)
            # It has a run again: it continued by itself, and its record is about the new run.
            again = self._runs.has(run.task_key)
            if task is None or again or task.state not in TASK_UNDER_WAY:
                continue
            now = self._clock.now()
            self._store.tasks.put(task.requeued(now) if requeue else task.ended_by(by, now))

    def _assign_all(self, pool_key: Key) -> None:
        self._woken.discard(pool_key)
        pool = self._store.pools.find(*pool_key)
        if pool is None or pool.state is not PoolState.ACTIVE:
            return
        for task, node_key, slots in self._placement.choose(pool):
            self._start(task, self._store.nodes.get(*node_key), slots)

    def _start(self, task: Task, node: Node, slots: int) -> None:
        now = self._clock.now()
        execution = replace(
            task.execution, started=None, ended=None, exit_code=None, failure=None, result=None
        )
        task = task.move(
            TaskState.PREPARING, now, pool_id=node.pool_id, node_id=node.id, execution=execution
        )
        # The run is known before the task's record changes: listeners ask for it.
        self._runs.start(task.key, node.key, slots, self._carry_out(task, node, slots))
        self._store.nodes.put(_busier(node, slots, now))
        self._store.tasks.put(task)

    async def _carry_out(self, task: Task, node: Node, slots: int) -> None:
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
            # Before the run ends: the next task with the same id creates the folder again.
            if self._present(task) is None:
                self._context.folders.remove_task(task)
            self._runs.ended(task.key)
            ended = self._conclude(task, outcome) if outcome is not None else None
            self._release(node.key, slots, ended)

    def _present(self, task: Task) -> Task | None:
        """Return the record of a task as it is now; None if it was deleted (and created again)."""
        found = self._store.tasks.find(*task.key)
        return found if found is not None and found.serial == task.serial else None

    def _under_way(self, task: Task) -> Task | None:
        """Return the record of a task as it is now; None if deleted or ended from outside."""
        found = self._present(task)
        return found if found is not None and found.state in TASK_UNDER_WAY else None

    async def _execute(self, task: Task, node: Node) -> Outcome | None:
        """Return how the run ended; None if its task was ended, deleted or sent back."""
        if not await self._preparation.is_ready(task, node.key):
            self._send_back(task)
            return None
        job = self._store.jobs.get(task.job_id)
        command = command_of(self._context, job, node, task.id, task.body)
        failed = await self._context.runner.prepare(command)
        if failed is not None:
            return Outcome(failure=failed)
        current = self._under_way(task)
        if current is None:
            return None
        now = self._clock.now()
        self._store.tasks.put(
            current.move(TaskState.RUNNING, now, execution=replace(current.execution, started=now))
        )
        outcome = await self._context.runner.run(command)
        failed = await self._context.runner.upload(command, outcome.exit_code)
        if failed is not None:
            return replace(outcome, failure=failed, retryable=False)
        return outcome

    def _send_back(self, begun: Task) -> None:
        """Make a task active again that found its node not prepared; that is not a requeue."""
        task = self._under_way(begun)
        if task is not None:
            self._store.tasks.put(task.move(TaskState.ACTIVE, self._clock.now()))

    def _conclude(self, begun: Task, outcome: Outcome) -> Task | None:
        """Record a run's outcome: the task is completed, or active again for a retry."""
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
            node = _with_recent(node, ended, self._context.url)
        if node.running_tasks == 0 and node.state is NodeState.RUNNING:
            node = node.move(NodeState.IDLE, self._clock.now())
        self._store.nodes.put(node)


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
