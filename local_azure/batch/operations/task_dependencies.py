"""The dependencies that a request gives a task: their schema, and what the service refuses."""

from local_azure.batch.calls import schemas
from local_azure.batch.state.records import Job
from local_azure.batch.wire.errors import BAD_REQUEST, BatchError, invalid_property, property_error
from local_azure.batch.wire.formats import Json

_MAX_LENGTH = 64_000
_INT32 = 2**31 - 1
SCHEMA = schemas.obj(
    {
        "taskIds": schemas.list_of(schemas.resource_id),
        "taskIdRanges": schemas.list_of(
            schemas.obj(
                {"start": schemas.integer(0, _INT32), "end": schemas.integer(0, _INT32)},
                ("start", "end"),
            )
        ),
    }
)


def check(depends_on: Json, job: Job) -> None:
    """Refuse dependencies that the service would refuse.

    Raises:
        BatchError: 400, the job does not use them, there are too many, or a range is not valid.
    """
    if not job.body["usesTaskDependencies"]:
        text = "The job does not use task dependencies (usesTaskDependencies)."
        raise BatchError(BAD_REQUEST, "TaskDependenciesNotSpecifiedOnJob", text)
    ids, ranges = depends_on.get("taskIds", []), depends_on.get("taskIdRanges", [])
    if sum(map(len, ids)) > _MAX_LENGTH:
        reason = f"the ids have more than {_MAX_LENGTH} characters"
        raise property_error("TaskDependencyListTooLong", "dependsOn.taskIds", reason)
    if sum(len(f"{item['start']}{item['end']}") for item in ranges) > _MAX_LENGTH:
        reason = f"the ranges have more than {_MAX_LENGTH} characters"
        raise property_error("TaskDependencyRangesTooLong", "dependsOn.taskIdRanges", reason)
    for item in ranges:
        if item["start"] > item["end"]:
            raise invalid_property("dependsOn.taskIdRanges", item, "the end is before the start")
