"""What a run still has on the services: found by its marks, deleted, and looked for again."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from azure.batch import BatchClient
from azure.batch.models import BatchJob, BatchPool
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobServiceClient

from prefect_azure_batch.errors import CleanUpIncomplete, ServiceError
from prefect_azure_batch.model.run import Run
from prefect_azure_batch.service.clients import (
    Outage,
    Services,
    error_code,
    lowered,
    service_errors,
)
from prefect_azure_batch.service.parallel import in_parallel

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


@dataclass(frozen=True)
class _Look:
    """What one look at everything has found.

    Attributes:
        left: what is there and should not be, in words.
        reasons: what went wrong; none of it keeps other deletions from being started.
    """

    left: list[str] = field(default_factory=list)
    reasons: list[ServiceError] = field(default_factory=list)

    @contextmanager
    def noting(self, doing: str, *accepted: str) -> Iterator[None]:
        """Note what goes wrong in the block, but for these codes, and go on after it."""
        try:
            with service_errors(doing), _accepting(*accepted):
                yield
        except ServiceError as error:
            self.reasons.append(error)


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
        look = _delete_once(services, run, kinds)
        seen |= dict.fromkeys(look.left)
        if look.left or look.reasons:
            is_hopeless = not outage.bears(look.reasons)
            if is_hopeless or time.monotonic() > deadline:
                told = "; ".join(dict.fromkeys(map(str, look.reasons)))
                left = look.left or [f"anything of {run.name}"]
                raise CleanUpIncomplete(left, None if is_hopeless else timeout_s, told)
            time.sleep(interval_s)
            interval_s = min(interval_s * INTERVAL_GROWTH, LONGEST_INTERVAL_S)
        elif settle_s:
            time.sleep(settle_s)
            settle_s = 0
        else:
            return list(seen)


def start_deletions(services: Services, run: Run, kinds: Kinds) -> list[str]:
    """Start all deletions side by side, also that of the heartbeat, for a process without time.

    What cannot be started is for `delete_leftovers` to try again, and to tell.

    Returns:
        What is going, in words.
    """
    moves = [(delete, _Look()) for delete in _moves(services, run, kinds, is_hurried=True)]

    def start(move: tuple[Callable[[_Look], None], _Look]) -> None:
        """Start the deletions of one kind."""
        delete, look = move
        delete(look)

    for _ in in_parallel(start, moves):
        pass
    return [name for _, look in moves for name in look.left]


def _delete_once(services: Services, run: Run, kinds: Kinds) -> _Look:
    """Start the deletions that are still to be started."""
    look = _Look()
    for delete in _moves(services, run, kinds):
        delete(look)
    return look


def _moves(
    services: Services, run: Run, kinds: Kinds, *, is_hurried: bool = False
) -> list[Callable[[_Look], None]]:
    # Job and pool first: while they live, nodes still write to the containers.
    jobs = partial(_delete_jobs if kinds.job else _terminate_jobs, services.batch, run)
    pools = partial(_delete_pools, services.batch, run)
    containers = partial(_delete_containers, services, run, kinds, is_hurried=is_hurried)
    return [jobs, *([pools] if kinds.pool else []), *([containers] if kinds.containers else [])]


def delete_attempts(services: Services, run: Run) -> list[str]:
    """Start the deletion of the jobs and pools of a run's attempt and those before it.

    Returns:
        What is going, in words.

    Raises:
        ServiceError: one could not be started.
    """
    look = _delete_once(services, run, Kinds(containers=False))
    if look.reasons:
        raise look.reasons[0]
    return look.left


def find_leftovers(services: Services, run: Run) -> list[str]:
    """Return what a run still has, of its attempt and those before, without touching it."""
    jobs = (f"job {job.id}" for job in _jobs(services.batch, run))
    pools = (f"pool {pool.id}" for pool in _pools(services.batch, run))
    containers = (f"container {name}" for name in _containers(services.blobs, run))
    return [*jobs, *pools, *containers]


def _delete_jobs(batch: BatchClient, run: Run, look: _Look) -> None:
    with look.noting("look for jobs"):
        for job in _jobs(batch, run):
            look.left.append(f"job {job.id}")
            if lowered(job.state) != "deleting":
                with look.noting(f"delete job {job.id}", "JobNotFound", "JobBeingDeleted"):
                    batch.begin_delete_job(job.id, polling_interval=PARKED_S)


def _terminate_jobs(batch: BatchClient, run: Run, look: _Look) -> None:
    """Start the end of jobs that are kept; none of them is to go away."""
    ended = ("JobNotFound", "JobBeingDeleted", "JobTerminating", "JobCompleted")
    with look.noting("look for jobs"):
        for job in _jobs(batch, run):
            if lowered(job.state) not in OVER:
                with look.noting(f"terminate job {job.id}", *ended):
                    batch.begin_terminate_job(job.id, KEPT, polling_interval=PARKED_S)


def _delete_pools(batch: BatchClient, run: Run, look: _Look) -> None:
    with look.noting("look for pools"):
        for pool in _pools(batch, run):
            look.left.append(f"pool {pool.id}")
            if lowered(pool.state) != "deleting":
                with look.noting(f"delete pool {pool.id}", "PoolNotFound", "PoolBeingDeleted"):
                    batch.begin_delete_pool(pool.id, polling_interval=PARKED_S)


def _delete_containers(
    services: Services, run: Run, kinds: Kinds, look: _Look, *, is_hurried: bool
) -> None:
    """Start the deletion of containers; unless hurried, that of the heartbeat waits for the rest.

    It tells others that the deletion goes on, and how to go on with it if that ends.
    """
    is_in_use = not is_hurried and bool(look.left or look.reasons)
    going = ("ContainerNotFound", "ContainerBeingDeleted")
    with look.noting("look for containers"):
        kept = [] if kinds.job else _jobs(services.batch, run)
        kept_pools = [] if kinds.pool else _pools(services.batch, run)
        there = _containers(services.blobs, run)
        for name in sorted(there, key=run.containers.index, reverse=True):
            if name == run.application_container and (kept or kept_pools or is_in_use):
                continue
            look.left.append(f"container {name}")
            with look.noting(f"delete container {name}", *going):
                services.blobs.delete_container(name)


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
