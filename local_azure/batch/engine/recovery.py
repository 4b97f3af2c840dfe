"""What is true of the records after a restart: no process runs, no node is being made or unmade."""

from dataclasses import replace
from datetime import datetime

from local_azure.batch.machine.folders import Folders
from local_azure.batch.state.records import Node, Task
from local_azure.batch.state.states import NodeState, TaskState
from local_azure.batch.state.store import Store

_UNDER_WAY = (TaskState.PREPARING, TaskState.RUNNING)


def recover(store: Store, folders: Folders, now: datetime) -> None:
    """Make the records true again, after every process of a task has been ended.

    Tasks that were under way are requeued; nodes that were ready stay ready, with their folders;
    nodes that were being prepared begin anew, and those that were leaving are gone.
    """
    for job in store.jobs.list():
        for task in store.tasks.list(job.id):
            if task.state in _UNDER_WAY:
                store.tasks.put(_requeued(task, now))
    for pool in store.pools.list():
        for node in store.nodes.list(pool.id):
            if node.state is NodeState.LEAVING_POOL:
                store.nodes.remove(node)
                folders.remove_node(node)
            else:
                store.nodes.put(_quiet(node, folders, now))


def _requeued(task: Task, now: datetime) -> Task:
    count = task.execution.requeue_count + 1
    execution = replace(task.execution, requeue_count=count, last_requeue=now)
    return task.move(TaskState.ACTIVE, now, execution=execution)


def _quiet(node: Node, folders: Folders, now: datetime) -> Node:
    """Give a node without tasks; its state is set, not moved to: the emulator was not there."""
    root = folders.node_root(node.pool_id, node.id)
    folders.make_node(root)
    node = replace(node, root=str(root), running_tasks=0, running_slots=0)
    if node.state is NodeState.RUNNING:
        return node.move(NodeState.IDLE, now)
    if node.state in (NodeState.STARTING, NodeState.WAITING_FOR_START_TASK):
        return replace(node, state=NodeState.CREATING, state_since=now)
    return node
