"""Exit conditions: what the end of a task means for its job and for the tasks that depend on it.

A job's action counts only where the job has onTaskFailure=performexitoptionsjobaction.
"""

from local_azure.batch.state.records import Execution, Task
from local_azure.batch.wire.formats import Json


def job_action(task: Task) -> str:
    """Return what a completed task asks of its job: none, disable or terminate."""
    default = "none" if task.execution.result == "success" else "terminate"
    return str(_matching(task).get("jobAction", default))


def satisfies(task: Task) -> bool:
    """Whether the tasks that depend on a completed task may run."""
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
    # What was ended from outside has no exit code either, but had no error before the start.
    started = run.exit_code is not None or code == "TaskEnded"
    return "default" if started else "preProcessingError"
