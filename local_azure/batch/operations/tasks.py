"""Operations on tasks. Running them is the dispatcher's work; it sees the changes made here."""

from local_azure.batch.calls import schemas
from local_azure.batch.calls.answers import entity, listing, written
from local_azure.batch.calls.call import Call, Reply
from local_azure.batch.calls.conditions import check_conditions
from local_azure.batch.calls.views import (
    ENTITY_FIELDS,
    HISTORY_FIELDS,
    common_view,
    execution_view,
    history_view,
)
from local_azure.batch.operations import exit_conditions, task_dependencies
from local_azure.batch.operations.job_bodies import check_ids
from local_azure.batch.operations.open_jobs import open_job
from local_azure.batch.state.records import Execution, Job, Task
from local_azure.batch.state.states import TaskState
from local_azure.batch.wire.errors import BatchError, conflict, exists
from local_azure.batch.wire.formats import INFINITE, Json, etag_of, format_time

_MAX_COLLECTION = 100
_MAX_COLLECTION_BYTES = 1024 * 1024
_CREATE = schemas.obj(
    {
        "id": schemas.resource_id,
        "displayName": schemas.string,
        "commandLine": schemas.command_line,
        "resourceFiles": schemas.RESOURCE_FILES,
        "outputFiles": schemas.OUTPUT_FILES,
        "environmentSettings": schemas.ENVIRONMENT,
        "constraints": schemas.TASK_CONSTRAINTS,
        "requiredSlots": schemas.integer(1, 256),
        "userIdentity": schemas.USER_IDENTITY,
        "exitConditions": exit_conditions.SCHEMA,
        "dependsOn": task_dependencies.SCHEMA,
        "affinityInfo": schemas.obj({"affinityId": schemas.string}, ("affinityId",)),
        **dict.fromkeys(
            (*("containerSettings", "multiInstanceSettings", "applicationPackageReferences"),),
            schemas.unsupported,
        ),
    },
    ("id", "commandLine"),
)
_MANAGER_ONLY = ("killJobOnCompletion", "runExclusive", "allowLowPriorityNode")
_COLLECTION = schemas.obj({"value": schemas.list_of(lambda _name, value: value)}, ("value",))
_REPLACE = schemas.obj(
    {
        "constraints": schemas.TASK_CONSTRAINTS,
        # The whole entity may come back; only its constraints can be changed.
        **dict.fromkeys(
            (
                *("id", "displayName", "url", "eTag", "lastModified", "creationTime", "state"),
                *("stateTransitionTime", "previousState", "previousStateTransitionTime"),
                *("commandLine", "resourceFiles", "outputFiles", "environmentSettings"),
                *("requiredSlots", "userIdentity", "executionInfo", "nodeInfo", "stats"),
                *("exitConditions", "dependsOn", "affinityInfo"),
            ),
            lambda _name, value: value,
        ),
    }
)
FIELDS = (
    ENTITY_FIELDS
    | HISTORY_FIELDS
    | {
        *("commandLine", "resourceFiles", "outputFiles", "environmentSettings", "constraints"),
        *("requiredSlots", "userIdentity", "executionInfo", "nodeInfo", "stats"),
        *("exitConditions", "dependsOn", "affinityInfo"),
    }
)


def view(call: Call, task: Task) -> Json:
    """Write a task as on the wire."""
    node: Json | None = None
    if task.pool_id is not None and task.node_id is not None:
        node_url = call.url("pools", task.pool_id, "nodes", task.node_id)
        node = {
            "affinityId": f"TVM:{task.node_id}",
            "nodeUrl": node_url,
            "poolId": task.pool_id,
            "nodeId": task.node_id,
            "taskRootDirectory": task.directory,
            "taskRootDirectoryUrl": f"{node_url}/files/{task.directory}",
        }
    return {
        **task.body,
        **common_view(task, _url(call, task)),
        **history_view(task),
        "executionInfo": execution_view(task),
        "nodeInfo": node,
    }


def _url(call: Call, task: Task) -> str:
    return call.url("jobs", task.job_id, "tasks", task.id)


def _add(call: Call, job: Job, given: object) -> Task:
    body = schemas.read(_CREATE, given)
    if call.store.tasks.find(job.id, body["id"]) is not None:
        raise exists("Task", body["id"])
    check_ids(job.body, [body["id"]])
    exit_conditions.check(body.get("exitConditions", {}), job)
    if "dependsOn" in body:
        task_dependencies.check(body["dependsOn"], job)
    return _put(call, job, body)


def add_manager(call: Call, job: Job) -> None:
    """Add the job manager task of a new job, if it has one."""
    manager = job.body.get("jobManagerTask")
    if manager is not None:
        _put(call, job, {k: v for k, v in manager.items() if k not in _MANAGER_ONLY})


def _put(call: Call, job: Job, body: Json) -> Task:
    now, serial = call.service.clock.now(), call.store.next_serial()
    task = Task(
        id=body.pop("id"),
        job_id=job.id,
        serial=serial,
        state=TaskState.ACTIVE,
        created=now,
        state_since=now,
        modified=now,
        etag=etag_of(serial, now),
        body=_with_defaults(body, job),
    )
    call.store.tasks.put(task)
    return task


def _with_defaults(body: Json, job: Job) -> Json:
    constraints = {
        "maxWallClockTime": INFINITE,
        "retentionTime": "P7D",
        "maxTaskRetryCount": job.body["constraints"]["maxTaskRetryCount"],
    }
    defaults = {
        "userIdentity": {"autoUser": {"scope": "pool", "elevationLevel": "nonadmin"}},
        "requiredSlots": 1,
    }
    return defaults | body | {"constraints": constraints | body.get("constraints", {})}


def create_task(call: Call) -> Reply:
    """POST /jobs/{jobId}/tasks."""
    task = _add(call, open_job(call), call.body)
    return written(task, _url(call, task), 201, location=True)


def create_task_collection(call: Call) -> Reply:
    """POST /jobs/{jobId}/addtaskcollection: a result for each task, in the order given."""
    job = open_job(call)
    if call.body_size > _MAX_COLLECTION_BYTES:
        raise _too_large(f"{call.body_size} bytes, {_MAX_COLLECTION_BYTES} at most")
    tasks = schemas.read(_COLLECTION, call.body)["value"]
    if len(tasks) > _MAX_COLLECTION:
        raise _too_large(f"{len(tasks)} tasks, {_MAX_COLLECTION} at most")
    return Reply(body={"value": [_add_result(call, job, given) for given in tasks]})


def _too_large(reason: str) -> BatchError:
    text = "The request body is too large and exceeds the maximum permissible limit."
    return BatchError(413, "RequestBodyTooLarge", text, [("Reason", reason)])


def _add_result(call: Call, job: Job, given: object) -> Json:
    task_id = str(given.get("id", "")) if isinstance(given, dict) else ""
    try:
        task = _add(call, job, given)
    except BatchError as error:
        return {
            "status": "clienterror",
            "taskId": task_id,
            "error": {
                "code": error.code,
                "message": {"lang": "en-US", "value": error.message},
                "values": [{"key": key, "value": value} for key, value in error.values],
            },
        }
    return {
        "status": "success",
        "taskId": task.id,
        "eTag": task.etag,
        "lastModified": format_time(task.modified),
        "location": _url(call, task),
    }


async def list_tasks(call: Call) -> Reply:
    """GET /jobs/{jobId}/tasks."""
    job = call.store.jobs.get(call.ids["job_id"])
    tasks = call.store.tasks.of(job.id).values()
    return await listing(call, "tasks", tasks, lambda task: view(call, task), FIELDS)


def _find(call: Call) -> Task:
    job = call.store.jobs.get(call.ids["job_id"])
    return call.store.tasks.get(job.id, call.ids["task_id"])


def get_task(call: Call) -> Reply:
    """GET /jobs/{jobId}/tasks/{taskId}."""
    task = _find(call)
    return entity(call, task, view(call, task), "tasks", FIELDS)


def replace_task(call: Call) -> Reply:
    """PUT /jobs/{jobId}/tasks/{taskId}: new constraints, or the defaults."""
    task = _find(call)
    check_conditions(call, task, write=True)
    if task.state is TaskState.COMPLETED:
        raise conflict("TaskCompleted", "The specified task is already completed", task.id)
    given = schemas.read(_REPLACE, call.body)
    kept = {name: value for name, value in task.body.items() if name != "constraints"}
    constraints = {"constraints": given["constraints"]} if "constraints" in given else {}
    body = _with_defaults(kept | constraints, call.store.jobs.get(task.job_id))
    task = task.written(call.service.clock.now(), call.store.next_serial(), body=body)
    call.store.tasks.put(task)
    return written(task, _url(call, task), 200)


def delete_task(call: Call) -> Reply:
    """DELETE /jobs/{jobId}/tasks/{taskId}: in any state; a running one is killed."""
    task = _find(call)
    check_conditions(call, task, write=True)
    call.store.tasks.remove(task)
    return Reply()


def terminate_task(call: Call) -> Reply:
    """POST /jobs/{jobId}/tasks/{taskId}/terminate."""
    task = _find(call)
    check_conditions(call, task, write=True)
    if task.state is TaskState.COMPLETED:
        raise conflict("TaskCompleted", "The specified task is already completed", task.id)
    call.store.tasks.put(task.ended_by("by a terminate request", call.service.clock.now()))
    return Reply(status=204)


def reactivate_task(call: Call) -> Reply:
    """POST /jobs/{jobId}/tasks/{taskId}/reactivate: a failed task runs again, like a new one."""
    open_job(call)
    task = _find(call)
    check_conditions(call, task, write=True)
    if task.state is not TaskState.COMPLETED:
        raise conflict("TaskNotCompleted", "The specified task is not completed", task.id)
    if task.execution.result == "success":
        raise conflict("TaskSucceeded", "The specified task has succeeded", task.id)
    run = task.execution
    execution = Execution(requeue_count=run.requeue_count, last_requeue=run.last_requeue)
    now = call.service.clock.now()
    call.store.tasks.put(task.move(TaskState.ACTIVE, now, execution=execution, files_cleaned=False))
    return Reply(status=204)
