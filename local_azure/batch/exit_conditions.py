"""Exit conditions: what the end of a task entails for its job and for the tasks that depend on it.

A job's action counts only where the job has onTaskFailure=performexitoptionsjobaction.
"""

from collections.abc import Iterator

from local_azure.batch.calls import schemas
from local_azure.batch.state.records import PERFORM_JOB_ACTION, Execution, Job, Task
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


def job_action(task: Task) -> str:
    """Give what a completed task wants of its job: none, disable or terminate."""
    default = "none" if task.execution.result == "success" else "terminate"
    return str(_matching(task).get("jobAction", default))


def satisfies(task: Task) -> bool:
    """Whether the tasks that depend on a completed task may go on."""
    default = "satisfy" if task.execution.result == "success" else "block"
    return bool(_matching(task).get("dependencyAction", default) == "satisfy")


def _matching(task: Task) -> Json:
    conditions, run = task.body.get("exitConditions", {}), task.execution
    if run.exit_code is not None:
        for mapping in conditions.get("exitCodes", []):
            if mapping["code"] == run.exit_code:
                return dict(mapping["exitOptions"])
        for mapping in conditions.get("exitCodeRanges", []):
            if mapping["start"] <= run.exit_code <= mapping["end"]:
                return dict(mapping["exitOptions"])
    kind = _kind_of(run)
    return dict(conditions.get(kind, conditions.get("default", {}))) if kind else {}


def _kind_of(run: Execution) -> str | None:
    """Name the condition for a failure that no exit code was listed for; None: it succeeded."""
    if run.failure is None:
        return None
    code = str(run.failure["code"])
    if code.startswith("FileUpload"):
        return "fileUploadError"
    # What was ended from outside has no exit code either, but it was no error before the start.
    started = run.exit_code is not None or code == "TaskEnded"
    return "default" if started else "preProcessingError"
