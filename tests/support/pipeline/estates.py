"""Runs whose process did not get to their end, for the tests of the janitor."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID, uuid4

from azure.batch.models import (
    BatchJobCreateOptions,
    BatchMetadataItem,
    BatchPoolInfo,
    BatchStartTask,
)

from prefect_azure_batch.janitor import Report, Row
from prefect_azure_batch.model.run import EVERY_ATTEMPT, Run, new_run
from prefect_azure_batch.ownership.deletion import KindsToDelete, delete_leftovers, find_leftovers
from prefect_azure_batch.ownership.heartbeat import Heartbeat
from prefect_azure_batch.ownership.heartbeat_blob import look_at_heartbeat
from prefect_azure_batch.ownership.inventory import RunResources, look_at_run
from prefect_azure_batch.service import specs
from prefect_azure_batch.service.clients import Services
from prefect_azure_batch.service.context import RunContext
from prefect_azure_batch.settings import CleanUpPolicy, JobSettings, PoolSettings
from tests.support.processes import wait_until

LIMIT_S = 2
Marks = dict[str, str]


@dataclass(frozen=True)
class Left:
    """A run with a pool, a job and containers, and its heartbeat, which beats until it is stopped.

    Attributes:
        run: in its first attempt.
        heartbeat: of the flow run that made it.
        services: where it is.
    """

    run: Run
    heartbeat: Heartbeat
    services: Services

    def names(self) -> list[str]:
        """Return everything that is there of it, in words."""
        return find_leftovers(every_attempt(self.services, self.run))

    def fall_silent(self) -> None:
        """Stop its heartbeat, and wait until it is past its limit."""
        self.heartbeat.stop()
        wait_until(self.is_silent, 5 * LIMIT_S)

    def is_silent(self) -> bool:
        """Return whether its heartbeat is past its limit."""
        seen = look_at_heartbeat(self.services.blobs, self.run)
        return seen is not None and seen.age_s >= LIMIT_S


MakeLeft = Callable[..., Left]


@contextmanager
def lefts(services: Services) -> Iterator[MakeLeft]:
    """Make such runs; what is still there of them afterwards is deleted."""
    made: list[Left] = []

    def make(
        flow_run_id: UUID | None = None, *, nodes: int = 0, limit_s: int = LIMIT_S, **marks: str
    ) -> Left:
        """Make one; its marks may be damaged."""
        policy = CleanUpPolicy(heartbeat_limit_s=limit_s)
        run = new_run(flow_run_id or uuid4(), 0, JobSettings(), policy)
        for name in run.containers:
            services.blobs.create_container(name, metadata=run.metadata | marks)
        heartbeat = Heartbeat(services.blobs, run, UUID(run.flow_run_id))
        made.append(Left(run.in_attempt(1), heartbeat, services))
        heartbeat.take(limit_s, 0)
        heartbeat.open_attempt(1)
        create_pool(services, made[-1].run.pool_id, run.metadata | marks, nodes)
        create_job(services, made[-1].run, run.metadata | marks)
        return made[-1]

    yield make
    for left in made:
        left.heartbeat.stop()
        delete_leftovers(every_attempt(services, left.run), KindsToDelete(), timeout_s=60)


def every_attempt(services: Services, run: Run) -> RunContext:
    """Return the context of a run in which the resources of all its attempts are found."""
    return RunContext.of(services, run.in_attempt(EVERY_ATTEMPT))


def create_pool(services: Services, pool_id: str, marks: Marks, nodes: int = 0) -> None:
    """Create a pool."""
    run = new_run(uuid4(), 1, JobSettings(), CleanUpPolicy())
    start = BatchStartTask(command_line="/bin/true")
    options = specs.pool(run, PoolSettings(), "batch.node.ubuntu 24.04", start)
    options.id, options.metadata = pool_id, items(marks)
    options.target_dedicated_nodes = nodes
    services.batch.create_pool(options)


def create_job(services: Services, run: Run, marks: Marks, pool_id: str | None = None) -> None:
    """Create a run's job, on its own pool or on another; it stays active."""
    info = BatchPoolInfo(pool_id=pool_id or run.pool_id)
    services.batch.create_job(
        BatchJobCreateOptions(id=run.job_id, pool_info=info, metadata=items(marks))
    )


def items(marks: Marks) -> list[BatchMetadataItem]:
    """Return marks as Batch has them."""
    return [BatchMetadataItem(name=name, value=value) for name, value in marks.items()]


def row_of(report: Report, left: Left) -> Row:
    """Return the report's row of a run."""
    return next(row for row in report.rows if row["run"] == left.run.name)


def estate_of(left: Left) -> RunResources:
    """Return a run as the janitor sees it."""
    estate = look_at_run(left.services, left.run)
    assert estate
    return estate
