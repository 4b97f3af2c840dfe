"""Which operations the state of a node forbids, and the quota of pools."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from local_azure.batch.calls.call import Call, Reply
from local_azure.batch.controls.clock import Clock
from local_azure.batch.operations import node_operations, pools
from local_azure.batch.state.account import Account
from local_azure.batch.state.records import Node
from local_azure.batch.state.service import BatchService
from local_azure.batch.state.states import NodeState
from local_azure.batch.state.store import Store
from local_azure.batch.wire.errors import BatchError

NOW = datetime(2026, 11, 22, tzinfo=UTC)
POOL = {
    "vmSize": "standard_d2s_v5",
    "virtualMachineConfiguration": {"imageReference": {}, "nodeAgentSKUId": "x"},
}
REFUSALS = {
    NodeState.CREATING: "NodeBeingCreated",
    NodeState.STARTING: "NodeBeingStarted",
    NodeState.WAITING_FOR_START_TASK: "NodeBeingStarted",
    NodeState.REBOOTING: "NodeBeingRebooted",
    NodeState.REIMAGING: "NodeBeingReimaged",
    NodeState.DEALLOCATING: "OperationNotValidOnNode",
    NodeState.DEALLOCATED: "OperationNotValidOnNode",
    NodeState.PREEMPTED: "OperationNotValidOnNode",
    NodeState.UNUSABLE: "NodeStateUnusable",
    NodeState.LEAVING_POOL: "OperationNotValidOnNode",
}
"""Why a node is not restarted; one in any other state is."""


def call(store: Store, body: object = None, quota: int = 100, **ids: str) -> Call:
    """Return a request, as the operations see it, to an account that nothing schedules."""
    service = BatchService(
        account=Account(name="a", key="", pool_quota=quota),
        store=store,
        clock=Clock(),
        nodes_dir=Path("unused"),
    )
    return Call(
        service=service, base_url="http://host", path="/", ids=ids, query={}, headers={}, body=body
    )


@pytest.fixture
def store() -> Store:
    """An account with a pool of one idle node."""
    store = Store()
    pools.create_pool(call(store, POOL | {"id": "p"}))
    node = Node(
        id="n",
        pool_id="p",
        serial=store.next_serial(),
        state=NodeState.IDLE,
        created=NOW,
        state_since=NOW,
        modified=NOW,
        etag="",
        dedicated=True,
        vm_size="standard_d2s_v5",
        root="unused",
        ip_address="127.0.0.1",
        booted=NOW,
    )
    store.nodes.put(node)
    return store


def asked(store: Store, state: NodeState, operation: str, body: object = None) -> str | None:
    """Ask a node in a state for an operation; return the code of the refusal, or None."""
    store.nodes.put(replace(store.nodes.get("p", "n"), state=state))
    request = call(store, body, pool_id="p", node_id="n")
    try:
        reply: Reply = getattr(node_operations, operation)(request)
    except BatchError as error:
        return error.code
    return None if reply.status in {200, 202} else str(reply.status)


@pytest.mark.parametrize("state", NodeState)
@pytest.mark.parametrize("operation", ["reboot_node", "reimage_node", "deallocate_node"])
def test_restarts(store: Store, state: NodeState, operation: str) -> None:
    """Only a node that has booted is restarted; what it is doing instead is in the code."""
    assert asked(store, state, operation) == REFUSALS.get(state)


@pytest.mark.parametrize("state", NodeState)
def test_start(store: Store, state: NodeState) -> None:
    """Only a deallocated node is started."""
    started = asked(store, state, "start_node") is None

    assert started is (state is NodeState.DEALLOCATED)


@pytest.mark.parametrize("state", NodeState)
def test_scheduling(store: Store, state: NodeState) -> None:
    """A node that is not lost can be taken out of scheduling, whatever it does, and back."""
    lost = state in {NodeState.LEAVING_POOL, NodeState.PREEMPTED, NodeState.UNUSABLE}

    codes = [asked(store, state, f"{verb}_node_scheduling") for verb in ("disable", "enable")]

    assert codes == ([REFUSALS[state]] * 2 if lost else [None, None])


@pytest.mark.parametrize(
    ("operation", "name"),
    [
        ("reboot_node", "nodeRebootOption"),
        ("reimage_node", "nodeReimageOption"),
        ("deallocate_node", "nodeDeallocateOption"),
        ("disable_node_scheduling", "nodeDisableSchedulingOption"),
    ],
)
def test_options(store: Store, operation: str, name: str) -> None:
    """An unknown option is refused, and the node stays as it is."""
    assert asked(store, NodeState.IDLE, operation, {name: "later"}) == "InvalidPropertyValue"
    assert store.nodes.get("p", "n").state is NodeState.IDLE


def test_pools_have_a_quota(store: Store) -> None:
    """One more than the account may have is refused."""
    pools.create_pool(call(store, POOL | {"id": "second"}, quota=2))

    with pytest.raises(BatchError, match="PoolQuotaReached"):
        pools.create_pool(call(store, POOL | {"id": "third"}, quota=2))
