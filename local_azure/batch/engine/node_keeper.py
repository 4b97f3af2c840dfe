"""Brings each node through its life: boot, start task, restarts, and how it leaves its pool.

What is to be done next follows from the node's record alone, so it can continue after a restart.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from local_azure.batch.engine.context import EngineContext
from local_azure.batch.engine.dispatcher import Dispatcher
from local_azure.batch.engine.start_tasks import StartTasks
from local_azure.batch.machine.background import cancel_once
from local_azure.batch.state.records import Key, Node, Record
from local_azure.batch.state.states import (
    NODE_BOOTED,
    NODE_INTERRUPTED,
    AllocationState,
    NodeState,
    PoolState,
)

Step = Callable[[Node], Awaitable[None]]

# Options that let the tasks of a node run to their end.
_PATIENT = frozenset({"taskcompletion", "retaineddata"})


class NodeKeeper:
    """Follows the states of nodes; at any time at most one coroutine per node is at work."""

    def __init__(self, context: EngineContext, dispatcher: Dispatcher) -> None:
        self._context = context
        self._store = context.store
        self._clock = context.clock
        self._delays = context.delays
        self._dispatcher = dispatcher
        self._start_tasks = StartTasks(context)
        self._lives: dict[Key, set[asyncio.Task[None]]] = {}
        self._steps: dict[NodeState, Step] = {
            NodeState.CREATING: self._boot,
            NodeState.STARTING: self._start,
            NodeState.REBOOTING: self._reboot,
            NodeState.REIMAGING: self._reimage,
            NodeState.DEALLOCATING: self._deallocate,
            NodeState.PREEMPTED: self._give_up,
            NodeState.UNUSABLE: self._lose,
            NodeState.LEAVING_POOL: self._leave,
        }

    def node_changed(self, old: Record | None, node: Node) -> None:
        """Act on a node that is new or has changed; `old` is what it was, if it was there."""
        before = old.state if isinstance(old, Node) else None
        interrupted = node.state in NODE_INTERRUPTED or before is NodeState.DEALLOCATED
        unattended = self._step(node) is not None and node.key not in self._lives
        if unattended or (interrupted and before is not node.state):
            self._begin(node.key)
        if not node.schedulable:
            self._withdraw(old, node)
        if node.state is NodeState.RUNNING and before is not NodeState.RUNNING:
            self._lose_by_fault(node)

    def _lose_by_fault(self, node: Node) -> None:
        """Lose a node that begins to run tasks, if a rule for faults says so."""
        rule = self._context.faults.on_node(f"/pools/{node.pool_id}/nodes/{node.id}")
        if rule is not None:
            self._clock.call_later(rule.seconds, lambda: self._fail(node.key))

    def _fail(self, key: Key) -> None:
        node = self._store.nodes.find(*key)
        if node is not None and node.state in NODE_BOOTED:
            lost = NodeState.UNUSABLE if node.dedicated else NodeState.PREEMPTED
            self._move(key, lost)

    def _withdraw(self, old: Record | None, node: Node) -> None:
        """End the scheduling of a node: its tasks end as its option says, then it is offline."""
        if not isinstance(old, Node) or old.schedulable:
            self._context.background.spawn(self._clear(node))
        if node.state is NodeState.IDLE:
            # Not at once: later listeners must get this change before the next.
            asyncio.get_running_loop().call_soon(self._take_offline, node.key)

    def _take_offline(self, key: Key) -> None:
        node = self._store.nodes.find(*key)
        if node is not None and node.state is NodeState.IDLE and not node.schedulable:
            self._store.nodes.put(node.move(NodeState.OFFLINE, self._clock.now()))

    def _begin(self, key: Key) -> None:
        lives = self._lives.setdefault(key, set())
        for former in lives:
            # At once: in its next turn it would continue with a node that has changed.
            cancel_once(former)
        life = self._context.background.spawn(self._live(key, frozenset(lives)))
        lives.add(life)
        life.add_done_callback(lambda _: self._ended(key, life))

    def _ended(self, key: Key, life: asyncio.Task[None]) -> None:
        self._lives[key].discard(life)
        if not self._lives[key]:
            del self._lives[key]

    async def _live(self, key: Key, former: frozenset[asyncio.Task[None]]) -> None:
        """Take a node's next step until there is none, once the cancelled coroutines have ended."""
        if former:
            await asyncio.wait(former)
        done: NodeState | None = None
        while (node := self._store.nodes.find(*key)) is not None and node.state is not done:
            step = self._step(node)
            if step is None:
                return
            await step(node)
            # After a step that does not change the state there is no other.
            done = node.state

    def _step(self, node: Node) -> Step | None:
        """Return what is to be done next for a node."""
        info = node.start_task_info
        if node.state in NODE_BOOTED and info is not None and info["state"] == "running":
            return self._run_start_task
        return self._steps.get(node.state)

    async def _boot(self, node: Node) -> None:
        await self._delays.wait("boot")
        self._move(node.key, NodeState.STARTING)

    async def _start(self, node: Node) -> None:
        await self._delays.wait("start")
        if node.start_task is None:
            self._move(node.key, self._ready(node.key), start_task_info=None)
            return
        waits = node.start_task["waitForSuccess"]
        state = NodeState.WAITING_FOR_START_TASK if waits else self._ready(node.key)
        self._move(node.key, state, start_task_info=self._start_tasks.begun())

    async def _run_start_task(self, node: Node) -> None:
        info = await self._start_tasks.run(node)
        current = self._store.nodes.get(*node.key)
        if current.state is not NodeState.WAITING_FOR_START_TASK:
            self._store.nodes.put(replace(current, start_task_info=info))
            return
        succeeded = info["result"] == "success"
        state = self._ready(node.key) if succeeded else NodeState.START_TASK_FAILED
        self._move(node.key, state, start_task_info=info)

    def _ready(self, key: Key) -> NodeState:
        return NodeState.IDLE if self._store.nodes.get(*key).schedulable else NodeState.OFFLINE

    async def _reboot(self, node: Node) -> None:
        await self._shut_down(node)
        await self._delays.wait("boot")
        self._restart(node)

    async def _reimage(self, node: Node) -> None:
        await self._shut_down(node)
        await self._delays.wait("boot")
        root = Path(node.root)
        self._context.folders.remove(root)
        self._context.folders.make_node(root)
        self._restart(node)

    def _restart(self, node: Node) -> None:
        """Let a node start with what its pool's start task is by now."""
        pool = self._store.pools.get(node.pool_id)
        self._move(
            node.key,
            NodeState.STARTING,
            booted=self._clock.now(),
            start_task=pool.body.get("startTask"),
            start_task_info=None,
        )

    async def _deallocate(self, node: Node) -> None:
        await self._shut_down(node)
        self._move(node.key, NodeState.DEALLOCATED)

    async def _lose(self, node: Node) -> None:
        """Requeue the tasks of a node that was lost, whatever its task option says."""
        await self._shut_down(replace(node, task_option="requeue"))

    async def _give_up(self, node: Node) -> None:
        """Lose a preempted node, and let its pool allocate another."""
        await self._lose(node)
        pool = self._store.pools.get(node.pool_id)
        if pool.state is PoolState.ACTIVE and pool.allocation is AllocationState.STEADY:
            now = self._clock.now()
            pool = pool.allocate(AllocationState.RESIZING, now, resize_errors=())
            self._store.pools.put(pool)
        await self._leave(node)

    async def _leave(self, node: Node) -> None:
        await self._shut_down(node)
        await self._delays.wait("removal")
        self._store.nodes.remove(node)
        self._context.folders.remove_node(node)

    async def _shut_down(self, node: Node) -> None:
        """Clear a node, and end what its tasks have left running there: nothing outlives it."""
        await self._clear(node)
        await self._context.runner.end_processes(Path(node.root))

    async def _clear(self, node: Node) -> None:
        """Wait until none of a node's tasks runs any more, as its task option says."""
        runs = self._dispatcher.runs_where(lambda run: run.node_key == node.key)
        if node.task_option in _PATIENT and runs:
            await asyncio.wait({run.coroutine for run in runs})
        ending = self._dispatcher.end(
            runs, requeue=node.task_option != "terminate", by="by an operation on its node"
        )
        # Half done, it would leave tasks that run nowhere: it continues even if we are cancelled.
        await asyncio.shield(self._context.background.spawn(ending))

    def _move(self, key: Key, state: NodeState, **changes: Any) -> None:
        node = self._store.nodes.get(*key)
        self._store.nodes.put(node.move(state, self._clock.now(), **changes))
