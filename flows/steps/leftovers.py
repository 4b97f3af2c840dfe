"""What a run still has on the services: found by its marks, deleted, and looked for again."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from azure.batch import BatchClient
from azure.batch.models import BatchJob, BatchPool
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobServiceClient

from flows.errors import CleanUpIncomplete, ServiceError
from flows.runs import Run
from flows.services import Outage, Services, error_code, lowered, service_errors

FIRST_INTERVAL_S = 0.1
LONGEST_INTERVAL_S = 5.0
INTERVAL_GROWTH = 1.5
# The SDK starts a thread that asks after each deletion and hides what goes wrong; this module
# asks itself, so that thread sleeps until the process ends.
PARKED_S = 86400


# The client's call fails without options, whose class it does not export.
KEPT: Any = {"terminateReason": "KeptByCleanUp"}
# States in which a job takes no batch tasks any more, and counts against no quota.
OVER = frozenset({"terminating", "completed", "deleting"})


@dataclass(frozen=True)
class Kinds:
    """Which kinds of resources are meant."""

    containers: bool = True
    job: bool = True
    pool: bool = True


def delete_leftovers(
    services: Services, run: Run, kinds: Kinds, timeout_s: float, settle_s: float = 0
) -> list[str]:
    """Delete what is left of a run, of its attempt and those before, and wait until it is gone.

    Safe to repeat, and from several processes at once. Transient refusals and lost connections
    are repeated here, because the clean-up also runs where Prefect repeats nothing.

    Args:
        services: the clients.
        run: whose resources.
        kinds: what to delete; a job that is kept is terminated.
        timeout_s: seconds to wait until nothing is found any more.
        settle_s: seconds to wait before the last look, for calls that were in flight.

    Returns:
        What was deleted, in words.

    Raises:
        CleanUpIncomplete: something is still there, or could not be looked for.
    """
    deadline = time.monotonic() + timeout_s
    seen: dict[str, None] = {}
    outage = Outage()
    interval_s = FIRST_INTERVAL_S
    while True:
        left, reasons = _delete_once(services, run, kinds)
        seen |= dict.fromkeys(left)
        if left or reasons:
            if time.monotonic() > deadline or not outage.bears(reasons):
                told = "; ".join(dict.fromkeys(map(str, reasons)))
                raise CleanUpIncomplete(left or [f"anything of {run.name}"], timeout_s, told)
            time.sleep(interval_s)
            interval_s = min(interval_s * INTERVAL_GROWTH, LONGEST_INTERVAL_S)
        elif settle_s:
            time.sleep(settle_s)
            settle_s = 0
        else:
            return list(seen)


def _delete_once(
    services: Services, run: Run, kinds: Kinds
) -> tuple[list[str], list[ServiceError]]:
    """Start the deletions that are still to be started; no refusal keeps the others from it."""
    left: list[str] = []
    reasons: list[ServiceError] = []
    # Job and pool first: while they live, nodes still write to the containers.
    moves: list[Callable[[], Iterable[str]]] = [
        partial(_delete_jobs if kinds.job else _terminate_jobs, services.batch, run),
        *([partial(_delete_pools, services.batch, run)] if kinds.pool else []),
        *([partial(_delete_containers, services, run, kinds)] if kinds.containers else []),
    ]
    for move in moves:
        try:
            with service_errors("clean up"):
                left.extend(move())
        except ServiceError as error:
            reasons.append(error)
    return left, reasons


def delete_attempts(services: Services, run: Run) -> list[str]:
    """Start the deletion of the jobs and pools of a run's attempt and those before it.

    Returns:
        What is going, in words.
    """
    return [*_delete_jobs(services.batch, run), *_delete_pools(services.batch, run)]


def find_leftovers(services: Services, run: Run) -> list[str]:
    """Return what a run still has, of its attempt and those before, without touching it."""
    jobs = (f"job {job.id}" for job in _jobs(services.batch, run))
    pools = (f"pool {pool.id}" for pool in _pools(services.batch, run))
    containers = (f"container {name}" for name in _containers(services.blobs, run))
    return [*jobs, *pools, *containers]


def _delete_jobs(batch: BatchClient, run: Run) -> Iterator[str]:
    for job in _jobs(batch, run):
        if lowered(job.state) != "deleting":
            with _accepting("JobNotFound", "JobBeingDeleted"):
                batch.begin_delete_job(job.id, polling_interval=PARKED_S)
        yield f"job {job.id}"


def _terminate_jobs(batch: BatchClient, run: Run) -> tuple[()]:
    """Start the end of jobs that are kept; none of them is to go away."""
    for job in _jobs(batch, run):
        if lowered(job.state) not in OVER:
            with _accepting("JobNotFound", "JobBeingDeleted", "JobTerminating", "JobCompleted"):
                batch.begin_terminate_job(job.id, KEPT, polling_interval=PARKED_S)
    return ()


def _delete_pools(batch: BatchClient, run: Run) -> Iterator[str]:
    for pool in _pools(batch, run):
        if lowered(pool.state) != "deleting":
            with _accepting("PoolNotFound", "PoolBeingDeleted"):
                batch.begin_delete_pool(pool.id, polling_interval=PARKED_S)
        yield f"pool {pool.id}"


def _delete_containers(services: Services, run: Run, kinds: Kinds) -> Iterator[str]:
    kept = [] if kinds.job else _jobs(services.batch, run)
    kept_pools = [] if kinds.pool else _pools(services.batch, run)
    # The application container goes last: its heartbeat is what tells about all the rest.
    for name in sorted(_containers(services.blobs, run), key=run.containers.index, reverse=True):
        if name == run.application_container and (kept or kept_pools):
            continue
        with _accepting("ContainerNotFound", "ContainerBeingDeleted"):
            services.blobs.delete_container(name)
        yield f"container {name}"


def _jobs(batch: BatchClient, run: Run) -> list[BatchJob]:
    fields = ["id", "state", "metadata"]
    jobs = {job.id: job for job in batch.list_jobs(filter=_ours(run), select=fields)}
    # Only a 404 for the job itself says that it is gone.
    with _accepting("JobNotFound"):
        jobs[run.job_id] = batch.get_job(run.job_id, select=fields)
    return [
        job
        for job in jobs.values()
        if run.has_opened(job.id)
        and run.owns({item.name: item.value for item in job.metadata or ()})
    ]


def _pools(batch: BatchClient, run: Run) -> list[BatchPool]:
    fields = ["id", "state", "metadata"]
    pools = {pool.id: pool for pool in batch.list_pools(filter=_ours(run), select=fields)}
    # Only a 404 for the pool itself says that it is gone.
    with _accepting("PoolNotFound"):
        pools[run.pool_id] = batch.get_pool(run.pool_id, select=fields)
    return [
        pool
        for pool in pools.values()
        # A pool that somebody else made is nobody's to delete, and one of this run's own can be it.
        if pool.id != run.existing_pool_id
        and run.has_opened(pool.id)
        and run.owns({item.name: item.value for item in pool.metadata or ()})
    ]


def _containers(blobs: BlobServiceClient, run: Run) -> list[str]:
    return [name for name in run.containers if _is_there(blobs, name, run)]


def _is_there(blobs: BlobServiceClient, name: str, run: Run) -> bool:
    """Tell whether a container of the run exists; only a 404 says that it is gone."""
    try:
        found = blobs.get_container_client(name).get_container_properties()
    except HttpResponseError as error:
        if error_code(error) != "ContainerNotFound":
            raise
        return False
    return run.owns(dict(found.metadata))


def _ours(run: Run) -> str:
    return f"startswith(id,'{run.name}-')"


@contextmanager
def _accepting(*codes: str) -> Iterator[None]:
    """Take a refusal with one of these codes as done: the resource is gone or going."""
    try:
        yield
    except HttpResponseError as error:
        if error_code(error) not in codes:
            raise
