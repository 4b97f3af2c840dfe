"""Which active tasks come next, and on which node each is placed. It reads and changes nothing."""

from collections.abc import Callable, Iterable
from itertools import chain

from local_azure.batch.engine.dependencies import Dependencies
from local_azure.batch.state.records import Job, Key, Node, Pool, Task, key_of
from local_azure.batch.state.states import JobState, TaskState
from local_azure.batch.state.store import Store
from local_azure.batch.wire.formats import Json

_AFFINITY = "TVM:"
# Tasks that fit on no node are skipped, but not without limit: each run that ends looks again.
_LOOK_AHEAD = 100

Place = tuple[Task, Key, int]
"""A task, its node, and the slots that it takes there."""


class Placement:
    """Chooses tasks for the free slots of a pool.

    Args:
        store: what there is.
        dependencies: which tasks of jobs with dependencies may run.
        has_run: whether the task of a key still has a run; such a task is not chosen.
    """

    def __init__(
        self, store: Store, dependencies: Dependencies, has_run: Callable[[Key], bool]
    ) -> None:
        self._store = store
        self._dependencies = dependencies
        self._has_run = has_run

    def choose(self, pool: Pool) -> list[Place]:
        """Return the active tasks that come next, as many as there is room for."""
        nodes = [node for node in self._store.nodes.of(pool.id).values() if node.takes_tasks]
        free = {node.key: pool.slots - node.running_slots for node in nodes}
        places: list[Place] = []
        room, skipped = sum(free.values()), 0
        for job, open_nodes in self._jobs(pool, nodes):
            for task in self._waiting(job):
                if room <= 0 or skipped == _LOOK_AHEAD:
                    return places
                slots = pool.slots if is_exclusive(job, task) else task.slots
                fitting = {key: free[key] for key in open_nodes if free[key] >= slots}
                if not fitting:
                    if not any(free[key] > 0 for key in open_nodes):
                        break
                    skipped += 1
                    continue
                key = _best(fitting, task, pool.body["taskSchedulingPolicy"])
                free[key] -= slots
                room -= slots
                places.append((task, key, slots))
        return places

    def _jobs(self, pool: Pool, nodes: list[Node]) -> Iterable[tuple[Job, list[Key]]]:
        """Return the pool's active jobs in their order, with the nodes that are open to each."""
        jobs = [
            job
            for job in self._store.jobs.of().values()
            if job.state is JobState.ACTIVE and job.pool_id.lower() == pool.id.lower()
        ]
        jobs.sort(key=lambda job: (-job.body["priority"], job.serial))
        for job in jobs:
            open_nodes = [node.key for node in nodes if not job.is_barred_from(node)]
            if open_nodes:
                yield job, open_nodes

    def _waiting(self, job: Job) -> Iterable[Task]:
        """Return a job's active tasks that may start, as far as maxParallelTasks lets them."""
        limit = job.body["maxParallelTasks"]
        room = limit - self._store.tasks_under_way(job.id) if limit >= 0 else None
        for task in self._candidates(job):
            if room is not None and room <= 0:
                return
            if not self._has_run(task.key):
                room = room - 1 if room is not None else None
                yield task

    def _candidates(self, job: Job) -> Iterable[Task]:
        tasks = (
            self._dependencies.ready(job)
            if job.body["usesTaskDependencies"]
            else self._store.active_tasks(job.id)
        )
        manager = job.body.get("jobManagerTask")
        first = self._store.tasks.find(job.id, manager["id"]) if manager else None
        if first is None or first.state is not TaskState.ACTIVE:
            return tasks
        return chain([first], (task for task in tasks if task.key != first.key))


def is_exclusive(job: Job, task: Task) -> bool:
    """Whether a task has its node to itself: a job manager may."""
    manager = job.body.get("jobManagerTask")
    return manager is not None and manager["runExclusive"] and key_of(manager["id"]) == task.key[1:]


def _best(fitting: dict[Key, int], task: Task, policy: Json) -> Key:
    """Choose a node: the one asked for, else the emptiest (spread) or the fullest (pack)."""
    affinity = task.body.get("affinityInfo", {}).get("affinityId", "").removeprefix(_AFFINITY)
    for key in fitting:
        if key[-1] == affinity.lower():
            return key
    choose = min if policy["nodeFillType"].lower() == "pack" else max
    return choose(fitting, key=lambda key: fitting[key])
