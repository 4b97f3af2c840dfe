"""The jobs that still take tasks and changes, and the refusal of those that do not."""

from local_azure.batch.calls.call import Call
from local_azure.batch.state.records import Job
from local_azure.batch.state.states import JOB_OVER, JobState
from local_azure.batch.wire.errors import conflict

_REFUSALS = {
    JobState.DELETING: ("JobBeingDeleted", "The specified job is being deleted"),
    JobState.TERMINATING: ("JobBeingTerminated", "The specified job is being terminated"),
    JobState.COMPLETED: ("JobCompleted", "The specified job is already completed"),
}


def open_job(call: Call) -> Job:
    """Return the job of a request unless it is over.

    Raises:
        BatchError: 404, it is not there; 409 that says how it is over.
    """
    job = call.store.jobs.get(call.ids["job_id"])
    if job.state in JOB_OVER:
        raise conflict(*_REFUSALS[job.state], job.id)
    return job
