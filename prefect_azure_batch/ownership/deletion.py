"""What a run still has on the services: found by its marks, deleted, and looked for again."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from azure.batch.models import BatchJob, BatchPool
from azure.core.exceptions import HttpResponseError

from prefect_azure_batch.errors import CleanUpIncomplete, ServiceError
from prefect_azure_batch.messages import few
from prefect_azure_batch.model.run import Run
from prefect_azure_batch.service.context import RunContext
from prefect_azure_batch.service.outages import Backoff, Outage, Patience
from prefect_azure_batch.service.parallel import in_parallel
from prefect_azure_batch.service.refusals import accepting, error_code, lowered, service_errors
from prefect_azure_batch.service.signals import current_signals, pause
from prefect_azure_batch.service.specs import marks

# A cancelled flow is killed after 30 s: then deletions must have been started, and the hook waits.
HURRIED_TIMEOUT_S = 15
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0
PAUSE_GROWTH = 1.5
# The SDK starts a thread that asks after each deletion and hides what goes wrong; this module
# asks itself, so that thread sleeps until the process ends.
PARKED_S = 86400


# The client's call fails without options, whose class it does not export.
KEPT: Any = {"terminateReason": "KeptByCleanUp"}
# States in which a job takes no batch tasks any more, and counts against no quota.
OVER = frozenset({"terminating", "completed", "deleting"})


@dataclass(frozen=True)
class KindsToDelete:
    """Which kinds of resources are meant."""

    containers: bool = True
    job: bool = True
    pool: bool = True


@dataclass(frozen=True)
class _Round:
    """What one round of deletions has found.

    Attributes:
        left: what is there and should not be, in words.
        errors: what went wrong; none of it keeps other deletions from being started.
    """

    left: list[str] = field(default_factory=list)
    errors: list[ServiceError] = field(default_factory=list)

    @contextmanager
    def noting(self, doing: str, *accepted: str) -> Iterator[None]:
        """Note what goes wrong in the block, but for these codes, and continue after it."""
        try:
            with service_errors(doing), accepting(*accepted):
                yield
        except ServiceError as error:
            self.errors.append(error)


def delete_leftovers(
    context: RunContext, kinds: KindsToDelete, timeout_s: float, settle_s: float = 0
) -> list[str]:
    """Delete what is left of a run, of its attempt and those before, and wait until it is gone.

    Safe to repeat, and from several processes at once. Transient refusals and lost connections
    are repeated here, because the clean-up also runs where Prefect repeats nothing.

    Args:
        context: whose resources.
        kinds: what to delete; a job that is kept is terminated.
        timeout_s: seconds to wait until nothing is found any more.
        settle_s: seconds to wait before the last look, for calls that were in flight.

    Returns:
        What was deleted, in words.

    Raises:
        CleanUpIncomplete: something is still there, or could not be looked for.
    """
    began = time.monotonic()
    seen: dict[str, None] = {}
    outage, backoff = Outage(), Backoff(FIRST_PAUSE_S, LONGEST_PAUSE_S, PAUSE_GROWTH)
    patience = Patience()
    while True:
        found = _start_all(context, kinds)
        seen |= dict.fromkeys(found.left)
        if found.left or found.errors:
            is_hopeless = _is_hopeless(outage, found)
            timeout_s = min(timeout_s, HURRIED_TIMEOUT_S) if _is_hurried() else timeout_s
            if is_hopeless or time.monotonic() > began + timeout_s:
                reason = "; ".join(dict.fromkeys(map(str, found.errors)))
                left = found.left or [f"anything of {context.run.name}"]
                raise CleanUpIncomplete(left, None if is_hopeless else timeout_s, reason)
            patience.say(f"waiting until it is gone: {_in_words(context, found)}")
            asked_s = max((error.retry_after_s for error in found.errors), default=0)
            pause(max(backoff.next_s(), asked_s))
        elif settle_s:
            pause(settle_s)
            settle_s = 0
        else:
            return list(seen)


def _is_hurried() -> bool:
    """Tell whether this process was asked to end."""
    signals = current_signals()
    return bool(signals and signals.first)


def _in_words(context: RunContext, found: _Round) -> str:
    errors = dict.fromkeys(map(str, found.errors))
    return "; ".join([few(found.left) or f"anything of {context.run.name}", *errors])


def _is_hopeless(outage: Outage, found: _Round) -> bool:
    """Tell whether an error of this round does not pass, or has lasted for too long."""
    if not found.errors:
        outage.end()
    try:
        for error in found.errors:
            outage.endure(error)
    except ServiceError:
        return True
    return False


def start_deletions(context: RunContext, kinds: KindsToDelete) -> list[str]:
    """Start all deletions side by side, also that of the heartbeat, for a process without time.

    What cannot be started is for `delete_leftovers` to try again, and to report.

    Returns:
        What is going, in words.
    """
    started = [(delete, _Round()) for delete in _deletions(context, kinds, is_hurried=True)]
    for _ in in_parallel(lambda item: item[0](item[1]), started):
        pass
    return [name for _, found in started for name in found.left]


def _start_all(context: RunContext, kinds: KindsToDelete) -> _Round:
    """Start the deletions that are still to be started."""
    found = _Round()
    for delete in _deletions(context, kinds):
        delete(found)
    return found


def _deletions(
    context: RunContext, kinds: KindsToDelete, *, is_hurried: bool = False
) -> list[Callable[[_Round], None]]:
    # Job and pool first: while they live, nodes still write to the containers.
    deletions: list[Callable[[_Round], None]] = [
        partial(_delete_jobs if kinds.job else _terminate_jobs, context)
    ]
    if kinds.pool:
        deletions.append(partial(_delete_pools, context))
    if kinds.containers:
        deletions.append(partial(_delete_containers, context, kinds, is_hurried=is_hurried))
    return deletions


def delete_attempts(context: RunContext) -> list[str]:
    """Start the deletion of the jobs and pools of a run's attempt and those before it.

    Returns:
        What is going, in words.

    Raises:
        ServiceError: one could not be started.
    """
    found = _start_all(context, KindsToDelete(containers=False))
    if found.errors:
        raise found.errors[0]
    return found.left


def find_leftovers(context: RunContext) -> list[str]:
    """Return what a run still has, of its attempt and those before, without touching it."""
    jobs = (f"job {job.id}" for job in _jobs(context))
    pools = (f"pool {pool.id}" for pool in _pools(context))
    containers = (f"container {name}" for name in _containers(context))
    return [*jobs, *pools, *containers]


def _delete_jobs(context: RunContext, found: _Round) -> None:
    with found.noting("look for jobs"):
        for job in _jobs(context):
            found.left.append(f"job {job.id}")
            if lowered(job.state) != "deleting":
                with found.noting(f"delete job {job.id}", "JobNotFound", "JobBeingDeleted"):
                    context.batch.begin_delete_job(job.id, polling_interval=PARKED_S)


def _terminate_jobs(context: RunContext, found: _Round) -> None:
    """Start the end of jobs that are kept; none of them is to go away."""
    ended = ("JobNotFound", "JobBeingDeleted", "JobTerminating", "JobCompleted")
    with found.noting("look for jobs"):
        for job in _jobs(context):
            if lowered(job.state) not in OVER:
                with found.noting(f"terminate job {job.id}", *ended):
                    context.batch.begin_terminate_job(job.id, KEPT, polling_interval=PARKED_S)


def _delete_pools(context: RunContext, found: _Round) -> None:
    with found.noting("look for pools"):
        for pool in _pools(context):
            found.left.append(f"pool {pool.id}")
            if lowered(pool.state) != "deleting":
                with found.noting(f"delete pool {pool.id}", "PoolNotFound", "PoolBeingDeleted"):
                    context.batch.begin_delete_pool(pool.id, polling_interval=PARKED_S)


def _delete_containers(
    context: RunContext, kinds: KindsToDelete, found: _Round, *, is_hurried: bool
) -> None:
    """Start the deletion of containers; unless hurried, that of the heartbeat waits for the rest.

    It shows others that the deletion is at work, and how to finish it if that ends.
    """
    is_in_use = not is_hurried and bool(found.left or found.errors)
    going = ("ContainerNotFound", "ContainerBeingDeleted")
    with found.noting("look for containers"):
        kept = [] if kinds.job else _jobs(context)
        kept_pools = [] if kinds.pool else _pools(context)
        there = _containers(context)
        for name in sorted(there, key=context.run.containers.index, reverse=True):
            is_heartbeat = name == context.run.application_container
            if is_heartbeat and (kept or kept_pools or is_in_use):
                continue
            found.left.append(f"container {name}")
            with found.noting(f"delete container {name}", *going):
                context.blobs.delete_container(name)


def _jobs(context: RunContext) -> list[BatchJob]:
    batch, run, fields = context.batch, context.run, ["id", "state", "metadata"]
    jobs = {job.id: job for job in batch.list_jobs(filter=_is_named_after(run), select=fields)}
    # Only a 404 for the job itself says that it is gone.
    with accepting("JobNotFound"):
        jobs[run.job_id] = batch.get_job(run.job_id, select=fields)
    return [
        job for job in jobs.values() if run.has_opened(job.id) and run.owns(marks(job.metadata))
    ]


def _pools(context: RunContext) -> list[BatchPool]:
    batch, run, fields = context.batch, context.run, ["id", "state", "metadata"]
    pools = {pool.id: pool for pool in batch.list_pools(filter=_is_named_after(run), select=fields)}
    # Only a 404 for the pool itself says that it is gone.
    with accepting("PoolNotFound"):
        pools[run.pool_id] = batch.get_pool(run.pool_id, select=fields)
    return [
        pool
        for pool in pools.values()
        # A pool that somebody else made is nobody's to delete, and one of this run's own can be it.
        if pool.id != run.existing_pool_id
        and run.has_opened(pool.id)
        and run.owns(marks(pool.metadata))
    ]


def _is_named_after(run: Run) -> str:
    return f"startswith(id,'{run.name}-')"


def _containers(context: RunContext) -> list[str]:
    return [name for name in context.run.containers if _is_there(context, name)]


def _is_there(context: RunContext, name: str) -> bool:
    """Tell whether a container of the run exists; only a 404 says that it is gone."""
    try:
        found = context.blobs.get_container_client(name).get_container_properties()
    except HttpResponseError as error:
        if error_code(error) != "ContainerNotFound":
            raise
        return False
    return context.run.owns(dict(found.metadata or {}))
