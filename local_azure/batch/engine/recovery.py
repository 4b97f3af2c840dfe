"""Corrects the records after a restart: no process runs, no node is being created or removed."""

from dataclasses import replace
from datetime import datetime

from local_azure.batch.machine.folders import Folders
from local_azure.batch.state.records import Node
from local_azure.batch.state.states import TASK_UNDER_WAY, NodeState
from local_azure.batch.state.store import Store


def recover(store: Store, folders: Folders, now: datetime) -> None:
    """Correct the records, after every process of a task has been ended.

    Tasks that were under way are requeued; nodes that were ready stay ready, with their folders;
    nodes that were starting start again, and those that were leaving are gone.
    """
    for job in store.jobs.list():
        for task in store.tasks.list(job.id):
            if task.state in TASK_UNDER_WAY:
                store.tasks.put(task.requeued(now))
    for pool in store.pools.list():
        for node in store.nodes.list(pool.id):
            if node.state is NodeState.LEAVING_POOL:
                store.nodes.remove(node)
                folders.remove_node(node)
            else:
                store.nodes.put(_quiet(node, folders, now))


def _quiet(node: Node, folders: Folders, now: datetime) -> Node:
    """Return a node without tasks; its state is set, not moved to: the emulator was not there."""
    root = folders.node_root(node.pool_id, node.id)
    folders.make_node(root)
    node = replace(node, root=str(root), running_tasks=0, running_slots=0)
    if node.state is NodeState.RUNNING:
        return node.move(NodeState.IDLE, now)
    if node.state in (NodeState.STARTING, NodeState.WAITING_FOR_START_TASK):
        return replace(node, state=NodeState.CREATING, state_since=now)
    return node
