"""Makes pools as large as they should be: nodes are created, started, prepared and removed."""

import asyncio
import secrets
from dataclasses import dataclass, replace
from pathlib import Path

from local_azure.batch.background import KeyedWorker
from local_azure.batch.dispatcher import Dispatcher
from local_azure.batch.engine import Engine
from local_azure.batch.environment import node_environment, settings
from local_azure.batch.failures import resize_error
from local_azure.batch.pools import cores_of
from local_azure.batch.records import Key, Node, Pool
from local_azure.batch.runner import Outcome, Work
from local_azure.batch.states import AllocationState, NodeState, PoolState
from local_azure.batch.wire import Json, etag_of, format_time

_QUOTA_CODES = {True: "AccountCoreQuotaReached", False: "AccountLowPriorityCoreQuotaReached"}


@dataclass(frozen=True, kw_only=True)
class Delays:
    """Seconds of emulated time: for allocating nodes, and for booting each."""

    allocation_s: float = 0.05
    boot_s: float = 0.05


class Allocator:
    """Follows the pools' targets."""

    def __init__(self, engine: Engine, dispatcher: Dispatcher, delays: Delays) -> None:
        self._engine = engine
        self._store = engine.store
        self._clock = engine.clock
        self._dispatcher = dispatcher
        self._delays = delays
        self._boots: dict[Key, asyncio.Task[None]] = {}
        self._worker = KeyedWorker(engine.background, self._settle)

    def wake(self, pool: Pool) -> None:
        """See to a pool that was created, resized or deleted."""
        if pool.state is PoolState.DELETING:
            # A resize may be waiting for its nodes' tasks to complete.
            runs = self._dispatcher.runs_where(lambda run: run.node_key[:-1] == pool.key)
            self._engine.background.spawn(
                self._dispatcher.end(runs, requeue=True, by="by the deletion of its pool")
            )
        self._worker.wake(pool.key)

    async def _settle(self, pool_key: Key) -> None:
        pool = self._store.pools.find(*pool_key)
        if pool is None:
            return
        if pool.state is PoolState.DELETING:
            await self._remove_nodes(self._store.nodes.list(pool.id), "requeue")
            self._store.pools.remove(pool)
        elif pool.allocation is AllocationState.RESIZING:
            await self._clock.sleep(self._delays.allocation_s)
            await self._resize(pool_key)

    async def _resize(self, pool_key: Key) -> None:
        pool = self._store.pools.get(*pool_key)
        if pool.state is PoolState.DELETING:
            return
        errors: list[Json] = []
        for dedicated in (True, False):
            wanted = pool.target_dedicated if dedicated else pool.target_low_priority
            allowed = self._allowed(pool, dedicated=dedicated)
            if wanted > allowed:
                errors.append(_quota_error(pool, wanted, allowed, dedicated=dedicated))
            await self._scale(pool, min(wanted, allowed), dedicated=dedicated)
        pool = self._store.pools.get(*pool_key)
        now = self._clock.now()
        self._store.pools.put(
            replace(pool.allocate(AllocationState.STEADY, now), resize_errors=tuple(errors))
        )

    def _allowed(self, pool: Pool, *, dedicated: bool) -> int:
        """How many nodes the account's core quota leaves to this pool."""
        account = self._engine.service.account
        quota = account.dedicated_core_quota if dedicated else account.low_priority_core_quota
        used = sum(
            cores_of(node.vm_size)
            for other in self._store.pools.of().values()
            if other.key != pool.key
            for node in self._store.nodes.of(other.id).values()
            if node.dedicated is dedicated
        )
        return max(0, quota - used) // cores_of(pool.body["vmSize"])

    async def _scale(self, pool: Pool, wanted: int, *, dedicated: bool) -> None:
        nodes = [n for n in self._store.nodes.list(pool.id) if n.dedicated is dedicated]
        for _ in range(wanted - len(nodes)):
            self._create_node(pool, dedicated=dedicated)
        surplus = sorted(nodes, key=lambda node: node.running_tasks)[: max(0, len(nodes) - wanted)]
        await self._remove_nodes(surplus, pool.node_deallocation)

    def _create_node(self, pool: Pool, *, dedicated: bool) -> None:
        now, serial = self._clock.now(), self._store.next_serial()
        node_id = f"tvmps_{secrets.token_hex(32)}_{'d' if dedicated else 'p'}"
        root = self._engine.folders.node_root(pool.id, node_id)
        self._engine.folders.make_node(root)
        node = Node(
            id=node_id,
            serial=serial,
            state=NodeState.CREATING,
            created=now,
            state_since=now,
            modified=now,
            etag=etag_of(serial, now),
            pool_id=pool.id,
            dedicated=dedicated,
            vm_size=pool.body["vmSize"],
            root=str(root),
            ip_address="127.0.0.1",
            booted=now,
            start_task=pool.body.get("startTask"),
        )
        self._store.nodes.put(node)
        boot = self._engine.background.spawn(self._boot(node.key))
        self._boots[node.key] = boot
        boot.add_done_callback(lambda _: self._boots.pop(node.key, None))

    async def _remove_nodes(self, nodes: list[Node], option: str) -> None:
        """Let nodes leave the pool.

        Args:
            nodes: which.
            option: what becomes of their tasks: requeue, terminate, or taskcompletion (wait).
        """
        for node in nodes:
            current = self._store.nodes.get(*node.key)
            self._store.nodes.put(current.move(NodeState.LEAVING_POOL, self._clock.now()))
        keys = {node.key for node in nodes}
        boots = [self._boots[key] for key in keys & self._boots.keys()]
        for boot in boots:
            boot.cancel()
        runs = self._dispatcher.runs_where(lambda run: run.node_key in keys)
        if option == "taskcompletion" and runs:
            await asyncio.wait({run.coroutine for run in runs})
        await self._dispatcher.end(runs, requeue=option != "terminate", by="by a resize")
        if boots:
            await asyncio.wait(boots)
        for node in nodes:
            self._store.nodes.remove(node)
            self._engine.folders.remove_node(node)

    async def _boot(self, key: Key) -> None:
        await self._clock.sleep(self._delays.boot_s)
        self._move(key, NodeState.STARTING)
        start_task = self._store.nodes.get(*key).start_task
        waits = start_task is not None and start_task["waitForSuccess"]
        self._move(key, NodeState.WAITING_FOR_START_TASK if waits else NodeState.IDLE)
        if start_task is None:
            return
        succeeded = await self._run_start_task(key, start_task)
        if waits:
            self._move(key, NodeState.IDLE if succeeded else NodeState.START_TASK_FAILED)

    def _move(self, key: Key, state: NodeState) -> None:
        node = self._store.nodes.get(*key)
        self._store.nodes.put(node.move(state, self._clock.now()))

    async def _run_start_task(self, key: Key, start_task: Json) -> bool:
        """Run the start task, again while it exits non-zero and has retries left."""
        limit, retries = start_task["maxTaskRetryCount"], 0
        info: Json = {"state": "running", "startTime": self._time(), "retryCount": 0}
        while True:
            self._note(key, info)
            outcome = await self._once(self._store.nodes.get(*key), start_task)
            if not outcome.retryable or 0 <= limit <= retries:
                break
            retries += 1
            info = info | {"retryCount": retries, "lastRetryTime": self._time()}
        result = "success" if outcome.failure is None else "failure"
        info = info | {"state": "completed", "endTime": self._time(), "result": result}
        if outcome.exit_code is not None:
            info["exitCode"] = outcome.exit_code
        if outcome.failure is not None:
            info["failureInfo"] = outcome.failure
        self._note(key, info)
        return outcome.failure is None

    async def _once(self, node: Node, start_task: Json) -> Outcome:
        directory = Path(node.root) / "startup"
        work = Work(
            directory=directory,
            command_line=start_task["commandLine"],
            environment={
                **node_environment(self._engine.service.account, self._engine.url, node, directory),
                **settings(start_task.get("environmentSettings")),
            },
            resource_files=start_task.get("resourceFiles", []),
        )
        failed = await self._engine.runner.prepare(work)
        return (
            Outcome(failure=failed) if failed is not None else await self._engine.runner.run(work)
        )

    def _note(self, key: Key, info: Json) -> None:
        self._store.nodes.put(replace(self._store.nodes.get(*key), start_task_info=info))

    def _time(self) -> str:
        return format_time(self._clock.now())


def _quota_error(pool: Pool, wanted: int, allowed: int, *, dedicated: bool) -> Json:
    kind = "dedicated" if dedicated else "low-priority"
    return resize_error(
        _QUOTA_CODES[dedicated],
        f"The specified account has reached its {kind} core quota",
        ("VM size", str(pool.body["vmSize"])),
        ("Requested nodes", str(wanted)),
        ("Nodes within quota", str(allowed)),
    )
