"""The operation that reports how a job's preparation and release tasks went on each node."""

from local_azure.batch.calls.answers import page
from local_azure.batch.calls.call import Call, Reply
from local_azure.batch.wire.errors import conflict
from local_azure.batch.wire.formats import Json

_INFOS = {
    "preparation": "jobPreparationTaskExecutionInfo",
    "release": "jobReleaseTaskExecutionInfo",
}
_FIELDS = frozenset({"poolId", "nodeId", "nodeUrl", *_INFOS.values()})


async def list_status(call: Call) -> Reply:
    """GET /jobs/{jobId}/jobpreparationandreleasetaskstatus: nodes that are gone included."""
    job = call.store.jobs.get(call.ids["job_id"])
    if "jobPreparationTask" not in job.body:
        text = "The specified job has no preparation task"
        raise conflict("JobPreparationTaskNotSpecified", text, job.id)
    items = enumerate((_view(call, *item) for item in job.node_tasks.items()), start=1)
    return await page(call, "jobpreparationandreleasetaskstatuslist", items, _FIELDS)


def _view(call: Call, node_id: str, known: Json) -> Json:
    url = call.url("pools", known["poolId"], "nodes", node_id)
    view: Json = {"poolId": known["poolId"], "nodeId": node_id, "nodeUrl": url}
    for kind, name in _INFOS.items():
        if kind in known:
            root = f"{url}/files/{known[kind]['taskRootDirectory']}"
            view[name] = known[kind] | {"taskRootDirectoryUrl": root}
    return view
