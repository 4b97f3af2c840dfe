"""How many nodes of each state the pools have."""

from collections import Counter
from collections.abc import Iterable

from local_azure.batch.calls.answers import page
from local_azure.batch.calls.call import Call, Reply
from local_azure.batch.state.records import Node
from local_azure.batch.state.states import NodeState
from local_azure.batch.wire.formats import Json

_FIELDS = frozenset({"poolId", "dedicated", "lowPriority"})
_NAMES = {state: str(state) for state in NodeState} | {
    NodeState.START_TASK_FAILED: "startTaskFailed",
    NodeState.WAITING_FOR_START_TASK: "waitingForStartTask",
    NodeState.LEAVING_POOL: "leavingPool",
}
# States that a node of the emulator never has.
_NEVER = ("unknown", "upgradingOS")


def _counts(nodes: Iterable[Node]) -> Json:
    found = Counter(_NAMES[node.state] for node in nodes)
    names = (*_NAMES.values(), *_NEVER)
    return {name: found[name] for name in names} | {"total": found.total()}


async def list_pool_node_counts(call: Call) -> Reply:
    """GET /nodecounts."""
    items = []
    for pool in call.store.pools.of().values():
        nodes = call.store.nodes.list(pool.id)
        view = {
            "poolId": pool.id,
            "dedicated": _counts(node for node in nodes if node.dedicated),
            "lowPriority": _counts(node for node in nodes if not node.dedicated),
        }
        items.append((pool.serial, view))
    return await page(call, "poolnodecounts", items, _FIELDS)
