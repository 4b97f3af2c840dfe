"""Makes pools as large as they should be: decides which nodes are created and which leave."""

import asyncio
import secrets
from collections.abc import Iterable

from local_azure.batch.engine.context import EngineContext
from local_azure.batch.engine.dispatcher import Dispatcher
from local_azure.batch.state.records import Key, Node, Pool, Record
from local_azure.batch.state.states import NODE_LEAVING, AllocationState, NodeState, PoolState
from local_azure.batch.state.vm_sizes import cores_of
from local_azure.batch.wire.failures import resize_error
from local_azure.batch.wire.formats import Json, etag_of, parse_duration

_KINDS = {True: "dedicated", False: "low-priority"}
_QUOTA_CODES = {True: "AccountCoreQuotaReached", False: "AccountLowPriorityCoreQuotaReached"}


class Allocator:
    """Follows the pools' targets; the node keeper handles each node it creates or dismisses."""

    def __init__(self, context: EngineContext, dispatcher: Dispatcher) -> None:
        self._context = context
        self._store = context.store
        self._clock = context.clock
        self._dispatcher = dispatcher
        self._allocations: dict[Key, asyncio.Task[None]] = {}
        self._woken: set[Key] = set()

    def pool_changed(self, old: Record | None, pool: Pool) -> None:
        """Act on a pool that is new or has changed; `old` is what it was, if it was there."""
        deleting = pool.state is PoolState.DELETING
        if deleting and (old is None or old.state is not PoolState.DELETING):
            # A node may be waiting for its tasks to complete.
            runs = self._dispatcher.runs_where(lambda run: run.node_key[:-1] == pool.key)
            self._context.background.spawn(
                self._dispatcher.end(runs, requeue=True, by="by the deletion of its pool")
            )
        if (deleting or pool.allocation is AllocationState.STOPPING) and (
            allocation := self._allocations.pop(pool.key, None)
        ):
            allocation.cancel()
        self.wake(pool.key)

    def wake(self, pool_key: Key) -> None:
        """Act on a pool whose nodes have changed, once the current callback is over."""
        if pool_key not in self._woken:
            self._woken.add(pool_key)
            asyncio.get_running_loop().call_soon(self._act_on, pool_key)

    def _act_on(self, pool_key: Key) -> None:
        self._woken.discard(pool_key)
        pool = self._store.pools.find(*pool_key)
        if pool is None:
            return
        if pool.state is PoolState.DELETING:
            self._dissolve(pool)
        elif pool.allocation is AllocationState.STOPPING:
            text = "The desired number of nodes was not reached: the resize was stopped"
            self._end_resize(pool, [resize_error("ResizeStopped", text)])
        elif pool.allocation is AllocationState.RESIZING:
            self._resize(pool)

    def _dissolve(self, pool: Pool) -> None:
        nodes = self._store.nodes.list(pool.id)
        self._dismiss(nodes, "requeue")
        if not nodes:
            self._store.pools.remove(pool)

    def _resize(self, pool: Pool) -> None:
        """Take the next step of a resize: it ends when nothing is missing and nothing leaves."""
        for dedicated in _KINDS:
            nodes = sorted(
                self._staying(pool, dedicated=dedicated), key=lambda node: node.running_tasks
            )
            surplus = max(0, len(nodes) - _target(pool, dedicated=dedicated))
            self._dismiss(nodes[:surplus], pool.node_deallocation)
        if any(self._missing(pool, dedicated=dedicated) for dedicated in _KINDS):
            self._allocate_soon(pool)
        elif not any(node.state in NODE_LEAVING for node in self._store.nodes.of(pool.id).values()):
            self._end_resize(pool, self._shortages(pool, in_time=True))

    def _end_resize(self, pool: Pool, errors: Iterable[Json]) -> None:
        now = self._clock.now()
        self._store.pools.put(
            pool.allocate(AllocationState.STEADY, now, resize_errors=tuple(errors))
        )

    def _staying(self, pool: Pool, *, dedicated: bool) -> list[Node]:
        nodes = self._store.nodes.list(pool.id)
        return [n for n in nodes if n.dedicated is dedicated and n.state not in NODE_LEAVING]

    def _missing(self, pool: Pool, *, dedicated: bool) -> int:
        """How many nodes are still to be made, as far as the quota allows them."""
        wanted = min(_target(pool, dedicated=dedicated), self._allowed(pool, dedicated=dedicated))
        return max(0, wanted - len(self._staying(pool, dedicated=dedicated)))

    def _allowed(self, pool: Pool, *, dedicated: bool) -> int:
        """How many nodes the account's core quota leaves to this pool."""
        account = self._context.service.account
        quota = account.dedicated_core_quota if dedicated else account.low_priority_core_quota
        used = sum(
            cores_of(node.vm_size)
            for other in self._store.pools.of().values()
            if other.key != pool.key
            for node in self._store.nodes.of(other.id).values()
            if node.dedicated is dedicated
        )
        return max(0, quota - used) // cores_of(pool.body["vmSize"])

    def _allocate_soon(self, pool: Pool) -> None:
        if pool.key in self._allocations:
            return
        allocation = self._context.background.spawn(self._allocate(pool.key))
        self._allocations[pool.key] = allocation
        allocation.add_done_callback(lambda _: self._allocated(pool.key, allocation))

    def _allocated(self, pool_key: Key, allocation: asyncio.Task[None]) -> None:
        # One that was cancelled is not known any more, and the next one may have begun.
        is_old = self._allocations.get(pool_key) is not allocation
        if not is_old and not allocation.cancelled():
            del self._allocations[pool_key]
            self.wake(pool_key)

    async def _allocate(self, pool_key: Key) -> None:
        """Create the missing nodes when machines are there, or end the resize at its timeout."""
        limit = parse_duration(self._store.pools.get(*pool_key).body["resizeTimeout"])
        in_time = await self._within(limit.total_seconds())
        pool = self._store.pools.get(*pool_key)
        if not in_time:
            self._end_resize(pool, self._shortages(pool, in_time=False))
            return
        fault = self._context.faults.on_resize(f"/pools/{pool.id}")
        if fault is not None:
            text = "The desired number of nodes could not be allocated"
            self._end_resize(pool, [resize_error(fault.code or "AllocationFailed", text)])
            return
        for dedicated in _KINDS:
            for _ in range(self._missing(pool, dedicated=dedicated)):
                self._create_node(pool, dedicated=dedicated)

    async def _within(self, limit_s: float) -> bool:
        """Wait until nodes can be allocated; False: the limit came first."""
        ready = asyncio.ensure_future(self._context.delays.wait("allocation"))
        limit = asyncio.ensure_future(self._clock.sleep(limit_s))
        try:
            done, _ = await asyncio.wait({ready, limit}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ready.cancel()
            limit.cancel()
        return ready in done

    def _create_node(self, pool: Pool, *, dedicated: bool) -> None:
        now, serial = self._clock.now(), self._store.next_serial()
        node_id = f"tvmps_{secrets.token_hex(32)}_{'d' if dedicated else 'p'}"
        root = self._context.folders.node_root(pool.id, node_id)
        self._context.folders.make_node(root)
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

    def _dismiss(self, nodes: Iterable[Node], option: str) -> None:
        """Let nodes leave that do not leave already; `option` says what happens to their tasks."""
        now = self._clock.now()
        for node in nodes:
            if node.state is not NodeState.LEAVING_POOL:
                self._store.nodes.put(node.move(NodeState.LEAVING_POOL, now, task_option=option))

    def _shortages(self, pool: Pool, *, in_time: bool) -> Iterable[Json]:
        """Report the nodes that a pool did not get: the quota or the time was too short."""
        for dedicated, kind in _KINDS.items():
            wanted = _target(pool, dedicated=dedicated)
            found = len(self._staying(pool, dedicated=dedicated))
            if wanted <= found:
                continue
            code, text = "AllocationTimedout", f"The {kind} nodes were not allocated in time"
            if in_time:
                code = _QUOTA_CODES[dedicated]
                text = f"The specified account has reached its {kind} core quota"
            yield resize_error(
                code,
                text,
                ("VM size", str(pool.body["vmSize"])),
                ("Requested nodes", str(wanted)),
                ("Allocated nodes", str(found)),
            )


def _target(pool: Pool, *, dedicated: bool) -> int:
    return pool.target_dedicated if dedicated else pool.target_low_priority
