"""What several kinds of records have on the wire."""

from local_azure.batch.state.records import Record, Task
from local_azure.batch.wire.formats import Json, format_time, without_none

ENTITY_FIELDS = frozenset(
    {"id", "url", "eTag", "lastModified", "creationTime", "state", "stateTransitionTime"}
    | {"displayName"}
)
HISTORY_FIELDS = frozenset({"previousState", "previousStateTransitionTime"})


def common_view(record: Record, url: str) -> Json:
    """Write what all entities have on the wire."""
    return {
        "id": record.id,
        "url": url,
        "eTag": record.etag,
        "lastModified": format_time(record.modified),
        "creationTime": format_time(record.created),
        "state": record.state,
        "stateTransitionTime": format_time(record.state_since),
    }


def history_view(record: Record) -> Json:
    """Write what jobs and tasks have on the wire of their state before."""
    since = record.previous_since
    return {
        "previousState": record.previous_state,
        "previousStateTransitionTime": since and format_time(since),
    }


def execution_view(task: Task) -> Json:
    """Write a task's executionInfo as on the wire."""
    run = task.execution
    return without_none(
        {
            "startTime": run.started and format_time(run.started),
            "endTime": run.ended and format_time(run.ended),
            "exitCode": run.exit_code,
            "failureInfo": run.failure,
            "result": run.result,
            "retryCount": run.retry_count,
            "lastRetryTime": run.last_retry and format_time(run.last_retry),
            "requeueCount": run.requeue_count,
            "lastRequeueTime": run.last_requeue and format_time(run.last_requeue),
        }
    )
