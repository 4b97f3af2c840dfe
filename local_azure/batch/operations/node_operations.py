"""Operations on a node. The node keeper carries them out."""

from dataclasses import replace

from local_azure.batch.calls import schemas
from local_azure.batch.calls.call import Call, Reply
from local_azure.batch.state.records import Node
from local_azure.batch.state.states import NODE_LOST, NODE_RESTARTABLE, NodeState
from local_azure.batch.wire.errors import BatchError, conflict

_OPTIONS = ("requeue", "terminate", "taskcompletion")
_REFUSALS = {
    NodeState.CREATING: ("NodeBeingCreated", "The specified node is being created"),
    NodeState.STARTING: ("NodeBeingStarted", "The specified node is being started"),
    NodeState.WAITING_FOR_START_TASK: ("NodeBeingStarted", "The specified node is being started"),
    NodeState.REBOOTING: ("NodeBeingRebooted", "The specified node is being rebooted"),
    NodeState.REIMAGING: ("NodeBeingReimaged", "The specified node is being reimaged"),
    NodeState.UNUSABLE: ("NodeStateUnusable", "The specified node is unusable"),
}


def _node(call: Call) -> Node:
    pool = call.store.pools.get(call.ids["pool_id"])
    return call.store.nodes.get(pool.id, call.ids["node_id"])


def _refusal(node: Node) -> BatchError:
    text = f"The operation is not valid on a node that is {node.state}"
    return conflict(*_REFUSALS.get(node.state, ("OperationNotValidOnNode", text)), node.id)


def _option(call: Call, name: str, *more: str) -> str:
    schema = schemas.obj({name: schemas.one_of(*_OPTIONS, *more)})
    return str(schemas.read(schema, call.body).get(name, "requeue"))


def _restart(call: Call, state: NodeState, option: str) -> Reply:
    node = _node(call)
    if node.state not in NODE_RESTARTABLE:
        raise _refusal(node)
    call.store.nodes.put(node.move(state, call.service.clock.now(), task_option=option))
    return Reply(status=202)


def reboot_node(call: Call) -> Reply:
    """POST /pools/{poolId}/nodes/{nodeId}/reboot: its folders stay, its start task runs again."""
    option = _option(call, "nodeRebootOption", "retaineddata")
    return _restart(call, NodeState.REBOOTING, option)


def reimage_node(call: Call) -> Reply:
    """POST /pools/{poolId}/nodes/{nodeId}/reimage: as a reboot, and its folders are emptied."""
    option = _option(call, "nodeReimageOption", "retaineddata")
    return _restart(call, NodeState.REIMAGING, option)


def deallocate_node(call: Call) -> Reply:
    """POST /pools/{poolId}/nodes/{nodeId}/deallocate: its folders stay."""
    option = _option(call, "nodeDeallocateOption", "retaineddata")
    return _restart(call, NodeState.DEALLOCATING, option)


def start_node(call: Call) -> Reply:
    """POST /pools/{poolId}/nodes/{nodeId}/start: of a node that was deallocated."""
    node = _node(call)
    if node.state is not NodeState.DEALLOCATED:
        raise _refusal(node)
    now, pool = call.service.clock.now(), call.store.pools.get(node.pool_id)
    start_task = pool.body.get("startTask")
    call.store.nodes.put(
        node.move(NodeState.STARTING, now, booted=now, start_task=start_task, start_task_info=None)
    )
    return Reply(status=202)


def _check_scheduling(node: Node, *, wanted: bool) -> None:
    if node.state in NODE_LOST:
        raise _refusal(node)
    if node.schedulable is wanted:
        text = "The specified node is in the target scheduling state already"
        raise conflict("NodeAlreadyInTargetSchedulingState", text, node.id)


def disable_node_scheduling(call: Call) -> Reply:
    """POST /pools/{poolId}/nodes/{nodeId}/disablescheduling: offline once no task runs on it."""
    node = _node(call)
    option = _option(call, "nodeDisableSchedulingOption")
    _check_scheduling(node, wanted=False)
    call.store.nodes.put(replace(node, schedulable=False, task_option=option))
    return Reply()


def enable_node_scheduling(call: Call) -> Reply:
    """POST /pools/{poolId}/nodes/{nodeId}/enablescheduling."""
    node = _node(call)
    _check_scheduling(node, wanted=True)
    node = replace(node, schedulable=True)
    if node.state is NodeState.OFFLINE:
        node = node.move(NodeState.IDLE, call.service.clock.now())
    call.store.nodes.put(node)
    return Reply()
