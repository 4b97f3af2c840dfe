"""Operations on the size of pools: resize and its end, removal of nodes, autoscale."""

from dataclasses import replace

from local_azure.batch.autoscale import evaluation
from local_azure.batch.calls import schemas
from local_azure.batch.calls.answers import written
from local_azure.batch.calls.call import Call, Reply
from local_azure.batch.operations.pools import TARGETS, check_timeout, writable
from local_azure.batch.state.records import Pool
from local_azure.batch.state.states import NODE_LEAVING, AllocationState, NodeState
from local_azure.batch.wire.errors import BatchError, conflict, invalid_property, missing_property
from local_azure.batch.wire.formats import Json

_MAX_REMOVED = 100
_DEALLOCATION = {
    "resizeTimeout": schemas.duration,
    "nodeDeallocationOption": schemas.one_of(
        "requeue", "terminate", "taskcompletion", "retaineddata"
    ),
}
_RESIZE = schemas.obj({**TARGETS, **_DEALLOCATION})
_REMOVE = schemas.obj({"nodeList": schemas.list_of(schemas.string), **_DEALLOCATION}, ("nodeList",))
_AUTOSCALE = schemas.obj(
    {"autoScaleFormula": schemas.string, "autoScaleEvaluationInterval": schemas.duration}
)
_EVALUATE = schemas.obj({"autoScaleFormula": schemas.string}, ("autoScaleFormula",))


def _steady(pool: Pool) -> Pool:
    if pool.allocation is not AllocationState.STEADY:
        raise conflict("PoolBeingResized", "The specified pool is being resized", pool.id)
    return pool


def _resizing(call: Call, pool: Pool, given: Json, dedicated: int, low_priority: int) -> Pool:
    """Return a steady pool as a resize with the options given leaves it."""
    return pool.allocate(
        AllocationState.RESIZING,
        call.service.clock.now(),
        body=pool.body | {"resizeTimeout": given.get("resizeTimeout", "PT15M")},
        target_dedicated=dedicated,
        target_low_priority=low_priority,
        node_deallocation=given.get("nodeDeallocationOption", "requeue"),
        resize_errors=(),
    )


def _put(call: Call, pool: Pool, status: int) -> Reply:
    call.store.pools.put(pool)
    return written(pool, call.url("pools", pool.id), status)


def resize_pool(call: Call) -> Reply:
    """POST /pools/{poolId}/resize."""
    pool = writable(call)
    body = schemas.read(_RESIZE, call.body)
    if not {"targetDedicatedNodes", "targetLowPriorityNodes"} & body.keys():
        raise BatchError(
            400,
            "MissingRequiredProperty",
            "One of targetDedicatedNodes and targetLowPriorityNodes is required.",
        )
    check_timeout(body)
    if pool.body["enableAutoScale"]:
        text = "The specified pool is autoscaled and cannot be resized by hand"
        raise conflict("OperationNotValidOnPool", text, pool.id)
    dedicated = body.get("targetDedicatedNodes", pool.target_dedicated)
    low_priority = body.get("targetLowPriorityNodes", pool.target_low_priority)
    return _put(call, _resizing(call, _steady(pool), body, dedicated, low_priority), 202)


def stop_pool_resize(call: Call) -> Reply:
    """POST /pools/{poolId}/stopresize: the nodes that are there stay."""
    pool = writable(call)
    if pool.allocation is not AllocationState.RESIZING:
        text = "The specified pool is not being resized"
        raise conflict("OperationInvalidForCurrentState", text, pool.id)
    return _put(call, pool.allocate(AllocationState.STOPPING, call.service.clock.now()), 202)


def remove_nodes(call: Call) -> Reply:
    """POST /pools/{poolId}/removenodes: the targets go down with the nodes."""
    pool = writable(call)
    body = schemas.read(_REMOVE, call.body)
    check_timeout(body)
    names = {name.lower(): name for name in body["nodeList"]}
    if not 1 <= len(names) <= _MAX_REMOVED:
        reason = f"1 to {_MAX_REMOVED} nodes are expected"
        raise invalid_property("nodeList", len(names), reason)
    _steady(pool)
    nodes = [call.store.nodes.get(pool.id, name) for name in names.values()]
    leaving = [node for node in nodes if node.state not in NODE_LEAVING]
    dedicated, low_priority = evaluation.sizes(call.store, pool)
    gone = sum(node.dedicated for node in leaving)
    targets = dedicated - gone, low_priority - (len(leaving) - gone)
    resizing = _resizing(call, pool, body, *targets)
    for node in leaving:
        option = resizing.node_deallocation
        now = resizing.allocation_since
        call.store.nodes.put(node.move(NodeState.LEAVING_POOL, now, task_option=option))
    return _put(call, resizing, 202)


def enable_pool_auto_scale(call: Call) -> Reply:
    """POST /pools/{poolId}/enableautoscale: the formula is evaluated at once."""
    pool = _steady(writable(call))
    given = schemas.read(_AUTOSCALE, call.body)
    body = {"autoScaleEvaluationInterval": evaluation.INTERVAL} | pool.body | given
    if "autoScaleFormula" not in body:
        raise missing_property("autoScaleFormula")
    evaluation.check_formula(body["autoScaleFormula"])
    evaluation.check_interval(body["autoScaleEvaluationInterval"])
    pool = _written(call, pool, body | {"enableAutoScale": True})
    return _put(call, evaluation.follow(call.service, pool), 200)


def disable_pool_auto_scale(call: Call) -> Reply:
    """POST /pools/{poolId}/disableautoscale: the pool keeps the targets it has."""
    pool = writable(call)
    body = {name: value for name, value in pool.body.items() if not name.startswith("autoScale")}
    pool = _written(call, pool, body | {"enableAutoScale": False})
    return _put(call, replace(pool, auto_scale_run=None), 200)


def _written(call: Call, pool: Pool, body: Json) -> Pool:
    return pool.written(call.service.clock.now(), call.store.next_serial(), body=body)


def evaluate_pool_auto_scale(call: Call) -> Reply:
    """POST /pools/{poolId}/evaluateautoscale: what the formula would give; nothing changes."""
    pool = writable(call)
    text = schemas.read(_EVALUATE, call.body)["autoScaleFormula"]
    if not pool.body["enableAutoScale"]:
        reason = "Autoscale is not enabled on the specified pool"
        raise conflict("OperationNotValidOnPool", reason, pool.id)
    evaluation.check_formula(text)
    metadata = {"odata.metadata": f"{call.base_url}/$metadata#autoScaleRun"}
    return Reply(body=metadata | evaluation.evaluate(call.service, pool, text).run)
