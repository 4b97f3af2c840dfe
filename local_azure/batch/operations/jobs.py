"""Operations on jobs. Ending a job's tasks and removing them is the job keeper's work."""

from dataclasses import replace

from local_azure.batch.calls import schemas
from local_azure.batch.calls.answers import entity, listing, written
from local_azure.batch.calls.call import Call, Reply
from local_azure.batch.calls.conditions import check_conditions
from local_azure.batch.calls.views import ENTITY_FIELDS, HISTORY_FIELDS, common_view, history_view
from local_azure.batch.operations import auto_pools, job_bodies
from local_azure.batch.operations.open_jobs import open_job
from local_azure.batch.operations.tasks import add_manager
from local_azure.batch.state.records import Job
from local_azure.batch.state.states import JobState
from local_azure.batch.wire.errors import conflict, exists
from local_azure.batch.wire.formats import Json, etag_of, format_time, without_none

_TERMINATE = schemas.obj({"terminateReason": schemas.string})
_DISABLE = schemas.obj(
    {"disableTasks": schemas.one_of("requeue", "terminate", "wait")}, ("disableTasks",)
)
_FIELDS = (
    ENTITY_FIELDS
    | HISTORY_FIELDS
    | {
        *("usesTaskDependencies", "priority", "maxParallelTasks", "allowTaskPreemption"),
        *("constraints", "poolInfo", "onAllTasksComplete", "onTaskFailure", "metadata"),
        *("commonEnvironmentSettings", "executionInfo", "stats", "jobManagerTask"),
        *("jobPreparationTask", "jobReleaseTask"),
    }
)


def view(call: Call, job: Job) -> Json:
    """Write a job as on the wire."""
    execution = {
        "startTime": format_time(job.created),
        "endTime": job.ended and format_time(job.ended),
        "poolId": job.pool_id or None,
        "schedulingError": job.scheduling_error,
        "terminateReason": job.terminate_reason,
    }
    return {
        **job.body,
        **common_view(job, call.url("jobs", job.id)),
        **history_view(job),
        "executionInfo": without_none(execution),
    }


def create_job(call: Call) -> Reply:
    """POST /jobs."""
    body = job_bodies.read_new(call.body)
    old = call.store.jobs.find(body["id"])
    if old is not None and old.state is JobState.DELETING:
        raise conflict("JobBeingDeleted", "The specified job is being deleted", old.id)
    if old is not None:
        raise exists("Job", old.id)
    pool_id, error = auto_pools.make(call, body["poolInfo"])
    now, serial = call.service.clock.now(), call.store.next_serial()
    job = Job(
        id=body.pop("id"),
        serial=serial,
        state=JobState.ACTIVE,
        created=now,
        state_since=now,
        modified=now,
        etag=etag_of(serial, now),
        body=body,
        auto_pool_id=pool_id,
        scheduling_error=error,
    )
    call.store.jobs.put(job)
    add_manager(call, job)
    return written(job, call.url("jobs", job.id), 201, location=True)


async def list_jobs(call: Call) -> Reply:
    """GET /jobs."""
    jobs = call.store.jobs.of().values()
    return await listing(call, "jobs", jobs, lambda job: view(call, job), _FIELDS)


def get_job(call: Call) -> Reply:
    """GET /jobs/{jobId}."""
    job = call.store.jobs.get(call.ids["job_id"])
    return entity(call, job, view(call, job), "jobs", _FIELDS)


def _writable(call: Call) -> Job:
    job = open_job(call)
    check_conditions(call, job, write=True)
    return job


def _write(call: Call, job: Job, body: Json) -> Reply:
    if body["poolInfo"] != job.body["poolInfo"] and job.state is not JobState.DISABLED:
        raise conflict(
            "OperationInvalidForCurrentState",
            "The pool of a job can be changed only while it is disabled",
            job.id,
        )
    auto_pools.check_change(job.body["poolInfo"], body["poolInfo"])
    job = job.written(call.service.clock.now(), call.store.next_serial(), body=body)
    call.store.jobs.put(job)
    return written(job, call.url("jobs", job.id), 200)


def update_job(call: Call) -> Reply:
    """PATCH /jobs/{jobId}: only what is given is replaced."""
    job = _writable(call)
    return _write(call, job, job_bodies.updated(job.body, call.body))


def replace_job(call: Call) -> Reply:
    """PUT /jobs/{jobId}: what is not given falls back to its default."""
    job = _writable(call)
    return _write(call, job, job_bodies.replaced(job.body, call.body))


def disable_job(call: Call) -> Reply:
    """POST /jobs/{jobId}/disable: 202, then `disabling` until no task of it runs."""
    job = _writable(call)
    if job.state is JobState.ENABLING:
        raise conflict("JobNotActive", "The specified job is being enabled", job.id)
    option = schemas.read(_DISABLE, call.body)["disableTasks"]
    if job.state is JobState.DISABLING:
        job = replace(job, disable_option=option)
    else:
        job = job.move(JobState.DISABLING, call.service.clock.now(), disable_option=option)
    call.store.jobs.put(job)
    return Reply(status=202)


def enable_job(call: Call) -> Reply:
    """POST /jobs/{jobId}/enable: 202, then `enabling`, then `active`."""
    job = _writable(call)
    if job.state is not JobState.DISABLED:
        raise conflict(
            "OperationInvalidForCurrentState", "The specified job is not disabled", job.id
        )
    call.store.jobs.put(job.move(JobState.ENABLING, call.service.clock.now()))
    return Reply(status=202)


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
