"""The exit conditions that a request gives a task: their schema, and what the service refuses."""

from collections.abc import Iterator

from local_azure.batch.calls import schemas
from local_azure.batch.state.records import PERFORM_JOB_ACTION, Job
from local_azure.batch.wire.errors import invalid_property
from local_azure.batch.wire.formats import Json

_OPTIONS = schemas.obj(
    {
        "jobAction": schemas.one_of("none", "disable", "terminate"),
        "dependencyAction": schemas.one_of("satisfy", "block"),
    }
)
_SINGLE = ("preProcessingError", "fileUploadError", "default")
SCHEMA = schemas.obj(
    {
        "exitCodes": schemas.list_of(
            schemas.obj(
                {"code": schemas.integer(), "exitOptions": _OPTIONS}, ("code", "exitOptions")
            )
        ),
        "exitCodeRanges": schemas.list_of(
            schemas.obj(
                {"start": schemas.integer(), "end": schemas.integer(), "exitOptions": _OPTIONS},
                ("start", "end", "exitOptions"),
            )
        ),
        **dict.fromkeys(_SINGLE, _OPTIONS),
    }
)


def check(conditions: Json, job: Job) -> None:
    """Refuse a job action in a job that performs none.

    Raises:
        BatchError: 400 InvalidPropertyValue.
    """
    if job.body["onTaskFailure"] == PERFORM_JOB_ACTION:
        return
    for options in _all_options(conditions):
        if "jobAction" in options:
            reason = f"the job needs onTaskFailure={PERFORM_JOB_ACTION}"
            raise invalid_property("exitConditions.jobAction", options["jobAction"], reason)


def _all_options(conditions: Json) -> Iterator[Json]:
    for name in ("exitCodes", "exitCodeRanges"):
        yield from (mapping["exitOptions"] for mapping in conditions.get(name, []))
    yield from (conditions[name] for name in _SINGLE if name in conditions)
