"""Reading compute nodes: the allocator creates them, the node keeper runs them."""

from local_azure.batch.calls.answers import listing
from local_azure.batch.calls.call import Call, Reply
from local_azure.batch.calls.odata import parse_select
from local_azure.batch.calls.views import ENTITY_FIELDS, common_view
from local_azure.batch.state.records import Node
from local_azure.batch.wire.formats import Json, format_time, without_none

_FIELDS = ENTITY_FIELDS | {
    *("schedulingState", "lastBootTime", "allocationTime", "ipAddress", "affinityId", "vmSize"),
    *("totalTasksRun", "runningTasksCount", "runningTaskSlotsCount", "totalTasksSucceeded"),
    *("recentTasks", "startTask", "startTaskInfo", "errors", "isDedicated", "nodeAgentInfo"),
}
_AGENT_VERSION = "1.12.0"


def view(call: Call, node: Node) -> Json:
    """Write a node as on the wire."""
    common = common_view(node, call.url("pools", node.pool_id, "nodes", node.id))
    for name in ("eTag", "lastModified", "creationTime"):
        del common[name]
    return {
        **common,
        "schedulingState": "enabled" if node.schedulable else "disabled",
        "lastBootTime": format_time(node.booted),
        "allocationTime": format_time(node.created),
        "ipAddress": node.ip_address,
        "affinityId": f"TVM:{node.id}",
        "vmSize": node.vm_size,
        "totalTasksRun": node.total_tasks_run,
        "runningTasksCount": node.running_tasks,
        "runningTaskSlotsCount": node.running_slots,
        "totalTasksSucceeded": node.total_tasks_succeeded,
        "recentTasks": list(node.recent_tasks) or None,
        "startTask": node.start_task,
        "startTaskInfo": node.start_task_info,
        "isDedicated": node.dedicated,
        "nodeAgentInfo": {
            "version": _AGENT_VERSION,
            "lastUpdateTime": format_time(node.booted),
        },
    }


async def list_nodes(call: Call) -> Reply:
    """GET /pools/{poolId}/nodes."""
    pool = call.store.pools.get(call.ids["pool_id"])
    nodes = call.store.nodes.of(pool.id).values()
    return await listing(call, "nodes", nodes, lambda node: view(call, node), _FIELDS)


def get_node(call: Call) -> Reply:
    """GET /pools/{poolId}/nodes/{nodeId}."""
    call.store.pools.get(call.ids["pool_id"])
    node = call.store.nodes.get(call.ids["pool_id"], call.ids["node_id"])
    select = parse_select(call.query.get("$select"), _FIELDS)
    return Reply(
        body={"odata.metadata": f"{call.base_url}/$metadata#nodes/@Element"}
        | select(without_none(view(call, node)))
    )
