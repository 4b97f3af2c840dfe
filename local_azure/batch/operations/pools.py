"""Operations on pools. Nodes come and go later: the allocator follows the targets set here."""

from local_azure.batch.autoscale import evaluation
from local_azure.batch.calls import schemas
from local_azure.batch.calls.answers import entity, listing, written
from local_azure.batch.calls.call import Call, Reply
from local_azure.batch.calls.conditions import check_conditions
from local_azure.batch.calls.views import ENTITY_FIELDS, common_view
from local_azure.batch.state.records import Pool
from local_azure.batch.state.states import AllocationState, PoolState
from local_azure.batch.state.vm_sizes import cores_of
from local_azure.batch.wire.errors import conflict, exists, invalid_property
from local_azure.batch.wire.formats import Json, etag_of, format_time, parse_duration

_MIN_RESIZE_TIMEOUT_S = 300
_MAX_SLOTS = 256
_SLOTS_PER_CORE = 4


def _fill_type(name: str, value: object) -> str:
    """Accept spread or pack, in title case: so the service writes this enum, unlike all others."""
    return str(schemas.one_of("spread", "pack")(name, value)).capitalize()


_VM_CONFIGURATION = schemas.obj(
    {
        "imageReference": schemas.obj(
            {
                "publisher": schemas.string,
                "offer": schemas.string,
                "sku": schemas.string,
                "version": schemas.string,
                "virtualMachineImageId": schemas.unsupported,
                "sharedGalleryImageId": schemas.unsupported,
                "communityGalleryImageId": schemas.unsupported,
            }
        ),
        "nodeAgentSKUId": schemas.string,
        **dict.fromkeys(
            (
                "windowsConfiguration",
                "dataDisks",
                "licenseType",
                "containerConfiguration",
                "diskEncryptionConfiguration",
                "nodePlacementConfiguration",
                "extensions",
                "osDisk",
                "securityProfile",
                "serviceArtifactReference",
            ),
            schemas.unsupported,
        ),
    },
    ("imageReference", "nodeAgentSKUId"),
)
_CHANGEABLE: dict[str, schemas.Parser] = {
    "displayName": schemas.string,
    "startTask": schemas.START_TASK,
    "metadata": schemas.METADATA,
    "taskSlotsPerNode": schemas.integer(1, _MAX_SLOTS),
    "taskSchedulingPolicy": schemas.obj(
        {
            "nodeFillType": _fill_type,
            "jobDefaultOrder": schemas.only("none"),
        },
        ("nodeFillType",),
    ),
    **dict.fromkeys(
        (
            "applicationPackageReferences",
            "enableInterNodeCommunication",
            "networkConfiguration",
            "userAccounts",
            "mountConfiguration",
            "upgradePolicy",
        ),
        schemas.unsupported,
    ),
}
TARGETS: dict[str, schemas.Parser] = {
    "targetDedicatedNodes": schemas.integer(0),
    "targetLowPriorityNodes": schemas.integer(0),
}
"""The properties that say how many nodes a pool should have."""

_CREATE = schemas.obj(
    {
        "id": schemas.resource_id,
        "vmSize": schemas.string,
        "virtualMachineConfiguration": _VM_CONFIGURATION,
        "enableAutoScale": schemas.boolean,
        "autoScaleFormula": schemas.string,
        "autoScaleEvaluationInterval": schemas.duration,
        "resizeTimeout": schemas.duration,
        **_CHANGEABLE,
        **TARGETS,
    },
    ("id", "vmSize", "virtualMachineConfiguration"),
)
_UPDATE = schemas.obj(
    {
        **_CHANGEABLE,
        "vmSize": schemas.unsupported,
        "virtualMachineConfiguration": schemas.unsupported,
    }
)
_REPLACED = ("startTask", "metadata")
_REPLACE = schemas.obj(
    {
        **{name: _CHANGEABLE[name] for name in _REPLACED},
        "applicationPackageReferences": schemas.unsupported,
        # Clients before 2025-06-01 send an empty list.
        "certificateReferences": schemas.unsupported,
    },
    ("metadata", "applicationPackageReferences"),
)
_FIELDS = ENTITY_FIELDS | {
    *("allocationState", "allocationStateTransitionTime", "resizeErrors", "resizeTimeout"),
    *("currentDedicatedNodes", "currentLowPriorityNodes", "targetDedicatedNodes"),
    *("targetLowPriorityNodes", "vmSize", "virtualMachineConfiguration", "enableAutoScale"),
    *("autoScaleFormula", "autoScaleEvaluationInterval", "autoScaleRun"),
    *("enableInterNodeCommunication", "startTask", "taskSlotsPerNode", "taskSchedulingPolicy"),
    *("metadata", "stats"),
}


def view(call: Call, pool: Pool) -> Json:
    """Write a pool as on the wire."""
    nodes = call.store.nodes.of(pool.id).values()
    dedicated = sum(node.dedicated for node in nodes)
    return {
        **pool.body,
        **common_view(pool, call.url("pools", pool.id)),
        "allocationState": pool.allocation,
        "allocationStateTransitionTime": format_time(pool.allocation_since),
        "resizeErrors": list(pool.resize_errors) or None,
        "currentDedicatedNodes": dedicated,
        "currentLowPriorityNodes": len(nodes) - dedicated,
        "targetDedicatedNodes": pool.target_dedicated,
        "targetLowPriorityNodes": pool.target_low_priority,
        "autoScaleRun": pool.auto_scale_run,
    }


def create_pool(call: Call) -> Reply:
    """POST /pools."""
    body = schemas.read(_CREATE, call.body)
    old = call.store.pools.find(body["id"])
    if old is not None and old.state is PoolState.DELETING:
        raise conflict("PoolBeingDeleted", "The specified pool is being deleted", old.id)
    if old is not None:
        raise exists("Pool", old.id)
    _check_slots(body, body["vmSize"])
    check_timeout(body)
    evaluation.check_settings(body)
    if len(call.store.pools.of()) >= call.service.account.pool_quota:
        raise conflict("PoolQuotaReached", "The account has reached its quota of pools", body["id"])
    now, serial = call.service.clock.now(), call.store.next_serial()
    low_priority = body.pop("targetLowPriorityNodes", 0)
    dedicated = body.pop("targetDedicatedNodes", 0)
    pool = Pool(
        id=body.pop("id"),
        serial=serial,
        state=PoolState.ACTIVE,
        created=now,
        state_since=now,
        modified=now,
        etag=etag_of(serial, now),
        allocation=AllocationState.RESIZING if dedicated + low_priority else AllocationState.STEADY,
        allocation_since=now,
        target_dedicated=dedicated,
        target_low_priority=low_priority,
        body=_with_defaults(body),
    )
    if pool.body["enableAutoScale"]:
        pool = evaluation.follow(call.service, pool)
    call.store.pools.put(pool)
    return written(pool, call.url("pools", pool.id), 201, location=True)


def _with_defaults(body: Json) -> Json:
    defaults: Json = {
        "resizeTimeout": "PT15M",
        "taskSlotsPerNode": 1,
        "taskSchedulingPolicy": {"nodeFillType": "Spread"},
        "enableAutoScale": False,
        "enableInterNodeCommunication": False,
    }
    if body.get("enableAutoScale"):
        defaults["autoScaleEvaluationInterval"] = evaluation.INTERVAL
    if "startTask" in body:
        body["startTask"] = {"maxTaskRetryCount": 0, "waitForSuccess": True} | body["startTask"]
    return defaults | body


def _check_slots(body: Json, vm_size: str) -> None:
    limit = min(_SLOTS_PER_CORE * cores_of(vm_size), _MAX_SLOTS)
    if body.get("taskSlotsPerNode", 1) > limit:
        reason = f"a node of size {vm_size} has {limit} task slots at most"
        raise invalid_property("taskSlotsPerNode", body["taskSlotsPerNode"], reason)


def check_timeout(body: Json) -> None:
    """Refuse a resizeTimeout of less than 5 minutes."""
    text = body.get("resizeTimeout", "PT15M")
    if parse_duration(text).total_seconds() < _MIN_RESIZE_TIMEOUT_S:
        raise invalid_property("resizeTimeout", text, "it must be 5 minutes or more")


async def list_pools(call: Call) -> Reply:
    """GET /pools."""
    pools = call.store.pools.of().values()
    return await listing(call, "pools", pools, lambda pool: view(call, pool), _FIELDS)


def get_pool(call: Call) -> Reply:
    """GET /pools/{poolId}."""
    pool = call.store.pools.get(call.ids["pool_id"])
    return entity(call, pool, view(call, pool), "pools", _FIELDS)


def pool_exists(call: Call) -> Reply:
    """HEAD /pools/{poolId}."""
    call.store.pools.get(call.ids["pool_id"])
    return Reply()


def writable(call: Call) -> Pool:
    """Return the pool of a request that writes to it.

    Raises:
        BatchError: 404, it is not there; 409, it is being deleted; 412, a condition fails.
    """
    pool = call.store.pools.get(call.ids["pool_id"])
    if pool.state is PoolState.DELETING:
        raise conflict("PoolBeingDeleted", "The specified pool is being deleted", pool.id)
    check_conditions(call, pool, write=True)
    return pool


def _write(call: Call, pool: Pool, body: Json, status: int) -> Reply:
    pool = pool.written(call.service.clock.now(), call.store.next_serial(), body=body)
    call.store.pools.put(pool)
    return written(pool, call.url("pools", pool.id), status)


def update_pool(call: Call) -> Reply:
    """PATCH /pools/{poolId}: only what is given is replaced."""
    pool = writable(call)
    body = schemas.read(_UPDATE, call.body)
    _check_slots(body, pool.body["vmSize"])
    if "taskSlotsPerNode" in body and call.store.nodes.of(pool.id):
        raise conflict("OperationInvalidForCurrentState", "The pool must be without nodes", pool.id)
    return _write(call, pool, _with_defaults(pool.body | body), 200)


def replace_pool_properties(call: Call) -> Reply:
    """POST /pools/{poolId}/updateproperties: what is absent is removed."""
    pool = writable(call)
    given = schemas.read(_REPLACE, call.body)
    kept = {name: value for name, value in pool.body.items() if name not in _REPLACED}
    return _write(call, pool, _with_defaults(kept | given), 204)


def delete_pool(call: Call) -> Reply:
    """DELETE /pools/{poolId}: 202, then `deleting` until its nodes are gone, then 404."""
    pool = writable(call)
    call.store.pools.put(pool.move(PoolState.DELETING, call.service.clock.now()))
    return Reply(status=202)
