"""Operations on jobs. Ending a job's tasks and removing them is the job keeper's work."""

from local_azure.batch import schemas
from local_azure.batch.calls import (
    ENTITY_FIELDS,
    Call,
    Reply,
    check_conditions,
    common_view,
    entity,
    listing,
    written,
)
from local_azure.batch.errors import conflict, exists, invalid_property
from local_azure.batch.records import Job
from local_azure.batch.states import JobState
from local_azure.batch.wire import INFINITE, Json, etag_of, format_time, without_none


def _parallel_tasks(name: str, value: object) -> int:
    number = int(schemas.integer(-1)(name, value))
    if number == 0:
        raise invalid_property(name, value, "it must be -1 (no limit) or greater than 0")
    return number


_CHANGEABLE: dict[str, schemas.Parser] = {
    "priority": schemas.integer(-1000, 1000),
    "maxParallelTasks": _parallel_tasks,
    "allowTaskPreemption": schemas.unsupported,
    "constraints": schemas.obj(
        {"maxWallClockTime": schemas.duration, "maxTaskRetryCount": schemas.integer(-1)}
    ),
    "poolInfo": schemas.obj(
        {"poolId": schemas.resource_id, "autoPoolSpecification": schemas.unsupported}
    ),
    "onAllTasksComplete": schemas.one_of("noaction", "terminatejob"),
    "metadata": schemas.METADATA,
    "networkConfiguration": schemas.unsupported,
}
_CREATE = schemas.obj(
    {
        "id": schemas.resource_id,
        "displayName": schemas.string,
        "usesTaskDependencies": schemas.unsupported,
        "jobManagerTask": schemas.unsupported,
        "jobPreparationTask": schemas.unsupported,
        "jobReleaseTask": schemas.unsupported,
        "commonEnvironmentSettings": schemas.ENVIRONMENT,
        "onTaskFailure": schemas.only("noaction"),
        **_CHANGEABLE,
    },
    ("id", "poolInfo"),
)
_UPDATE = schemas.obj(_CHANGEABLE)
_REPLACE = schemas.obj(
    {
        **_CHANGEABLE,
        # The whole entity may come back; what cannot be changed is taken and left as it is.
        **dict.fromkeys(
            (
                *("id", "url", "eTag", "lastModified", "creationTime", "state", "displayName"),
                *("stateTransitionTime", "previousState", "previousStateTransitionTime"),
                *("usesTaskDependencies", "onTaskFailure", "executionInfo", "stats"),
                *("commonEnvironmentSettings", "jobManagerTask", "jobPreparationTask"),
                "jobReleaseTask",
            ),
            lambda _name, value: value,
        ),
    },
    ("poolInfo",),
)
_TERMINATE = schemas.obj({"terminateReason": schemas.string})
_FIELDS = ENTITY_FIELDS | {
    *("usesTaskDependencies", "priority", "maxParallelTasks", "allowTaskPreemption"),
    *("constraints", "poolInfo", "onAllTasksComplete", "onTaskFailure", "metadata"),
    *("commonEnvironmentSettings", "executionInfo", "stats"),
}
_DEFAULTS: Json = {
    "priority": 0,
    "maxParallelTasks": -1,
    "allowTaskPreemption": False,
    "onAllTasksComplete": "noaction",
}


def view(call: Call, job: Job) -> Json:
    """Write a job as on the wire."""
    execution = {
        "startTime": format_time(job.created),
        "endTime": job.ended and format_time(job.ended),
        "poolId": job.pool_id,
        "terminateReason": job.terminate_reason,
    }
    return {
        **job.body,
        **common_view(job, call.url("jobs", job.id)),
        "executionInfo": without_none(execution),
    }


def create_job(call: Call) -> Reply:
    """POST /jobs."""
    body = schemas.read(_CREATE, call.body)
    _check_pool(body)
    old = call.store.jobs.find(body["id"])
    if old is not None and old.state is JobState.DELETING:
        raise conflict("JobBeingDeleted", "The specified job is being deleted", old.id)
    if old is not None:
        raise exists("Job", old.id)
    now, serial = call.service.clock.now(), call.store.next_serial()
    job = Job(
        id=body.pop("id"),
        serial=serial,
        state=JobState.ACTIVE,
        created=now,
        state_since=now,
        modified=now,
        etag=etag_of(serial, now),
        body=_with_defaults(
            {"usesTaskDependencies": False, "onTaskFailure": "noaction"} | _DEFAULTS | body
        ),
    )
    call.store.jobs.put(job)
    return written(job, call.url("jobs", job.id), 201, location=True)


def _with_defaults(body: Json) -> Json:
    constraints = {"maxWallClockTime": INFINITE, "maxTaskRetryCount": 0}
    return body | {"constraints": constraints | body.get("constraints", {})}


def _check_pool(body: Json) -> None:
    if "poolId" not in body["poolInfo"]:
        raise invalid_property("poolInfo", body["poolInfo"], "poolId is required")


def list_jobs(call: Call) -> Reply:
    """GET /jobs."""
    jobs = call.store.jobs.of().values()
    return listing(call, "jobs", jobs, lambda job: view(call, job), _FIELDS)


def get_job(call: Call) -> Reply:
    """GET /jobs/{jobId}."""
    job = call.store.jobs.get(call.ids["job_id"])
    return entity(call, job, view(call, job), "jobs", _FIELDS)


def _writable(call: Call) -> Job:
    job = call.store.jobs.get(call.ids["job_id"])
    refusals = {
        JobState.DELETING: ("JobBeingDeleted", "The specified job is being deleted"),
        JobState.TERMINATING: ("JobBeingTerminated", "The specified job is being terminated"),
        JobState.COMPLETED: ("JobCompleted", "The specified job is already completed"),
    }
    if job.state in refusals:
        raise conflict(*refusals[job.state], job.id)
    check_conditions(call, job, write=True)
    return job


def _write(call: Call, job: Job, body: Json) -> Reply:
    if body["poolInfo"] != job.body["poolInfo"]:
        raise conflict(
            "OperationInvalidForCurrentState", "The pool of an active job cannot be changed", job.id
        )
    job = job.written(call.service.clock.now(), call.store.next_serial(), body=body)
    call.store.jobs.put(job)
    return written(job, call.url("jobs", job.id), 200)


def update_job(call: Call) -> Reply:
    """PATCH /jobs/{jobId}: only what is given is replaced."""
    job = _writable(call)
    return _write(call, job, _with_defaults(job.body | schemas.read(_UPDATE, call.body)))


def replace_job(call: Call) -> Reply:
    """PUT /jobs/{jobId}: what is not given falls back to its default."""
    job = _writable(call)
    given = schemas.read(_REPLACE, call.body)
    _check_pool(given)
    kept = {name: value for name, value in job.body.items() if name not in _CHANGEABLE}
    changed = {name: value for name, value in given.items() if name in _CHANGEABLE}
    return _write(call, job, _with_defaults(kept | _DEFAULTS | changed))


def terminate_job(call: Call) -> Reply:
    """POST /jobs/{jobId}/terminate: 202, then `terminating` until its tasks are ended."""
    job = _writable(call)
    body = schemas.read(_TERMINATE, call.body)
    reason = body.get("terminateReason", "UserTerminate")
    now = call.service.clock.now()
    call.store.jobs.put(job.move(JobState.TERMINATING, now, terminate_reason=reason))
    return Reply(status=202)


def delete_job(call: Call) -> Reply:
    """DELETE /jobs/{jobId}: 202, then `deleting` until its tasks are ended and gone, then 404."""
    job = call.store.jobs.get(call.ids["job_id"])
    if job.state is JobState.DELETING:
        raise conflict("JobBeingDeleted", "The specified job is being deleted", job.id)
    check_conditions(call, job, write=True)
    call.store.jobs.put(job.move(JobState.DELETING, call.service.clock.now()))
    return Reply(status=202)


def get_task_counts(call: Call) -> Reply:
    """GET /jobs/{jobId}/taskcounts."""
    job = call.store.jobs.get(call.ids["job_id"])
    tasks, slots = call.store.task_counts(job.id)

    def counts(book: dict[str, int]) -> Json:
        return {
            "active": book.get("active", 0),
            "running": book.get("running", 0) + book.get("preparing", 0),
            "completed": book.get("completed", 0),
            "succeeded": book.get("success", 0),
            "failed": book.get("failure", 0),
        }

    return Reply(body={"taskCounts": counts(tasks), "taskSlotCounts": counts(slots)})
